package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.EntryBody;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VerifyReport;
import io.plinth.target.volume.Volume;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What three nodes with replicas of a volume do in single situations; by chance: StoreGroupSim. */
@Timeout(60)
class StoreGroupTest {
  private static final long STEP_NS = 100_000;
  private static final int LIMIT = 100_000;
  private static final int CELLS_PER_WRITE = 128;

  private final SimRandom random = new SimRandom(7);
  private final SimNetwork network = new SimNetwork(random);
  private final List<StoreNode> nodes = new ArrayList<>();
  private final NativeMemory memory = NativeMemory.reserve(1 << 20);
  private StoreNode leader;
  private long nextNumber = 1;
  private int mostKept;

  @BeforeEach
  void begin() throws RecoveryException {
    begin(32, Set.of());
  }

  private void begin(int segments, Set<PlantedBug> bugs) throws RecoveryException {
    nodes.stream().filter(node -> node.up).forEach(StoreNode::kill);
    nodes.forEach(StoreNode::free);
    nodes.clear();
    network.heal();
    for (int number = 1; number <= StoreNode.NODES; number++) {
      StoreNode node = new StoreNode(number, network, random, 1, segments, bugs);
      node.residentBytes = StoreNode.SEGMENT_BYTES;
      node.mostKept = mostKept;
      nodes.add(node);
      node.start();
    }
    awaitLeader();
  }

  @AfterEach
  void end() {
    nodes.forEach(StoreNode::free);
    memory.close();
  }

  private void awaitLeader() {
    leader = null;
    await(() -> {
      for (StoreNode node : nodes) {
        leader = node.isOpen() && node.volume(1).group().leads() ? node : leader;
      }
      return leader != null && run(leader, Operation.READ, 0, 1) == Status.OK;
    });
  }

  private void step() {
    network.advance(STEP_NS);
    nodes.forEach(node -> node.cycle(STEP_NS));
  }

  private void await(BooleanSupplier condition) {
    for (int i = 0; i < LIMIT; i++) {
      if (condition.getAsBoolean()) {
        return;
      }
      step();
    }
    throw new AssertionError("what was waited for has not come");
  }

  private StoreRequest request(StoreNode node, Operation operation, int first, int cells) {
    CellHistory.Change change = new CellHistory.Change(nextNumber, nextNumber, first, cells, 0);
    nextNumber++;
    return new StoreRequest(
        node, 1, operation, first, cells, change, 0, memory, (done, result) -> {});
  }

  /** How long a write takes on the leader, in simulated time. */
  private long writeNs(boolean fua) {
    StoreRequest request = request(leader, Operation.WRITE, 0, 8);
    request.fua = fua;
    long beginNs = network.nowNs();
    boolean _ = leader.core.execute(() -> request.submitTo(leader.volume(1)));
    await(() -> request.done);
    return network.nowNs() - beginNs;
  }

  @Test
  void whatIsToBeDurableIsSyncedWhileItIsCommitted() {
    int delayNs = 5_000_000;
    network.delay(delayNs, delayNs);
    long committed = writeNs(false);
    long durable = writeNs(true);
    assertThat(committed).isGreaterThanOrEqualTo(2L * delayNs);
    // Not a way there and back for each.
    assertThat(durable).isLessThan(committed + delayNs);
  }

  /** Sends a request and waits; returns its status. */
  private int run(StoreNode node, Operation operation, int first, int cells) {
    return run(node, node.volume(1), operation, first, cells);
  }

  private int run(StoreNode node, Volume volume, Operation operation, int first, int cells) {
    int[] status = {1};
    CellHistory.Change change = new CellHistory.Change(nextNumber, nextNumber, first, cells, 0);
    nextNumber++;
    StoreRequest request =
        new StoreRequest(
            node,
            1,
            operation,
            first,
            cells,
            change,
            0,
            memory,
            (done, result) -> {
              status[0] = result;
              done.data.releaseAll();
            });
    boolean _ = node.core.execute(() -> request.submitTo(volume));
    await(() -> request.done);
    return status[0];
  }

  private StoreNode follower() {
    return nodes.get(leader.number % nodes.size());
  }

