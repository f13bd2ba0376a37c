package io.plinth.target.security;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.TlsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.HexFormat;
import java.util.Random;
import org.bouncycastle.tls.CipherSuite;
import org.bouncycastle.tls.ProtocolVersion;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** TLS with pre-shared keys. */
@Timeout(60)
class PskEngineTest {
  private static final String HEX = "00112233445566778899aabbccddeeff";
  private static final String OTHER_HEX = "ff".repeat(32);
  private static final byte[] KEY = HexFormat.of().parseHex(HEX);
  private static final byte[] OTHER_KEY = HexFormat.of().parseHex(OTHER_HEX);

  @TempDir Path directory;
  private Path file;
  private ServerTls tls;

  @BeforeEach
  void open() throws Exception {
    file = directory.resolve("keys.psk");
    Pki.writePrivate(file, "alice:" + HEX + "\nb\u00f6b:" + OTHER_HEX + "\n");
    tls = ServerTls.open(new TlsFiles(null, null, file));
  }

  @AfterEach
  void close() {
    tls.close();
  }

  private static PskTestClient client(String version, String identity, byte[] key)
      throws Exception {
    return version.equals("TLS 1.2")
        ? PskTestClient.version12(identity, key)
        : PskTestClient.version13(key, identity);
  }

  private Dialogue dialogue(PskTestClient client) throws Exception {
    return new Dialogue(tls.newSession(), client);
  }

  private Dialogue connected(String version) throws Exception {
    Dialogue dialogue = dialogue(client(version, "alice", KEY));
    dialogue.run();
    dialogue.assertEcho();
    return dialogue;
  }

