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
  private static final int REQUESTS_PER_CORE = 64;
  private static final int CHUNKS = 8;
  private static final long SECOND_NS = 1_000_000_000L;

  private static final NbdLimits LIMITS =
      new NbdLimits(
          1 << 20,
          60 << 10,
          REQUESTS_PER_CONNECTION,
          REQUESTS_PER_CORE,
          4 << 20,
          12,
          32 << 10,
          64 << 10,
          100,
          2000,
          10 * SECOND_NS,
          5 * SECOND_NS,
          10 * SECOND_NS,
          12,
          0,
          false);

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
  void connectionTakesNoMoreThanAQuarterOfTheFreeRequests() {
    volume.immediate = false;
    List<TestClient> greedy = new ArrayList<>();
    for (int c = 0; c < 11; c++) {
      TestClient client = open();
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.request(CMD_FLUSH, 0, i, 0, 0);
      }
      server.run();
      greedy.add(client);
    }
    // Eleven times eight would be more than there are; nobody waits, and one more is served.
    assertThat(context.requestsInUse()).isLessThan(REQUESTS_PER_CORE);
    assertThat(context.starvingSessions()).isZero();
    TestClient late = open();
    late.request(CMD_FLUSH, 0, 1, 0, 0);
    server.run();
    volume.complete(volume.pendingCount() - 1);
    late.expectSimple(0, 1);
    while (volume.pendingCount() > 0) {
      volume.completeAll();
      server.run();
    }
    for (TestClient client : greedy) {
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        client.expectSimple(0, i);
      }
    }
  }

  @Test
  void connectionTakesNoMoreThanHalfOfTheFreeReadBytes() {
    TestClient client = open();
    volume.immediate = false;
    for (int i = 0; i < 6; i++) {
      client.request(CMD_READ, 0, i, 0, 512 << 10);
    }
    server.run();
    // Of the 3 MiB for long reads; a third would be more than half of what is then left.
    assertThat(volume.pendingCount()).isEqualTo(2);
    TestClient other = open();
    other.request(CMD_READ, 0, 7, 0, 128 << 10);
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(3);
    volume.complete(2);
    other.simpleRead(7, 128 << 10);
    for (int i = 0; i < 6; i++) {
      volume.complete(0);
      client.simpleRead(i, 512 << 10);
    }
  }

  @Test
  void readThatNeedsMoreThanItsShareWaitsForItsTurn() {
    volume.immediate = false;
    TestClient[] clients = {open(), open(), open(), open(), open()};
    for (TestClient client : clients) {
      client.request(CMD_READ, 0, 1, 0, 1 << 20);
      server.run();
    }
    // One is its share, one more fits all but an eighth of the 3 MiB for long reads.
    assertThat(volume.pendingCount()).isEqualTo(2);
    assertThat(context.starvingSessions()).isEqualTo(3);
    // A long one is not let past those who wait, a short one need not wait for them.
    TestClient late = open();
    late.request(CMD_READ, 0, 1, 0, 128 << 10);
    server.run();
    assertThat(volume.pendingCount()).isEqualTo(2);
    TestClient small = open();
    small.request(CMD_READ, 0, 1, 0, 4096);
    server.run();
    volume.complete(2);
    small.simpleRead(1, 4096);
    clients[3].hangUp();
    server.run();
    for (TestClient client : List.of(clients[0], clients[1], clients[2], clients[4])) {
      volume.complete(0);
      client.simpleRead(1, 1 << 20);
    }
    volume.completeAll();
    late.simpleRead(1, 128 << 10);
    assertThat(context.starvingSessions()).isZero();
  }

  @Test
  void leaveToReadThatItsOwnerDidNotLiveToUseIsGivenBack() {
    volume.immediate = false;
    TestClient[] clients = {open(), open(), open(), open(), open()};
    for (TestClient client : clients) {
      client.request(CMD_READ, 0, 1, 0, 1 << 20);
      server.run();
    }
    // The third gets leave from the end of the first, and is gone before it can read.
    volume.complete(0);
    clients[2].hangUp();
    clients[0].simpleRead(1, 1 << 20);
    while (volume.pendingCount() > 0) {
      volume.completeAll();
      server.run();
    }
    clients[4].simpleRead(1, 1 << 20);
    assertThat(context.readBytesInFlight()).isZero();
  }

  @Test
  void longestReadIsServedWhenNoOtherIsInFlight() {
    NbdLimits limits =
        new NbdLimits(
            1 << 20, 60 << 10, 8, 64, 1 << 20, 12, 32 << 10, 64 << 10, 100, 2000, 1, 1, 1, 12, 0,
            false);
    try (TestServer tight = new TestServer(limits, 1, CHUNKS)) {
      MemoryVolume narrow = tight.volume("demo", 0, SIZE);
      TestClient first = tight.connect(split).openSimple("demo");
      TestClient second = tight.connect(split).openSimple("demo");
      narrow.immediate = false;
      first.request(CMD_READ, 0, 1, 0, 128 << 10).expectQuiet();
      second.request(CMD_READ, 0, 1, 0, 1 << 20).expectQuiet();
      assertThat(narrow.pendingCount()).isEqualTo(1);
      narrow.complete(0);
      first.simpleRead(1, 128 << 10);
      narrow.complete(0);
      second.simpleRead(1, 1 << 20);
    }
  }

  @Test
  void clientsThatDoNotReadLeaveSomethingForTheOthers() {
    volume.fill(0, randomBytes(1 << 20));
    for (int c = 0; c < 10; c++) {
      TestClient slow = open();
      slow.link().willRead = 10;
      for (int i = 0; i < REQUESTS_PER_CONNECTION; i++) {
        slow.request(CMD_READ, 0, i, 0, c % 2 == 0 ? 64 << 10 : 1 << 20);
      }
      server.run();
    }
    assertThat(context.readBytesInFlight()).isLessThan(4 << 20);
    TestClient healthy = open();
    healthy.request(CMD_READ, 0, 1, 0, 4096);
    healthy.simpleRead(1, 4096);
  }

  /** A core with three requests only, whose free ones are too few for shares. */
  private static TestServer smallServer() {
    return new TestServer(
        new NbdLimits(
            1 << 20,
            60 << 10,
            REQUESTS_PER_CONNECTION,
            3,
            4 << 20,
            12,
            32 << 10,
            64 << 10,
            100,
            2000,
            10 * SECOND_NS,
            5 * SECOND_NS,
            10 * SECOND_NS,
            12,
            0,
            false),
        1,
        CHUNKS);
  }

  @Test
  void coreWithoutRequestsServesItsClientsInTheOrderOfAsking() {
    try (TestServer small = smallServer()) {
      MemoryVolume few = small.volume("demo", 0, SIZE);
      few.immediate = false;
      List<TestClient> clients = new ArrayList<>();
      for (int c = 0; c < 6; c++) {
        TestClient client = small.connect(split).openSimple("demo");
        client.request(CMD_FLUSH, 0, c, 0, 0).request(CMD_FLUSH, 0, 10 + c, 0, 0);
        small.run();
        clients.add(client);
      }
      assertThat(few.pendingCount()).isEqualTo(3);
      assertThat(small.contexts.get(0).starvingSessions()).isEqualTo(3);
      // One request comes back: it goes to the fourth client, which has waited longest.
      few.complete(0);
      clients.get(0).expectSimple(0, 0);
      few.complete(2);
      clients.get(3).expectSimple(0, 3);
      while (few.pendingCount() > 0) {
        few.complete(0);
        small.run();
      }
      for (int c = 0; c < 6; c++) {
        if (c != 0 && c != 3) {
          clients.get(c).expectSimple(0, c);
        }
        clients.get(c).expectSimple(0, 10 + c);
      }
      assertThat(small.contexts.get(0).starvingSessions()).isZero();
    }
  }

  @Test
  void clientThatLeavesWhileItWaitsForARequestTakesNothingAlong() {
    try (TestServer small = smallServer()) {
      MemoryVolume few = small.volume("demo", 0, SIZE);
      few.immediate = false;
      List<TestClient> clients = new ArrayList<>();
      for (int c = 0; c < 6; c++) {
        TestClient client = small.connect(split).openSimple("demo");
        client.request(CMD_FLUSH, 0, c, 0, 0);
        small.run();
        clients.add(client);
      }
      clients.get(3).hangUp();
      small.run();
      assertThat(small.contexts.get(0).starvingSessions()).isEqualTo(2);
      // The fifth is promised the next one, and gone before it can take it.
      few.complete(0);
      clients.get(4).hangUp();
      small.run();
      few.completeAll();
      small.run();
      few.completeAll();
      clients.get(5).expectSimple(0, 5);
      assertThat(small.contexts.get(0).starvingSessions()).isZero();
      assertThat(small.contexts.get(0).requestsInUse()).isZero();
      // All three can be had again.
      for (int c : new int[] {0, 1, 2}) {
        clients.get(c).expectSimple(0, c);
        clients.get(c).request(CMD_FLUSH, 0, 20, 0, 0);
      }
      small.run();
      assertThat(few.pendingCount()).isEqualTo(3);
    }
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
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1_000_000]);
      server.run();
    }
    assertThat(context.starvingSessions()).isEqualTo(1);
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
      assertThat(server.chunksInUse()).isEqualTo(sent / TestServer.CHUNK_BYTES + 1);
      client.hangUp();
      server.run();
      server.assertNothingHeld();
    }
    assertThat(volume.log).isEmpty();
  }

  @Test
  void payloadsThatAreStuckDoNotHoldUpOneThatComes() {
    // All but the reserve is held by clients that have sent a little of a lot.
    List<TestClient> stuck = new ArrayList<>();
    for (int c = 0; c < 4; c++) {
      TestClient client = open();
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1000]);
      server.run();
      stuck.add(client);
    }
    TestClient healthy = open();
    byte[] data = randomBytes(1 << 20);
    for (int i = 0; i < 3; i++) {
      healthy.write(0, i, 0, data).expectSimple(0, i);
    }
    assertThat(volume.content(0, 1 << 20)).isEqualTo(data);
    // And they can still be completed.
    for (TestClient client : stuck) {
      client.send(new byte[(1 << 20) - 1000]).expectSimple(0, 1);
    }
  }

  /** Clients that hold all chunks but the reserve, and one that has begun with the reserve. */
  private List<TestClient> fiveStuckPayloads() {
    List<TestClient> stuck = new ArrayList<>();
    for (int c = 0; c < 5; c++) {
      TestClient client = open();
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1000]);
      server.run();
      stuck.add(client);
    }
    return stuck;
  }

  @Test
  void reserveIsFreeAgainWhenItsUserLeaves() {
    List<TestClient> stuck = fiveStuckPayloads();
    TestClient healthy = open();
    healthy.write(0, 1, 0, randomBytes(1 << 20));
    healthy.expectQuiet();
    stuck.get(4).hangUp();
    healthy.expectSimple(0, 1);
    healthy.write(0, 2, 0, randomBytes(1 << 20)).expectSimple(0, 2);
  }

  @Test
  void reserveServesOnePayloadAfterTheOther() {
    List<TestClient> stuck = fiveStuckPayloads();
    List<TestClient> waiting = new ArrayList<>();
    for (int c = 0; c < 4; c++) {
      TestClient client = open();
      client.write(0, 1, 0, randomBytes(1 << 20)).expectQuiet();
      waiting.add(client);
    }
    stuck.get(4).send(new byte[(1 << 20) - 1000]).expectSimple(0, 1);
    for (TestClient client : waiting) {
      client.expectSimple(0, 1);
    }
  }

  @Test
  void chunkArrivesWhileThePayloadIsHalfway() {
    List<TestClient> holders = new ArrayList<>();
    for (int c = 0; c < 3; c++) {
      TestClient client = open();
      client.request(CMD_WRITE, 0, 1, c << 20, 1 << 20).send(new byte[600_000]);
      server.run();
      holders.add(client);
    }
    // Eight chunks: three and one of the reserve's last go to the first ones, the third waits.
    byte[] rest = randomBytes((1 << 20) - 600_000);
    for (TestClient client : List.of(holders.get(2), holders.get(1), holders.get(0))) {
      client.send(rest);
      server.run();
    }
    for (int c = 0; c < 3; c++) {
      holders.get(c).expectSimple(0, 1);
      assertThat(volume.content((c << 20) + 600_000, rest.length)).isEqualTo(rest);
    }
    assertThat(context.starvingSessions()).isZero();
  }

  @Test
  void clientThatSendsHalfAPayloadIsCutOffWhenOthersNeedTheChunks() {
    TestClient silent = open();
    TestClient silent2 = open();
    for (TestClient client : List.of(silent, silent2)) {
      client.request(CMD_WRITE, 0, 1, 0, 1 << 20).send(new byte[1_000_000]);
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
    try (TestServer small = smallServer()) {
      MemoryVolume few = small.volume("demo", 0, SIZE);
      few.fill(0, randomBytes(65536));
      List<TestClient> slow = new ArrayList<>();
      for (int c = 0; c < 3; c++) {
        TestClient client = small.connect(split).openSimple("demo");
        client.link().willRead = 10;
        client.request(CMD_READ, 0, 1, 0, 4096);
        small.run();
        slow.add(client);
      }
      small.advance(60 * SECOND_NS);
      assertThat(slow).noneMatch(client -> client.link().closed);
      TestClient healthy = small.connect(split).openSimple("demo");
      healthy.request(CMD_READ, 0, 1, 0, 4096).expectQuiet();
      small.advance(SECOND_NS);
      healthy.simpleRead(1, 4096);
      assertThat(slow).allMatch(client -> client.link().closed);
    }
  }

  @Test
  void slowVolumeIsNobodysFault() {
    try (TestServer small = smallServer()) {
      MemoryVolume few = small.volume("demo", 0, SIZE);
      few.immediate = false;
      List<TestClient> clients = new ArrayList<>();
      for (int c = 0; c < 5; c++) {
        TestClient client = small.connect(split).openSimple("demo");
        client.request(CMD_FLUSH, 0, 1, 0, 0);
        small.run();
        clients.add(client);
      }
      assertThat(small.contexts.get(0).starvingSessions()).isEqualTo(2);
      small.advance(60 * SECOND_NS);
      small.advance(60 * SECOND_NS);
      assertThat(clients).noneMatch(client -> client.link().closed);
    }
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
  void shutdownRefusesWhatTheVolumeCouldNotTakeAndWhatCameBehindIt() {
    TestClient client = open();
    volume.refusals = 1;
    client.write(0, 1, 0, randomBytes(4096)).request(CMD_FLUSH, 0, 2, 0, 0);
    server.run();
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    client.expectQuiet();
    volume.becomeReady();
    client.expectSimple(108, 1);
    client.expectSimple(108, 2);
    client.expectClosed();
    assertThat(done[0]).isTrue();
  }

  @Test
  void shutdownRefusesWhatArrivedWhileTheClientDidNotRead() {
    TestClient client = open();
    volume.fill(0, randomBytes(1 << 20));
    volume.rangeBytes = 512;
    client.link().willRead = 0;
    client.request(CMD_READ, 0, 1, 0, 1 << 20);
    server.run();
    assertThat(client.connection().isPaused()).isTrue();
    client.request(CMD_FLUSH, 0, 2, 0, 0);
    boolean[] done = new boolean[1];
    server.acceptor.drain(server.cores.get(0), () -> done[0] = true);
    client.expectQuiet();
    client.link().willRead = Long.MAX_VALUE;
    assertThat(client.simpleRead(1, 1 << 20)).isEqualTo(volume.content(0, 1 << 20));
    client.expectSimple(108, 2);
    client.expectClosed();
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