  private Replica replica(StoreNode node) {
    return node.volume(1).group().replica();
  }

  private void awaitApplied(StoreNode node) {
    await(() ->
        node.isOpen() && node.volume(1).group().appliedIndex() == replica(leader).lastIndex());
  }

  private void isolate(StoreNode node) {
    for (StoreNode peer : nodes) {
      network.block(node.number, peer.number);
      network.block(peer.number, node.number);
    }
  }

  @Test
  void whoDoesNotLeadSaysWhoDoesAndThatNothingHasHappened() {
    StoreNode follower = follower();
    for (Operation operation : List.of(Operation.WRITE, Operation.READ, Operation.FLUSH)) {
      assertThat(run(follower, operation, 0, 1)).as("%s", operation).isEqualTo(Status.EREMOTE);
    }
    assertThat(follower.volume(1).group().leader()).isEqualTo(leader.number);
    assertThat(run(leader, Operation.WRITE, 0, 1)).isEqualTo(Status.OK);
  }

  /** G8: whatever is kept for a member that is away, and however little room there is. */
  @Test
  void theLeaderKnowsHowFarOthersAreBehind() throws RecoveryException {
    StoreNode away = follower();
    int at = away.number - 1;
    await(() -> behind(leader)[at] == 0);
    assertThat(behind(follower())).as("only a leader knows").contains(-1);

    away.kill();
    for (int i = 0; i < 5; i++) {
      assertThat(run(leader, Operation.WRITE, i, 1)).isEqualTo(Status.OK);
    }
    await(() -> behind(leader)[at] >= 5);
    assertThat(behind(leader)[leader.number - 1]).isZero();

    away.start();
    await(() -> behind(leader)[at] == 0);
  }

  private static long[] behind(StoreNode node) {
    return node.volume(1).group().standing().behind();
  }

  @Test
  void aFullLogRefusesDataAndIsFreedByDeletions() throws RecoveryException {
    begin(14, Set.of());
    StoreNode away = follower();
    away.kill();
    int status = Status.OK;
    int snapshots = 0;
    for (int round = 0; status == Status.OK; round++) {
      assertThat(round).isLessThan(20);
      for (int i = 0; i < 6 && status == Status.OK; i++) {
        status = run(leader, Operation.WRITE, i * CELLS_PER_WRITE, CELLS_PER_WRITE);
      }
      if (status == Status.OK) {
        int number = snapshots++;
        assertThat(
                command(done ->
                    leader.store().snapshot(leader.volume(1), "s" + number, () -> true, done)))
            .isEqualTo(Status.OK);
      }
    }
    assertThat(status).isEqualTo(Status.ENOSPC);
    assertThat(snapshots).isPositive();
    assertThat(run(leader, Operation.READ, 0, CELLS_PER_WRITE)).isEqualTo(Status.OK);
    assertThat(run(leader, Operation.TRIM, 0, CELLS_PER_WRITE)).isEqualTo(Status.OK);
    assertThat(run(leader, Operation.FLUSH, 0, 0)).isEqualTo(Status.OK);
    for (int i = 0; i < snapshots; i++) {
      int number = i;
      assertThat(
              command(done ->
                  leader.store().deleteSnapshot(leader.volume(1), "s" + number, () -> true, done)))
          .isEqualTo(Status.OK);
    }
    for (int i = 0; i < 60; i++) {
      int first = i % 6 * CELLS_PER_WRITE;
      assertThat(run(leader, Operation.WRITE, first, CELLS_PER_WRITE))
          .as("write %d", i)
          .isEqualTo(Status.OK);
    }
    assertThat(leader.store().checkpointer().completed()).isPositive();
    // So much was written since that nobody keeps what the third one lacks.
    away.start();
    await(() -> leader.store().resyncsNeeded() == 1);
    assertThat(run(leader, Operation.WRITE, 0, 1)).isEqualTo(Status.OK);
    // So it is brought up to date beside the log.
    long last = leader.volume(1).group().replica().lastIndex();
    await(() -> away.volume(1).group().appliedIndex() == last);
    await(() -> away.store().resyncs().completed() == 1);
  }