  private void assertRefused(PskTestClient client, String why) throws Exception {
    Dialogue dialogue = dialogue(client);
    assertThatThrownBy(dialogue::run).isInstanceOf(TlsException.class).hasMessage(why);
    assertThat(dialogue.server.peer()).isNull();
    assertThat(dialogue.client.complaint()).isNotNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void whoKnowsAKeyIsItsIdentity(String version) throws Exception {
    Dialogue alice = dialogue(client(version, "alice", KEY));
    assertThat(alice.server.peer()).isNull();
    alice.run();
    alice.assertEcho();
    assertThat(alice.server.peer()).isEqualTo(new PskClient("alice"));
    assertThat(alice.server.description()).startsWith(version + " with suite 0x");
    Dialogue bob = dialogue(client(version, "b\u00f6b", OTHER_KEY));
    bob.run();
    bob.assertEcho();
    assertThat(bob.server.peer().getName()).isEqualTo("psk:b\u00f6b");
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void aWrongKeyIsRefused(String version) throws Exception {
    String alert = version.equals("TLS 1.2") ? "bad_record_mac" : "decrypt_error";
    String why =
        "the client's key is not one of ours, or its data was changed on the way (" + alert + ")";
    assertRefused(client(version, "alice", OTHER_KEY), why);
    assertRefused(client(version, "b\u00f6b", KEY), why);
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void anUnknownIdentityIsRefused(String version) throws Exception {
    String why =
        "the client's key is not one of ours, or its data was changed on the way"
            + " (unknown_psk_identity)";
    assertRefused(client(version, "mallory", KEY), why);
    assertRefused(client(version, "Alice", KEY), why);
  }

  @Test
  void amongSeveralIdentitiesTheOneThatIsKnownCounts() throws Exception {
    Dialogue dialogue = dialogue(PskTestClient.version13(KEY, "mallory", "alice"));
    dialogue.run();
    dialogue.assertEcho();
    assertThat(dialogue.server.peer()).isEqualTo(new PskClient("alice"));
  }

  /** Whoever records a session and learns the key later must not be able to read it. */
  @ParameterizedTest
  @ValueSource(
      ints = {
        CipherSuite.TLS_PSK_WITH_AES_128_GCM_SHA256,
        CipherSuite.TLS_PSK_WITH_AES_256_CBC_SHA384,
        CipherSuite.TLS_PSK_WITH_NULL_SHA256,
        CipherSuite.TLS_ECDHE_PSK_WITH_NULL_SHA256,
        CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
      })
  void suitesWithoutAnEphemeralKeyOrEncryptionAreRefused(int suite) throws Exception {
    assertRefused(
        PskTestClient.version12("alice", KEY, suite, ProtocolVersion.TLSv12), "handshake_failure");
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
        CipherSuite.TLS_DHE_PSK_WITH_AES_256_GCM_SHA384,
        CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
      })
  void theOtherSuitesWork(int suite) throws Exception {
    Dialogue dialogue =
        dialogue(PskTestClient.version12("alice", KEY, suite, ProtocolVersion.TLSv12));
    dialogue.run();
    dialogue.assertEcho();
  }

  @Test
  void olderVersionsAreRefused() throws Exception {
    assertRefused(
        PskTestClient.version12(
            "alice", KEY, CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA, ProtocolVersion.TLSv11),
        "protocol_version");
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void theClientsEndIsTold(String version) throws Exception {
    Dialogue dialogue = connected(version);
    assertThat(dialogue.server.isInputClosed()).isFalse();
    dialogue.client.send(Dialogue.HELLO);
    dialogue.client.close();
    dialogue.run();
    assertThat(dialogue.takePlain()).isEqualTo(Dialogue.HELLO);
    assertThat(dialogue.server.isInputClosed()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void theServersEndIsTold(String version) throws Exception {
    Dialogue dialogue = connected(version);
    dialogue.serverSends(Dialogue.HELLO);
    assertThat(dialogue.client.isInputClosed()).isFalse();
    dialogue.server.closeOutput();
    dialogue.run();
    assertThat(dialogue.client.takePlain()).isEqualTo(Dialogue.HELLO);
    assertThat(dialogue.client.isInputClosed()).isTrue();
    assertThat(dialogue.client.complaint()).isNull();
    assertThatThrownBy(() -> dialogue.serverSends(Dialogue.HELLO)).isInstanceOf(TlsException.class);
  }

  @ParameterizedTest
  @CsvSource({"TLS 1.2, 0", "TLS 1.2, 1", "TLS 1.3, 0", "TLS 1.3, 1"})
  void aRecordThatWasChangedOnTheWayEndsIt(String version, int fromEnd) throws Exception {
    Dialogue dialogue = connected(version);
    dialogue.onTheWay = record -> record[record.length - 1 - fromEnd] ^= 1;
    dialogue.client.send(Dialogue.HELLO);
    assertThatThrownBy(dialogue::run)
        .isInstanceOf(TlsException.class)
        .hasMessageContaining("its data was changed on the way (bad_record_mac)");
    assertThat(dialogue.takePlain()).isEmpty();
    assertThat(dialogue.client.complaint()).isEqualTo("bad_record_mac");
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLS 1.2", "TLS 1.3"})
  void whatIsLargerThanARecordArrivesWhole(String version) throws Exception {
    byte[] much = new byte[200_000];
    new Random(3).nextBytes(much);
    Dialogue dialogue = connected(version);
    dialogue.client.send(much);
    dialogue.run();
    assertThat(dialogue.takePlain()).isEqualTo(much);
    dialogue.serverSends(much);
    assertThat(dialogue.client.takePlain()).isEqualTo(much);
  }

  /** The identity in the hello has fewer bytes than the hello says. */
  @Test
  void aMessageThatIsCutShortIsNamed() throws Exception {
    Dialogue dialogue = dialogue(client("TLS 1.3", "alice", KEY));
    dialogue.onTheWay =
        record -> record[new String(record, ISO_8859_1).indexOf("alice") - 1] = (byte) 200;
    assertThatThrownBy(dialogue::run)
        .isInstanceOf(TlsException.class)
        .hasMessage("a message is shorter than it should be");
    assertThat(dialogue.server.peer()).isNull();
  }

  @Test
  void keysChangeInTheMiddle() throws Exception {
    PskTestClient client = PskTestClient.version13(KEY, "alice");
    Dialogue dialogue = dialogue(client);
    dialogue.run();
    for (int i = 0; i < 3; i++) {
      dialogue.assertEcho();
      client.updateKey();
      dialogue.run();
    }
    dialogue.assertEcho();
  }

  @Test
  void aKeyThatIsTakenAwayIsGoneForTheNextSession() throws Exception {
    Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000_000_000L));
    try (CapturedLog log = new CapturedLog()) {
      tls.reload();
      Dialogue before = connected("TLS 1.3");
      Files.writeString(file, "b\u00f6b:" + OTHER_HEX + "\n");
      Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000_001_000L));
      tls.reload();
      assertRefused(
          client("TLS 1.3", "alice", KEY),
          "the client's key is not one of ours, or its data was changed on the way"
              + " (unknown_psk_identity)");
      before.assertEcho();
      log.take();
      Files.writeString(file, "b\u00f6b\n");
      Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000_002_000L));
      tls.reload();
      tls.reload();
      assertThat(log.take())
          .singleElement()
          .asString()
          .endsWith(
              "TLS: can't use "
                  + file
                  + ", line 1: expected IDENTITY:KEY-IN-HEXADECIMAL; what was there before is"
                  + " still used");
      Dialogue bob = dialogue(client("TLS 1.3", "b\u00f6b", OTHER_KEY));
      bob.run();
      bob.assertEcho();
    }
  }
}
