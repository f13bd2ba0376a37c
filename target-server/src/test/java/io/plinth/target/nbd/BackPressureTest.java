package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_DISC;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What happens when something runs out: nothing queues without bound, whoever waits goes on later,
 * and a client that behaves badly pays for it alone.
 */
@ParameterizedClass
@EnumSource(Split.class)
class BackPressureTest {
  private static final int SIZE = 8 << 20;
  private static final int REQUESTS_PER_CONNECTION = 8;
  private static final int REQUESTS_PER_CORE = 20;
  private static final int CHUNKS = 8;
  private static final long SECOND_NS = 1_000_000_000L;

  private static final NbdLimits LIMITS =
      new NbdLimits(
          1 << 20,
          60 << 10,
          REQUESTS_PER_CONNECTION,
          2 << 20,
          REQUESTS_PER_CORE,
          12,
          32 << 10,
          64 << 10,
          100,
          2048,
          10 * SECOND_NS,
          5 * SECOND_NS,
          10 * SECOND_NS);

  @Parameter Split split;

  private final TestServer server = new TestServer(LIMITS, 1, CHUNKS);
  private final MemoryVolume volume = server.volume("demo", 0, SIZE);
  private final NbdCoreContext context = server.contexts.get(0);
  private final SplittableRandom random = new SplittableRandom(7);

  @AfterEach
  void nothingLeaks() {
    server.close();
  }

  private TestClient open() {
    return server.connect(split).openSimple("demo");
  }

  private byte[] randomBytes(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  // Requests.

  @Test
  void noMoreRequestsThanTheWindowAreInFlight() {
    TestClient client = open();
    volume.immediate = false;
    for (int i = 0; i < 30; i++) {
      client.request(CMD_FLUSH, 0, i, 0, 0);
    }
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(REQUESTS_PER_CONNECTION);
    assertThat(client.connection().isPaused()).isTrue();
    for (int i = 0; i < 30; i++) {
      volume.complete(0);
      client.expectSimple(0, i);
      assertThat(volume.pendingCount()).isLessThanOrEqualTo(REQUESTS_PER_CONNECTION);
    }
  }

  @Test
  void bytesOfReadsInFlightAreBounded() {
    TestClient client = open();
    volume.immediate = false;
    for (int i = 0; i < 6; i++) {
      client.request(CMD_READ, 0, i, 0, 768 << 10);
    }
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(2);
    for (int i = 0; i < 6; i++) {
      volume.complete(0);
      client.simpleRead(i, 768 << 10);
    }
  }

  @Test
  void coreWithoutRequestsServesItsClientsInTheOrderOfAsking() {
    volume.immediate = false;
    List<TestClient> clients = new ArrayList<>();
    for (int c = 0; c < 5; c++) {
      TestClient client = open();
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
      server.run();
      clients.add(client);
    }
    assertThat(volume.pendingCount()).isEqualTo(REQUESTS_PER_CORE);
    assertThat(context.starvingSessions()).isEqualTo(3);
    // One request comes back: it goes to the third client, which has waited longest.
    volume.complete(0);
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(REQUESTS_PER_CORE);
    while (volume.pendingCount() > 0) {
      volume.complete(0);
      server.run();
    }
    for (TestClient client : clients) {
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.expectSimple(0, i);
      }
      client.expectQuiet();
    }
    assertThat(context.starvingSessions()).isZero();
  }