  /** 32 bits do not tell whether two blocks are the same. */
  @Test
  void aResyncTellsBlocksApartThatHaveTheSameChecksum() throws RecoveryException {
    assertThat(isEqualAfterResync(Set.of())).isTrue();
    assertThat(isEqualAfterResync(Set.of(PlantedBug.RESYNC_TRUSTS_CHECKSUMS))).isFalse();
  }

  /**
   * Returns whether a member that was brought up to date has a block as the leader has it, which
   * was overwritten meanwhile by one with the same checksum.
   */
  private boolean isEqualAfterResync(Set<PlantedBug> bugs) throws RecoveryException {
    mostKept = 20;
    begin(32, bugs);
    NativeMemory.zero(memory.address(), 1 << 20);
    assertThat(run(leader, Operation.WRITE, 0, 2)).isEqualTo(Status.OK);
    int checksum = memory.crc32c(new CRC32C(), memory.address(), Volume.BLOCK_BYTES);
    nodes.forEach(this::awaitApplied);
    StoreNode away = follower();
    // Else it does not know what of its log is committed, and its index is empty.
    assertThat(command(done -> away.store().checkpointer().request(done))).isEqualTo(Status.OK);
    away.kill();
    for (int cell = 0; cell < 2; cell++) {
      UnsafeApi.putLong(memory.address() + (long) cell * CellHistory.CELL_BYTES, nextNumber);
    }
    forge(checksum);
    assertThat(run(leader, Operation.WRITE, 0, 2)).isEqualTo(Status.OK);
    assertThat(memory.crc32c(new CRC32C(), memory.address(), Volume.BLOCK_BYTES))
        .isEqualTo(checksum);
    for (int i = 0; i < 60; i++) {
      assertThat(run(leader, Operation.WRITE, 10, 2)).isEqualTo(Status.OK);
    }
    forgetOld(leader);
    away.start();
    await(() -> away.isOpen() && away.store().resyncs().completed() == 1);
    assertThat(command(done -> leader.store().snapshot(leader.volume(1), "s", () -> true, done)))
        .isEqualTo(Status.OK);
    awaitApplied(away);
    long[] expected = cells(leader, leader.volume(1).snapshot("s"));
    long[] found = cells(away, away.volume(1).snapshot("s"));
    assertThat(found[10]).isEqualTo(expected[10]);
    return found[0] == expected[0] && found[1] == expected[1];
  }

  /** Whoever was brought up to date says of its leaves how new they are when it leads. */
  @Test
  void whoWasBroughtUpToDateCanBringOthersUpToDate() throws RecoveryException {
    assertThat(isEqualAfterTwoResyncs(Set.of())).isTrue();
    assertThat(isEqualAfterTwoResyncs(Set.of(PlantedBug.RESYNC_KEEPS_STAMPS))).isFalse();
  }

  private boolean isEqualAfterTwoResyncs(Set<PlantedBug> bugs) throws RecoveryException {
    mostKept = 20;
    begin(32, bugs);
    assertThat(run(leader, Operation.WRITE, 0, 10)).isEqualTo(Status.OK);
    nodes.forEach(this::awaitApplied);
    for (StoreNode node : nodes) {
      assertThat(command(done -> node.store().checkpointer().request(done))).isEqualTo(Status.OK);
    }
    StoreNode first = leader;
    StoreNode second = nodes.get(first.number % nodes.size());
    StoreNode third = nodes.get((first.number + 1) % nodes.size());
    second.kill();
    for (int i = 0; i < 60; i++) {
      assertThat(run(first, Operation.WRITE, 2, 2)).isEqualTo(Status.OK);
    }
    forgetOld(first);
    second.start();
    await(() -> second.isOpen() && second.store().resyncs().completed() == 1);
    awaitApplied(second);
    // Its index is that of its checkpoint when it starts again.
    third.kill();
    for (int i = 0; i < 30; i++) {
      String name = "s" + i;
      assertThat(command(done -> first.store().snapshot(first.volume(1), name, () -> true, done)))
          .isEqualTo(Status.OK);
      assertThat(
              command(
                  done -> first.store().deleteSnapshot(first.volume(1), name, () -> true, done)))
          .isEqualTo(Status.OK);
    }
    awaitApplied(second);
    assertThat(replica(first).transferLeadership(second.number)).isTrue();
    await(() -> second.volume(1).group().leads() && run(second, Operation.READ, 0, 1) == Status.OK);
    leader = second;
    forgetOld(second);
    third.start();
    await(() -> third.isOpen() && third.store().resyncs().completed() == 1);
    assertThat(command(done -> second.store().snapshot(second.volume(1), "s", () -> true, done)))
        .isEqualTo(Status.OK);
    awaitApplied(third);
    return Arrays.equals(
        cells(second, second.volume(1).snapshot("s")), cells(third, third.volume(1).snapshot("s")));
  }

