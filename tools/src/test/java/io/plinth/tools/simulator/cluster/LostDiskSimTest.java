package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.ReplicationBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.CellHistory;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What was flushed is on the disks of two nodes. One of them loses its disk, and has its replica
 * again, but not durably, when all lose their power; the other one is not heard for long after
 * that. The group waits for it: G2.
 */
@Timeout(120)
class LostDiskSimTest {
  private static final int NODES = 3;
  private static final String VOLUME = "v";
  private static final int CELLS = 40;
  private static final long CYCLE_NS = 200_000;
  private static final long LIMIT_NS = 30_000_000_000L;

  /** Many elections long. */
  private static final long APART_NS = 1_000_000_000L;

  private final List<ClusterNode> nodes = new ArrayList<>();
  private final NativeMemory memory = NativeMemory.reserve(1 << 20);
  private final ClusterVolume volume = new ClusterVolume(VOLUME, FlushPolicy.FLUSH, NODES);
  private SimNetwork network;

  @AfterEach
  void free() {
    nodes.forEach(ClusterNode::free);
    memory.close();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whatWasFlushedIsWaitedFor(long seed) {
    assertThat(leadsWithout(seed, Set.of())).as("goes on without what was flushed").isFalse();
    nodes.get(keeper(seed) - 1).start();
    await("the nodes do not get well", () -> nodes.stream().allMatch(ClusterNode::isHealthy));
    await("nobody leads", () -> leader() != null);
    assertThat(run(leader(), Operation.READ, null)).isEqualTo(Status.OK);
    assertThat(values).containsOnly(7);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whoDoesNotWaitIsCaught(long seed) {
    assertThat(leadsWithout(seed, Set.of(ReplicationBug.RULES_LOST_DISK_COUNTS))).isTrue();
  }

  private long[] values;

  private static int keeper(long seed) {
    return 1 + (int) (seed % NODES);
  }

  /** Returns whether the volume is led as long as who has all that was flushed is not there. */
  private boolean leadsWithout(long seed, Set<ReplicationBug> bugs) {
    begin(seed, bugs);
    ClusterNode keeper = nodes.get(keeper(seed) - 1);
    ClusterNode loser = nodes.get((int) ((seed + 1) % NODES));
    ClusterNode other = nodes.get((int) ((seed + 2) % NODES));
    CompletableFuture<Void> moved = moveLead(keeper);
    await("the lead is not moved", moved::isDone);
    await("nobody leads", () -> leader() == keeper);
    other.holdSyncs();
    CellHistory.Change change = volume.history.begin(7, false, 0, CELLS, network.nowNs());
    assertThat(run(keeper, Operation.WRITE, change)).isEqualTo(Status.OK);
    assertThat(run(keeper, Operation.FLUSH, null)).isEqualTo(Status.OK);
    loser.wipe();
    loser.start();
    await("the replica does not begin", () -> hasBegun(loser));
    loser.holdSyncs();
    await("the replica has not got everything", () -> hasAll(loser, keeper));
    nodes.forEach(ClusterNode::losePower);
    loser.start();
    other.start();
    long end = network.nowNs() + APART_NS;
    while (network.nowNs() < end) {
      cycle();
      if (leader() != null) {
        return true;
      }
    }
    return false;
  }

  private void begin(long seed, Set<ReplicationBug> bugs) {
    SimRandom random = new SimRandom(seed);
    network = new SimNetwork(random);
    List<ClusterMap.Member> all = new ArrayList<>();
    for (int number = 1; number <= NODES; number++) {
      all.add(new ClusterMap.Member(number, "node-" + number, 10830, "", ""));
    }
    ClusterSettings settings =
        new ClusterSettings(
            network,
            random,
            all,
            1,
            400,
            Set.of(),
            new ClusterBugs(bugs, Set.of(), Set.of()),
            KeeperSettings.DEFAULT,
            0,
            false);
    for (int number = 1; number <= NODES; number++) {
      nodes.add(new ClusterNode(number, settings));
    }
    nodes.forEach(ClusterNode::start);
    await("the nodes do not begin", () -> nodes.stream().allMatch(ClusterNode::isHealthy));
    List<CompletableFuture<LogVolume>> created = new ArrayList<>();
    await(
        "there is no volume",
        () -> {
          if (created.isEmpty() || created.getLast().isCompletedExceptionally()) {
            nodes.stream()
                .filter(ClusterNode::leadsCatalogue)
                .findFirst()
                .ifPresent(node ->
                    created.add(
                        node.node()
                            .createVolume(
                                VOLUME,
                                ClusterVolume.LEAST_BYTES,
                                FlushPolicy.FLUSH,
                                VolumeSettings.DEFAULT,
                                OptionalInt.of(NODES))));
          }
          return !created.isEmpty()
              && created.getLast().isDone()
              && nodes.stream().allMatch(node -> replica(node) != null && node.isHealthy())
              && leader() != null;
        });
  }

  private CompletableFuture<Void> moveLead(ClusterNode to) {
    ClusterNode from = leader();
    return from == to
        ? CompletableFuture.completedFuture(null)
        : from.node().moveLead(VOLUME, to.number);
  }

  private int run(ClusterNode node, Operation operation, CellHistory.Change change) {
    int[] result = {1};
    int cells = operation == Operation.FLUSH ? 0 : CELLS;
    ClusterRequest request =
        new ClusterRequest(
            node,
            volume,
            operation,
            0,
            cells,
            change,
            network.nowNs(),
            memory,
            (done, status) -> {
              if (status == Status.OK && operation == Operation.READ) {
                values = done.takeValues();
              }
              result[0] = status;
            });
    request.send(node.node().find(VOLUME));
    await("a " + operation + " is not answered", () -> result[0] != 1);
    return result[0];
  }

  /** Returns whether a new replica is there, and says so durably. */
  private static boolean hasBegun(ClusterNode node) {
    Replica replica = replica(node);
    return replica != null && replica.hasBegun();
  }

  private static boolean hasAll(ClusterNode node, ClusterNode from) {
    return replica(node) != null && replica(node).lastIndex() == replica(from).lastIndex();
  }

  private ClusterNode leader() {
    for (ClusterNode node : nodes) {
      Replica replica = replica(node);
      if (replica != null
          && replica.leads()
          && replica.committedIndex() >= replica.firstIndexOfTerm()) {
        return node;
      }
    }
    return null;
  }

  private static Replica replica(ClusterNode node) {
    return node.isOpen()
        ? node.replicas().stream().map(one -> one.group().replica()).findFirst().orElse(null)
        : null;
  }

  private void await(String otherwise, BooleanSupplier condition) {
    long end = network.nowNs() + LIMIT_NS;
    while (!condition.getAsBoolean()) {
      if (network.nowNs() >= end) {
        StringBuilder text = new StringBuilder(otherwise);
        nodes.forEach(node -> text.append("; ").append(node.describe()));
        fail(text.toString());
      }
      cycle();
    }
  }

  private void cycle() {
    network.advance(CYCLE_NS);
    nodes.forEach(node -> node.cycle(CYCLE_NS));
  }
}