  @Test
  void clientThatLeavesWhileItWaitsForARequestTakesNothingAlong() {
    volume.immediate = false;
    List<TestClient> clients = new ArrayList<>();
    for (int c = 0; c < 4; c++) {
      TestClient client = open();
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
      server.run();
      clients.add(client);
    }
    clients.get(2).hangUp();
    clients.get(3).hangUp();
    server.run();
    assertThat(context.starvingSessions()).isZero();
    volume.completeAll();
    server.run();
    assertThat(context.requestsInUse()).isZero();
    for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
      clients.get(0).expectSimple(0, i);
    }
  }

  @Test
  void requestPromisedToAClientThatLeavesGoesToTheNext() {
    volume.immediate = false;
    List<TestClient> clients = new ArrayList<>();
    for (int c = 0; c < 5; c++) {
      TestClient client = open();
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
      server.run();
      clients.add(client);
    }
    // The third client has waited longest; it is gone before it can take what it was promised.
    volume.complete(0);
    clients.get(2).hangUp();
    server.run();
    while (volume.pendingCount() > 0) {
      volume.complete(0);
      server.run();
    }
    for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
      clients.get(3).expectSimple(0, i);
      clients.get(4).expectSimple(0, i);
    }
    // All of them can be had again.
    for (TestClient client : List.of(clients.get(0), clients.get(1), clients.get(3))) {
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
    }
    server.run();
    assertThat(context.requestsInUse()).isEqualTo(REQUESTS_PER_CORE);
  }

  @Test
  void refusedConnectionBeyondTheLimit() {
    for (int i = 0; i < 12; i++) {
      open();
    }
    server.connect(split).expectClosed();
    assertThat(context.counters().connectionsRefused()).isEqualTo(1);
  }

  // The volume.

  @Test
  void requestsThatTheVolumeRefusesArePresentedAgain() {
    TestClient client = open();
    byte[] data = randomBytes(4096);
    volume.refusals = 3;
    client.write(0, 1, 8192, data).request(CMD_READ, 0, 2, 8192, 4096);
    for (int i = 0; i < 3; i++) {
      client.expectQuiet();
      assertThat(client.connection().isPaused()).isTrue();
      assertThat(context.requestsInUse()).isZero();
      assertThat(volume.listenerCount()).isEqualTo(1);
      volume.becomeReady();
    }
    client.expectSimple(0, 1);
    assertThat(client.simpleRead(2, 4096)).isEqualTo(data);
    assertThat(volume.log).containsExactly("WRITE 8192+4096", "READ 8192+4096");
  }

  @Test
  void largeWriteThatTheVolumeRefusesKeepsItsChunks() {
    TestClient client = open();
    byte[] data = randomBytes(1 << 20);
    volume.refusals = 2;
    client.write(0, 1, 0, data).request(CMD_FLUSH, 0, 2, 0, 0);
    for (int i = 0; i < 2; i++) {
      client.expectQuiet();
      assertThat(server.chunksInUse()).isEqualTo(4);
      volume.becomeReady();
    }
    client.expectSimple(0, 1);
    client.expectSimple(0, 2);
    assertThat(volume.content(0, 1 << 20)).isEqualTo(data);
    assertThat(server.chunksInUse()).isZero();
  }

  @Test
  void chunksGoBackWhenTheVolumeHasTakenTheBytes() {
    TestClient client = open();
    volume.immediate = false;
    client.write(0, 1, 0, randomBytes(1 << 20));
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(1);
    assertThat(server.chunksInUse()).isZero();
  }

  @Test
  void clientThatLeavesWhileTheVolumeIsBusyIsForgotten() {
    TestClient small = open();
    TestClient large = open();
    volume.refusals = 2;
    small.write(0, 1, 0, randomBytes(512));
    large.write(0, 1, 0, randomBytes(1 << 20));
    server.run();
    assertThat(volume.listenerCount()).isEqualTo(2);
    small.hangUp();
    large.hangUp();
    server.run();
    server.assertNothingHeld();
  }

  @Test
  void volumeThatVanishesDisconnectsItsClients() {
    TestClient client = open();
    volume.immediate = false;
    volume.fill(0, randomBytes(4096));
    client.request(CMD_READ, 0, 1, 0, 4096);
    server.run();
    volume.vanish();
    client.expectClosed();
    volume.completeAll();
    assertThat(volume.loansOut()).isZero();
  }

  // Chunks.

  @Test
  void largeWritesWaitForChunksInTheOrderOfAsking() {
    TestClient first = open();
    TestClient second = open();
    TestClient third = open();
    TestClient fourth = open();
    byte[] data = randomBytes(1 << 20);
    List<TestClient> all = List.of(first, second, third, fourth);
    // Each sends all but the last sector: two of them hold all chunks, two wait.
    for (TestClient client : all) {
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(Arrays.copyOf(data, (1 << 20) - 512));
      server.run();
    }
    assertThat(server.chunksInUse()).isEqualTo(CHUNKS);
    assertThat(context.starvingSessions()).isEqualTo(2);
    // A small write is not held up by them.
    TestClient other = open();
    other.write(0, 5, 4 << 20, randomBytes(4096)).expectSimple(0, 5);
    byte[] rest = Arrays.copyOfRange(data, (1 << 20) - 512, 1 << 20);
    for (TestClient client : all) {
      client.send(rest).expectSimple(0, 1);
    }
    assertThat(volume.content(0, 1 << 20)).isEqualTo(data);
    assertThat(server.chunksInUse()).isZero();
  }

  @Test
  void clientThatLeavesWhileItWaitsForChunksIsForgotten() {
    TestClient holder = open();
    TestClient holder2 = open();
    TestClient waiter = open();
    for (TestClient client : List.of(holder, holder2, waiter)) {
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1000]);
      server.run();
    }
    waiter.hangUp();
    server.run();
    assertThat(context.starvingSessions()).isZero();
    holder.hangUp();
    holder2.hangUp();
    server.run();
    server.assertNothingHeld();
  }

  @Test
  void clientThatLeavesInTheMiddleOfAPayloadGivesItsChunksBack() {
    for (int sent : new int[] {0, 1, 300_000, (1 << 20) - 1}) {
      TestClient client = open();
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[sent]);
      server.run();
      assertThat(server.chunksInUse()).isEqualTo(4);
      client.hangUp();
      server.run();
      server.assertNothingHeld();
    }
    assertThat(volume.log).isEmpty();
  }

  @Test
  void clientThatSendsHalfAPayloadIsCutOffWhenOthersNeedTheChunks() {
    TestClient silent = open();
    TestClient silent2 = open();
    for (TestClient client : List.of(silent, silent2)) {
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[300_000]);
      server.run();
    }
    server.advance(60 * SECOND_NS);
    // Nobody is harmed, so nothing happens to them.
    silent.expectQuiet();
    TestClient victim = open();
    byte[] data = randomBytes(1 << 20);
    victim.write(0, 1, 0, data);
    victim.expectQuiet();
    server.advance(SECOND_NS);
    silent.expectClosed();
    silent2.expectClosed();
    victim.expectSimple(0, 1);
    assertThat(volume.content(0, 1 << 20)).isEqualTo(data);
    assertThat(context.counters().stalledEvictions()).isEqualTo(2);
  }

  // Clients that don't read.

  @Test
  void clientThatDoesNotReadIsNotReadFrom() {
    server.connectionEntries = 16;
    TestClient client = open();
    volume.fill(0, randomBytes(65536));
    volume.rangeBytes = 4096;
    client.link().willRead = 100_000;
    for (int i = 0; i < 100; i++) {
      client.request(CMD_READ, 0, i, 0, 65536);
    }
    client.request(CMD_DISC, 0, 0, 0, 0);
    server.run();
    assertThat(client.connection().isPaused()).isTrue();
    assertThat(context.requestsInUse()).isLessThanOrEqualTo(REQUESTS_PER_CONNECTION);
    assertThat(volume.loansOut()).isLessThanOrEqualTo(REQUESTS_PER_CONNECTION * 16);
    client.link().willRead = Long.MAX_VALUE;
    for (int i = 0; i < 100; i++) {
      assertThat(client.simpleRead(i, 65536)).isEqualTo(volume.content(0, 65536));
    }
    client.expectClosed();
  }

  @Test
  void repliesLeaveInOrderEvenWhenThereIsRoomForTheNextButNotForTheRestOfTheFirst() {
    server.connectionEntries = 4;
    TestClient client = open();
    volume.fill(0, randomBytes(65536));
    volume.rangeBytes = 4096;
    volume.immediate = false;
    client.link().willRead = 0;
    for (int i = 0; i < 4; i++) {
      client.request(CMD_READ, 0, i, 0, 65536).request(CMD_FLUSH, 0, 10 + i, 0, 0);
    }
    server.run();
    volume.completeAll();
    client.link().willRead = Long.MAX_VALUE;
    for (int i = 0; i < 4; i++) {
      assertThat(client.simpleRead(i, 65536)).isEqualTo(volume.content(0, 65536));
      client.expectSimple(0, 10 + i);
    }
  }

  @Test
  void clientThatNeverReadsLosesItsLoansWhenItGoes() {
    server.connectionEntries = 16;
    TestClient client = open();
    volume.fill(0, randomBytes(65536));
    volume.rangeBytes = 4096;
    client.link().willRead = 0;
    for (int i = 0; i < 20; i++) {
      client.request(CMD_READ, 0, i, 0, 65536);
    }
    server.run();
    assertThat(volume.loansOut()).isPositive();
    client.hangUp();
    server.run();
    server.assertNothingHeld();
  }

  @Test
  void clientThatDoesNotReadIsCutOffOnlyWhenOthersNeedWhatItHolds() {
    volume.fill(0, randomBytes(65536));
    List<TestClient> slow = new ArrayList<>();
    for (int c = 0; c < 3; c++) {
      TestClient client = open();
      client.link().willRead = 10;
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_READ, 0, i, 0, 4096);
      }
      server.run();
      slow.add(client);
    }
    assertThat(context.requestsInUse()).isEqualTo(REQUESTS_PER_CORE);
    server.advance(SECOND_NS);
    // One of the three waits itself; five seconds have not gone by.
    assertThat(slow).noneMatch(client -> client.link().closed);
    server.advance(6 * SECOND_NS);
    assertThat(slow).anyMatch(client -> client.link().closed);
    TestClient healthy = open();
    healthy.request(CMD_READ, 0, 1, 0, 4096);
    healthy.simpleRead(1, 4096);
  }

  @Test
  void slowVolumeIsNobodysFault() {
    volume.immediate = false;
    List<TestClient> clients = new ArrayList<>();
    for (int c = 0; c < 3; c++) {
      TestClient client = open();
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
      server.run();
      clients.add(client);
    }
    assertThat(context.starvingSessions()).isPositive();
    server.advance(60 * SECOND_NS);
    server.advance(60 * SECOND_NS);
    assertThat(clients).noneMatch(client -> client.link().closed);
  }

  // The end.

  @Test
  void requestsOfALostConnectionComeBackWhenTheVolumeIsDone() {
    TestClient client = open();
    volume.fill(0, randomBytes(65536));
    volume.immediate = false;
    client.request(CMD_READ, 0, 1, 0, 65536).write(0, 2, 0, randomBytes(4096));
    server.run();
    client.hangUp();
    server.run();
    assertThat(context.requestsInUse()).isEqualTo(2);
    assertThat(volume.attachmentCount()).isZero();
    volume.completeAll();
    server.assertNothingHeld();
  }

  @Test
  void shutdownWaitsForRequestsOfLostConnections() {
    TestClient client = open();
    volume.immediate = false;
    client.write(0, 2, 0, randomBytes(4096));
    server.run();
    client.hangUp();
    server.run();
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    server.run();
    assertThat(done[0]).isFalse();
    volume.completeAll();
    server.run();
    assertThat(done[0]).isTrue();
  }

  @Test
  void shutdownFinishesAPayloadThatIsOnItsWay() {
    TestClient client = open();
    byte[] data = randomBytes(1 << 20);
    client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(Arrays.copyOf(data, 700_000));
    server.run();
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    client.send(Arrays.copyOfRange(data, 700_000, 1 << 20)).expectSimple(0, 1);
    client.expectClosed();
    assertThat(volume.content(0, 1 << 20)).isEqualTo(data);
    assertThat(done[0]).isTrue();
  }

  @Test
  void shutdownCutsOffClientsThatDoNotTakeTheirReplies() {
    TestClient reader = open();
    TestClient sender = open();
    volume.fill(0, randomBytes(65536));
    reader.link().willRead = 0;
    reader.request(CMD_READ, 0, 1, 0, 65536);
    sender.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1000]);
    server.run();
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    server.advance(9 * SECOND_NS);
    assertThat(done[0]).isFalse();
    server.advance(SECOND_NS);
    assertThat(reader.link().closed && sender.link().closed).isTrue();
    assertThat(done[0]).isTrue();
  }

  @Test
  void failedVolumeDoesNotKeepSessionsFromEnding() {
    TestClient client = open();
    volume.immediate = false;
    volume.status = Status.EIO;
    client.write(0, 1, 0, randomBytes(512)).request(CMD_DISC, 0, 0, 0, 0);
    server.run();
    volume.completeAll();
    client.expectSimple(5, 1);
    client.expectClosed();
  }
}