  /** How a resync is disturbed when half of it has come. */
  private enum Interruption {
    NONE,
    CONNECTION,
    LEAD
  }

  /** What has come before the connection or the lead is lost does not come again. */
  @Test
  void anInterruptedResyncGoesOnWithWhatItHas() throws RecoveryException {
    long whole = bytesOfResync(Interruption.NONE, Set.of());
    assertThat(whole).isGreaterThan(384 * Volume.BLOCK_BYTES);
    for (Interruption interruption : List.of(Interruption.CONNECTION, Interruption.LEAD)) {
      long bytes = bytesOfResync(interruption, Set.of());
      System.out.printf("%s: %d bytes, %d without%n", interruption, bytes, whole);
      assertThat(bytes).as("%s", interruption).isBetween(whole, whole * 11 / 10);
    }
    // That a leaf has only a part of what it will have is not forgotten meanwhile.
    assertThat(bytesOfResync(Interruption.CONNECTION, Set.of(PlantedBug.RESYNC_STAMPS_EARLY)))
        .isEqualTo(DIFFERENT);
  }

  private static final long DIFFERENT = -1;

  /** Returns how many bytes have come until the member has what the leader has. */
  private long bytesOfResync(Interruption interruption, Set<PlantedBug> bugs)
      throws RecoveryException {
    mostKept = 20;
    begin(32, bugs);
    for (int i = 0; i < 6; i++) {
      assertThat(run(leader, Operation.WRITE, i * CELLS_PER_WRITE, CELLS_PER_WRITE))
          .isEqualTo(Status.OK);
    }
    nodes.forEach(this::awaitApplied);
    StoreNode away = follower();
    assertThat(command(done -> away.store().checkpointer().request(done))).isEqualTo(Status.OK);
    away.kill();
    for (int i = 0; i < 60; i++) {
      assertThat(run(leader, Operation.WRITE, i % 6 * CELLS_PER_WRITE, CELLS_PER_WRITE))
          .isEqualTo(Status.OK);
    }
    StoreNode third =
        nodes.stream().filter(node -> node != away && node != leader).findFirst().orElseThrow();
    forgetOld(leader);
    awaitApplied(third);
    assertThat(command(done -> third.store().checkpointer().request(done))).isEqualTo(Status.OK);
    away.start();
    if (interruption != Interruption.NONE) {
      await(
          () -> away.isOpen() && away.store().resyncs().receivedBytes() > 192 * Volume.BLOCK_BYTES);
      assertThat(away.store().resyncs().completed()).isZero();
    }
    if (interruption == Interruption.CONNECTION) {
      nodes.forEach(node -> {
        network.block(node.number, away.number);
        network.block(away.number, node.number);
      });
      await(() -> away.store().resyncs().progress().getFirst().text().contains("the last attempt"));
      network.heal();
    } else if (interruption == Interruption.LEAD) {
      assertThat(replica(leader).transferLeadership(third.number)).isTrue();
      await(() -> third.volume(1).group().leads() && run(third, Operation.READ, 0, 1) == Status.OK);
      leader = third;
    }
    await(() -> away.isOpen() && away.store().resyncs().completed() == 1);
    long bytes = away.store().resyncs().receivedBytes();
    leader.store().verifies().start(leader.volume(1));
    await(() -> verified().state() != VerifyReport.State.RUNNING);
    boolean isEqual = verified().state() == VerifyReport.State.EQUAL;
    return isEqual ? bytes : DIFFERENT;
  }

