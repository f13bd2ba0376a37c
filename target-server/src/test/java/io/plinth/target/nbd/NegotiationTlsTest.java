package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.OPT_ABORT;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_INFO;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST;
import static io.plinth.target.nbd.NbdProtocol.OPT_LIST_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_SET_META_CONTEXT;
import static io.plinth.target.nbd.NbdProtocol.OPT_STARTTLS;
import static io.plinth.target.nbd.NbdProtocol.OPT_STRUCTURED_REPLY;
import static io.plinth.target.nbd.NbdProtocol.REP_ACK;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_POLICY;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TLS_REQD;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNKNOWN;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_UNSUP;
import static io.plinth.target.nbd.TestClient.contextData;
import static io.plinth.target.nbd.TestClient.infoData;
import static io.plinth.target.nbd.TestClient.optionBytes;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import io.plinth.target.nbd.TestClient.OptionReply;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.security.Principal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * STARTTLS and what each mode demands, rule by rule. What a client sends after the fake handshake
 * stands for plaintext; records are a matter of the engine's own tests.
 */
class NegotiationTlsTest {
  private static final int SIZE = 1 << 20;

  private TestServer server;
  private MemoryVolume demo;

  /** What the client has proved to be. */
  private Principal peer;

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private void serve(TlsMode mode) {
    serve(new NbdTls(mode, this::newSession, NegotiationTlsTest::contains));
  }

  private void serve(NbdTls tls) {
    server = new TestServer(tls);
    demo = server.volume("demo", 0, SIZE);
  }

  private NbdTls.Session newSession() {
    return connection -> connection.startTls(new Session(), Runnable::run);
  }

  private static boolean contains(List<String> names, Principal peer) {
    return peer != null && names.contains(peer.getName());
  }

  private TestClient connect() {
    return server.connect(Split.WHOLE).greet();
  }

  private TestClient connectSecurely() {
    TestClient client = connect();
    client.option(OPT_STARTTLS).expectAck(OPT_STARTTLS);
    client.connection().secure();
    server.run();
    return client;
  }

  private static VolumeSettings settings(TlsMode mode, String... names) {
    return new VolumeSettings("", Optional.ofNullable(mode), List.of(names));
  }

  private static List<String> names(TestClient client) {
    List<String> names = new ArrayList<>();
    for (OptionReply reply : client.option(OPT_LIST).repliesUntilAck(OPT_LIST)) {
      ByteBuffer data = reply.buffer();
      byte[] name = new byte[data.getInt()];
      data.get(name);
      names.add(new String(name, UTF_8));
    }
    return names;
  }

  @Test
  void T1_withoutTlsNothingAsksForIt() {
    serve(NbdTls.NONE);
    TestClient client = connect();
    client.option(OPT_STARTTLS).expectError(OPT_STARTTLS, REP_ERR_UNSUP);
    client.option(OPT_INFO, infoData("demo")).repliesUntilAck(OPT_INFO);

    demo.settings = settings(TlsMode.REQUIRED);
    client.option(OPT_INFO, infoData("demo")).expectError(OPT_INFO, REP_ERR_POLICY);
    client.option(OPT_GO, infoData("demo")).expectError(OPT_GO, REP_ERR_POLICY);
    assertThat(names(client)).isEmpty();
  }

