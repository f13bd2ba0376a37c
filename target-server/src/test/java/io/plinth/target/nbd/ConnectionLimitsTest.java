package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.OPT_EXPORT_NAME;
import static io.plinth.target.nbd.NbdProtocol.OPT_GO;
import static io.plinth.target.nbd.NbdProtocol.OPT_INFO;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_POLICY;
import static io.plinth.target.nbd.TestClient.infoData;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How many clients a volume has, and how long they may do nothing. */
class ConnectionLimitsTest {
  private static final long SECOND_NS = 1_000_000_000L;
  private static final int IDLE_S = 40;

  private final TestServer server =
      new TestServer(NbdLimits.DEFAULT.with(2, IDLE_S * SECOND_NS, false), 2, 128);
  private final MemoryVolume volume = server.volume("demo", 1, 1 << 20);

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient connect() {
    return server.connect(Split.WHOLE);
  }

  @Test
  void oneClientMoreThanTheVolumeMayHaveIsRefused() {
    server.volume("other", 0, 1 << 20);
    TestClient first = connect().openSimple("demo");
    connect().openSimple("demo");
    TestClient third = connect().greet();
    third.option(OPT_INFO, infoData("demo")).repliesUntilAck(OPT_INFO);
    third.option(OPT_GO, infoData("demo")).expectError(OPT_GO, REP_ERR_POLICY);
    // It may take another one, or wait until there is room.
    first.hangUp();
    server.run();
    third.option(OPT_GO, infoData("demo")).repliesUntilAck(OPT_GO);
    assertThat(volume.attachmentCount()).isEqualTo(2);
    connect().openSimple("other");
  }

  @Test
  void whoAsksByExportNameIsDisconnected() {
    connect().openSimple("demo");
    connect().openSimple("demo");
    TestClient third = connect().greet();
    third.option(OPT_EXPORT_NAME, "demo".getBytes(UTF_8)).expectClosed();
  }

  @Test
  void aClientThatAsksForNothingIsDisconnected() {
    TestClient idle = connect().openSimple("demo");
    TestClient busy = connect().openSimple("demo");
    for (int i = 0; i < 5; i++) {
      server.advance(IDLE_S / 5 * SECOND_NS);
      busy.request(CMD_FLUSH, 0, i, 0, 0).expectSimple(0, i);
    }
    server.advance(IDLE_S / 5 * SECOND_NS);
    idle.expectClosed();
    busy.expectQuiet();
  }

  @Test
  void whoWaitsForAnAnswerIsNotIdle() {
    volume.immediate = false;
    TestClient client = connect().openSimple("demo");
    client.request(CMD_FLUSH, 0, 1, 0, 0);
    server.run();
    server.advance(3L * IDLE_S * SECOND_NS);
    client.expectQuiet();
    volume.complete(0);
    client.expectSimple(0, 1);
  }
}