  private VerifyReport verified() {
    return leader.store().verifies().report(leader.volume(1));
  }

  /** Who can't be reached is named, and the others are compared. */
  @Test
  void aVerifyNamesWhoDoesNotAnswer() {
    assertThat(run(leader, Operation.WRITE, 0, 10)).isEqualTo(Status.OK);
    StoreNode away = follower();
    away.kill();
    leader.store().verifies().start(leader.volume(1));
    await(() -> verified().state() != VerifyReport.State.RUNNING);
    assertThat(verified().state()).isEqualTo(VerifyReport.State.INCOMPLETE);
    assertThat(verified().members())
        .containsExactlyInAnyOrderElementsOf(
            nodes.stream()
                .map(node ->
                    node == away
                        ? new VerifyReport.Member(node.number, false, "it does not answer")
                        : new VerifyReport.Member(node.number, true, ""))
                .toList());
    assertThat(verified().readBytes()).isEqualTo(5 * Volume.BLOCK_BYTES);
    // And nothing is left of it.
    await(() -> nodes.stream().filter(StoreNode::isOpen).allMatch(this::hasNothingFrozen));
  }

  private boolean hasNothingFrozen(StoreNode node) {
    return node.store().verifies().frozen() == 0;
  }

  /** Lets a leader forget all but the newest entries. */
  private void forgetOld(StoreNode node) {
    assertThat(run(node, Operation.FLUSH, 0, 0)).isEqualTo(Status.OK);
    assertThat(command(done -> node.store().checkpointer().request(done))).isEqualTo(Status.OK);
  }

  /** Chooses the last four bytes of the first block so that it has a checksum. */
  private void forge(int checksum) {
    long at = memory.address() + Volume.BLOCK_BYTES - Integer.BYTES;
    int[] effects = new int[Integer.SIZE];
    UnsafeApi.putInt(at, 0);
    int without = memory.crc32c(new CRC32C(), memory.address(), Volume.BLOCK_BYTES);
    for (int bit = 0; bit < Integer.SIZE; bit++) {
      UnsafeApi.putInt(at, 1 << bit);
      effects[bit] = without ^ memory.crc32c(new CRC32C(), memory.address(), Volume.BLOCK_BYTES);
    }
    // What each bit changes is independent of the others: Gauss' elimination.
    int[] chosen = new int[Integer.SIZE];
    for (int bit = 0; bit < Integer.SIZE; bit++) {
      chosen[bit] = 1 << bit;
    }
    int wanted = without ^ checksum;
    int bytes = 0;
    for (int column = 0; column < Integer.SIZE; column++) {
      int pivot = column;
      while ((effects[pivot] >>> column & 1) == 0) {
        pivot++;
      }
      int effect = effects[pivot];
      int choice = chosen[pivot];
      effects[pivot] = effects[column];
      chosen[pivot] = chosen[column];
      effects[column] = effect;
      chosen[column] = choice;
      for (int row = column + 1; row < Integer.SIZE; row++) {
        if ((effects[row] >>> column & 1) != 0) {
          effects[row] ^= effect;
          chosen[row] ^= choice;
        }
      }
      if ((wanted >>> column & 1) != 0) {
        wanted ^= effect;
        bytes ^= choice;
      }
    }
    UnsafeApi.putInt(at, bytes);
  }

  private int command(Consumer<IntConsumer> begin) {
    int[] status = {1};
    begin.accept(result -> status[0] = result);
    await(() -> status[0] != 1);
    return status[0];
  }

  /** A leader that dies may leave a part of a request to those who go on. */
  @Test
  void aRequestOfWhichANewLeaderHasOnlyAPartHasNoEffect() throws RecoveryException {
    assertThat(cellsAfterATornRequest(Set.of())).doesNotContain(0L);
    assertThat(cellsAfterATornRequest(Set.of(PlantedBug.APPLY_TORN_REQUEST))).contains(0L);
  }