  @Test
  void T2_whereTlsIsForcedEverythingElseWaits() {
    serve(TlsMode.REQUIRED);
    // A volume can't ask for less.
    demo.settings = settings(TlsMode.ALLOWED);
    TestClient client = connect();
    byte[] selection = contextData("demo", "base:allocation");
    client.option(OPT_LIST).expectError(OPT_LIST, REP_ERR_TLS_REQD);
    client.option(OPT_INFO, infoData("demo")).expectError(OPT_INFO, REP_ERR_TLS_REQD);
    client.option(OPT_GO, infoData("nobody")).expectError(OPT_GO, REP_ERR_TLS_REQD);
    client.option(OPT_STRUCTURED_REPLY).expectError(OPT_STRUCTURED_REPLY, REP_ERR_TLS_REQD);
    client
        .option(OPT_SET_META_CONTEXT, selection)
        .expectError(OPT_SET_META_CONTEXT, REP_ERR_TLS_REQD);
    client.option(4711).expectError(4711, REP_ERR_TLS_REQD);
    client
        .option(4711, new byte[NbdLimits.DEFAULT.optionBytes() + 1])
        .expectError(4711, REP_ERR_TLS_REQD);
    client.option(OPT_ABORT).expectAck(OPT_ABORT);
    client.expectClosed();

    connect().option(OPT_EXPORT_NAME, "demo".getBytes(UTF_8)).expectClosed();

    TestClient secure = connectSecurely();
    assertThat(names(secure)).containsExactly("demo");
    secure.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void T3_whereTlsIsSelectiveOnlyExportsThatNeedItAskForIt() {
    serve(TlsMode.ALLOWED);
    MemoryVolume secret = server.volume("secret", 0, SIZE);
    secret.settings = settings(TlsMode.REQUIRED);
    TestClient client = connect();
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
    assertThat(names(client)).containsExactly("demo");
    client.option(OPT_INFO, infoData("secret")).expectError(OPT_INFO, REP_ERR_TLS_REQD);
    client.option(OPT_GO, infoData("secret")).expectError(OPT_GO, REP_ERR_TLS_REQD);
    byte[] selection = contextData("secret", "base:allocation");
    for (int option : new int[] {OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT}) {
      client.option(option, selection).expectError(option, REP_ERR_TLS_REQD);
    }
    client.option(OPT_INFO, infoData("nobody")).expectError(OPT_INFO, REP_ERR_UNKNOWN);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);

    connect().option(OPT_EXPORT_NAME, "secret".getBytes(UTF_8)).expectClosed();

    TestClient secure = connectSecurely();
    assertThat(names(secure)).containsExactly("demo", "secret");
    secure.option(OPT_GO, infoData("secret")).repliesUntilAck(OPT_GO);
  }

  @Test
  void T4_nothingNegotiatedBeforeStartTlsHoldsAfterIt() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    client.option(OPT_STRUCTURED_REPLY).expectAck(OPT_STRUCTURED_REPLY);
    byte[] selection = contextData("demo", "base:allocation");
    client.option(OPT_SET_META_CONTEXT, selection).repliesUntilAck(OPT_SET_META_CONTEXT);
    client.option(OPT_STARTTLS).expectAck(OPT_STARTTLS);
    client.connection().secure();
    server.run();