  /** Where a frame ends depends on what else is on its way: tries until that is in the request. */
  private long[] cellsAfterATornRequest(Set<PlantedBug> bugs) throws RecoveryException {
    for (int before = 1; before < 200; before++) {
      begin(32, bugs);
      assertThat(run(leader, Operation.WRITE, 0, CELLS_PER_WRITE)).isEqualTo(Status.OK);
      nodes.forEach(this::awaitApplied);
      StoreNode heir = follower();
      if (leavesPart(heir, before)) {
        leader.kill();
        network.heal();
        awaitLeader();
        assertThat(leader).isSameAs(heir);
        return cells(heir, heir.volume(1));
      }
    }
    throw new AssertionError("no request was torn");
  }

  /** Returns whether one member has some entries of a request and not the others. */
  private boolean leavesPart(StoreNode heir, int before) {
    nodes.stream().filter(node -> node != heir && node != leader).forEach(this::isolate);
    for (int i = 0; i < before; i++) {
      request(leader, Operation.WRITE, 2 * CELLS_PER_WRITE, 2).send();
    }
    request(leader, Operation.WRITE_ZEROES, 21, 18).send();
    long first = replica(leader).lastIndex() + before + 1;
    await(() -> replica(heir).lastIndex() >= first);
    assertThat(replica(leader).lastIndex()).isEqualTo(first + 2);
    return replica(heir).lastIndex() < first + 2;
  }

  private long[] cells(StoreNode node, Volume volume) {
    long[][] values = new long[1][];
    StoreRequest read =
        new StoreRequest(
            node,
            1,
            Operation.READ,
            0,
            CELLS_PER_WRITE,
            null,
            0,
            memory,
            (done, status) -> values[0] = done.takeValues());
    boolean _ = node.core.execute(() -> read.submitTo(volume));
    await(() -> read.done);
    return values[0];
  }

  /** And its requests are not answered as if they had been done. */
  @Test
  void whoIsCutOffLeadsNoMoreAndDoesNotKnowWhatBecameOfItsRequests() {
    isolate(leader);
    StoreRequest write = request(leader, Operation.WRITE, 0, 1);
    write.send();
    StoreNode deposed = leader;
    await(() -> !deposed.volume(1).group().leads());
    assertThat(write.done).isTrue();
    assertThat(deposed.volume(1).group().leader()).isEqualTo(Replica.NO_NODE);
    assertThat(run(deposed, Operation.READ, 0, 1)).isEqualTo(Status.EREMOTE);
  }

  /** The cut of a checkpoint waits for nobody; what it does not have is found again. */
  @Test
  void aCheckpointDoesNotWaitForCommitsAndLosesNothing() throws RecoveryException {
    StoreNode follower = follower();
    for (int i = 0; i < 5; i++) {
      assertThat(run(leader, Operation.WRITE, i * CELLS_PER_WRITE, CELLS_PER_WRITE))
          .isEqualTo(Status.OK);
    }
    awaitApplied(follower);
    long last = replica(leader).lastIndex();
    isolate(leader);
    StoreRequest write = request(leader, Operation.WRITE, 0, 1);
    write.send();
    await(() -> replica(leader).lastIndex() == last + 1);
    assertThat(leader.volume(1).group().appliedIndex()).isEqualTo(last);
    int[] status = {1};
    leader.store().checkpointer().request(result -> status[0] = result);
    await(() -> status[0] != 1);
    assertThat(status[0]).isEqualTo(Status.OK);
    nodes.forEach(StoreNode::kill);
    leader.start();
    await(leader::isHealthy);
    assertThat(leader.volume(1).group().appliedIndex()).isEqualTo(last);
    assertThat(replica(leader).lastIndex()).isEqualTo(last + 1);
    network.heal();
    for (StoreNode node : nodes) {
      if (!node.up) {
        node.start();
      }
    }
    awaitLeader();
    nodes.forEach(this::awaitApplied);
  }

  /** Its log is whole when it starts, and rots before what it holds is known to be committed. */
  @Test
  void aRecordThatRotsBeforeItIsAppliedStopsThatReplicaAndNoOther() throws RecoveryException {
    StoreNode victim = restartApart();
    EntryBody body = coldEntry(victim);
    disk(victim, body.position + 24);
    network.heal();
    await(() -> victim.volume(1).group().isStopped());
    assertThat(run(victim, Operation.READ, 0, 1)).isEqualTo(Status.EREMOTE);
    assertThat(run(leader, Operation.WRITE, 0, 1)).isEqualTo(Status.OK);
    // What it has is given up with the next checkpoint, and the log of the group fills it again.
    assertThat(command(done -> victim.store().checkpointer().request(done))).isEqualTo(Status.OK);
    victim.kill();
    victim.start();
    await(victim::isHealthy);
    awaitApplied(victim);
    int status = command(done -> leader.store().snapshot(leader.volume(1), "s", () -> true, done));
    assertThat(status).isEqualTo(Status.OK);
    awaitApplied(victim);
    assertThat(cells(victim, victim.volume(1).snapshot("s")))
        .isEqualTo(cells(leader, leader.volume(1).snapshot("s")));
  }

  @Test
  void payloadThatRotsIsMendedFromAPeerAndFailsReadsWithoutOne() throws RecoveryException {
    StoreNode victim = restartApart();
    EntryBody body = coldEntry(victim);
    disk(victim, body.place * Volume.BLOCK_BYTES + 99);
    network.heal();
    awaitApplied(victim);
    int[] status = {1};
    leader.store().snapshot(leader.volume(1), "s", () -> true, result -> status[0] = result);
    await(() -> status[0] != 1);
    awaitApplied(victim);
    SnapshotVolume snapshot = victim.volume(1).snapshot("s");
    int cell = (int) body.firstBlock * 2;
    int other = (cell + 2 * CELLS_PER_WRITE) % (6 * CELLS_PER_WRITE);
    isolate(victim);
    assertThat(run(victim, snapshot, Operation.READ, cell, 1)).isEqualTo(Status.EIO);
    assertThat(run(victim, snapshot, Operation.READ, other, 1)).isEqualTo(Status.OK);
    assertThat(victim.store().mends().mended()).isEmpty();
    network.heal();
    await(() -> run(victim, snapshot, Operation.READ, cell, 1) == Status.OK);
    assertThat(victim.store().mends().mended())
        .singleElement()
        .satisfies(mended -> {
          assertThat(mended.block()).isEqualTo(body.firstBlock);
          assertThat(mended.node()).isNotEqualTo(victim.number);
        });
    assertThat(cells(victim, snapshot)).isEqualTo(cells(leader, leader.volume(1).snapshot("s")));
    // Whoever reads it again finds it where the log is now.
    assertThat(run(victim, snapshot, Operation.READ, cell, 1)).isEqualTo(Status.OK);
    assertThat(victim.store().mends().mendedBlocks()).isEqualTo(1);
  }

  /**
   * A follower starts again with entries that it does not know to be committed, most of them cold.
   */
  private StoreNode restartApart() throws RecoveryException {
    StoreNode victim = follower();
    for (int i = 0; i < 8; i++) {
      int first = i % 6 * CELLS_PER_WRITE;
      assertThat(run(leader, Operation.WRITE, first, CELLS_PER_WRITE)).isEqualTo(Status.OK);
    }
    awaitApplied(victim);
    victim.kill();
    isolate(victim);
    victim.start();
    await(victim::isHealthy);
    assertThat(victim.volume(1).group().appliedIndex()).isZero();
    return victim;
  }

  /** Returns the record and the payload of the newest entry that is not in memory. */
  private EntryBody coldEntry(StoreNode node) {
    EntryBody body = new EntryBody();
    for (long index = replica(node).lastIndex(); index > 0; index--) {
      if (!replica(node).describe(index, body) && body.position > 0) {
        long position = body.position;
        long place = body.place;
        long at = position % StoreNode.SEGMENT_BYTES;
        int slot = (int) (position / StoreNode.SEGMENT_BYTES);
        long firstBlock = UnsafeApi.getLong(node.disk.content(slot).address() + at + 24);
        body.place = place;
        body.firstBlock = firstBlock;
        return body;
      }
    }
    throw new AssertionError("all is in memory");
  }

  /** Flips a bit that memory does not hide. */
  private static void disk(StoreNode node, long position) {
    node.disk.rotBit(
        (int) (position / StoreNode.SEGMENT_BYTES), (int) (position % StoreNode.SEGMENT_BYTES), 3);
  }
}