    client
        .option(OPT_SET_META_CONTEXT, selection)
        .expectError(OPT_SET_META_CONTEXT, REP_ERR_INVALID);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
    client.request(NbdProtocol.CMD_READ, 0, 7, 0, 512);
    assertThat(client.nextIsSimple()).isTrue();
    assertThat(client.simpleRead(7, 512)).hasSize(512);
  }

  @Test
  void T4_plainBytesBehindStartTlsAreNotOptions() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    ByteArrayOutputStream together = new ByteArrayOutputStream();
    together.writeBytes(optionBytes(OPT_STARTTLS, new byte[0]));
    together.writeBytes(optionBytes(OPT_STRUCTURED_REPLY, new byte[0]));
    together.writeBytes(optionBytes(OPT_GO, infoData("demo")));
    client.send(together.toByteArray()).expectAck(OPT_STARTTLS);
    client.expectQuiet();
    assertThat(demo.attachmentCount()).isZero();

    client.connection().secure();
    server.run();

    client.expectQuiet();
    assertThat(demo.attachmentCount()).isZero();
  }

  @Test
  void T6_tlsIsStartedOnceAndWithoutData() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    client.option(OPT_STARTTLS, new byte[1]).expectError(OPT_STARTTLS, REP_ERR_INVALID);
    assertThat(client.connection().tls()).isNull();
    TestClient secure = connectSecurely();
    secure.option(OPT_STARTTLS).expectError(OPT_STARTTLS, REP_ERR_INVALID);
    secure.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void anExportWithoutTlsIsNotServedOverIt() {
    serve(TlsMode.ALLOWED);
    demo.settings = settings(TlsMode.OFF);
    connectSecurely().option(OPT_GO, infoData("demo")).expectError(OPT_GO, REP_ERR_POLICY);
    connect().option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void aVolumeMayRequireWhatTheServerDoesNotByDefault() {
    serve(TlsMode.OFF);
    demo.settings = settings(TlsMode.REQUIRED);
    connectSecurely().option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void aListOfClientsMakesTlsRequiredAndKeepsOthersOut() {
    serve(TlsMode.ALLOWED);
    demo.settings = settings(null, "CN=good");
    connect().option(OPT_GO, infoData("demo")).expectError(OPT_GO, REP_ERR_TLS_REQD);
    peer = () -> "CN=good";
    connectSecurely().option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
    peer = () -> "CN=other";
    TestClient other = connectSecurely();
    other.option(OPT_INFO, infoData("demo")).expectError(OPT_INFO, REP_ERR_POLICY);
    other.option(OPT_GO, infoData("demo")).expectError(OPT_GO, REP_ERR_POLICY);
    peer = null;
    connectSecurely().option(OPT_EXPORT_NAME, "demo".getBytes(UTF_8)).expectClosed();
  }

  @Test
  void aConnectionThatMovesToAnotherCoreIsStillSecure() {
    serve(TlsMode.REQUIRED);
    MemoryVolume far = server.volume("far", 1, SIZE);
    TestClient client = connectSecurely();
    client.option(OPT_GO, infoData("far")).repliesUntilAck(OPT_GO);
    client.request(NbdProtocol.CMD_READ, 0, 1, 0, 512);
    assertThat(client.simpleRead(1, 512)).hasSize(512);
    assertThat(far.attachmentCount()).isOne();
  }

  @Test
  void whatWasAllowedWhenTheConnectionLeftIsJudgedAgainWhereItArrives() {
    serve(TlsMode.ALLOWED);
    MemoryVolume far = server.volume("far", 1, SIZE);
    TestClient client = connect();
    client.link().write(optionBytes(OPT_GO, infoData("far")));
    for (int i = 0; i < 10; i++) {
      server.cores.get(0).cycle();
    }
    far.settings = settings(TlsMode.REQUIRED);
    server.run();
    client.expectError(OPT_GO, REP_ERR_TLS_REQD);
  }

  @Test
  void aHandshakeThatTakesTooLongIsEnded() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    client.option(OPT_STARTTLS).expectAck(OPT_STARTTLS);
    server.advance(NbdLimits.DEFAULT.handshakeTimeoutNs() + TimeUnit.SECONDS.toNanos(1));
    client.expectClosed();
    assertThat(server.contexts.get(0).counters().handshakeTimeouts()).isOne();
  }

  @Test
  void aServerThatShutsDownDoesNotWaitForAHandshake() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    client.option(OPT_STARTTLS).expectAck(OPT_STARTTLS);
    server.acceptor.drain(server.cores.get(0), () -> {});
    server.run();
    client.expectClosed();
  }

  @Test
  void sessionsThatCannotBeMadeAreRefusedAndThePlainOneGoesOn() {
    serve(
        new NbdTls(
            TlsMode.ALLOWED,
            () -> {
              throw new TlsException("no suite", null);
            },
            NegotiationTlsTest::contains));
    TestClient client = connect();
    client.option(OPT_STARTTLS).expectError(OPT_STARTTLS, REP_ERR_POLICY);
    client.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
  }

  @Test
  void theAckIsTheLastPlainWord() {
    serve(TlsMode.ALLOWED);
    TestClient client = connect();
    OptionReply reply = client.option(OPT_STARTTLS).optionReply();
    assertThat(reply.type()).isEqualTo(REP_ACK);
    assertThat(client.connection().isHandshaking()).isTrue();
    client.expectQuiet();
    client.hangUp();
    server.run();
  }

  /** Only what it says about the peer is ever asked. */
  private final class Session implements TlsEngine {
    @Override
    public boolean isHandshaking() {
      return false;
    }

    @Override
    public void unwrap(ByteBuffer record, ByteBuffer plain) {
      throw new AssertionError("unwrap");
    }

    @Override
    public void wrap(ByteBuffer plain, ByteBuffer record) {
      throw new AssertionError("wrap");
    }

    @Override
    public boolean hasOutput() {
      throw new AssertionError("hasOutput");
    }

    @Override
    public void output(ByteBuffer records) {
      throw new AssertionError("output");
    }

    @Override
    public boolean isInputClosed() {
      throw new AssertionError("isInputClosed");
    }

    @Override
    public void closeOutput() {
      throw new AssertionError("closeOutput");
    }

    @Override
    public Principal peer() {
      return peer;
    }

    @Override
    public String description() {
      return "fake";
    }
  }
}
