package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.fail;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;

/** A cluster that a test leads by hand to where random faults do not get. */
abstract class ClusterScene {
  private static final long CYCLE_NS = 200_000;
  private static final long LIMIT_NS = 30_000_000_000L;

  final List<ClusterNode> nodes = new ArrayList<>();
  SimRandom random;
  SimNetwork network;

  @AfterEach
  void free() {
    nodes.forEach(ClusterNode::free);
  }

  /** Makes the network; nodes are added by the test, or by {@link #begin}. */
  void connect(long seed) {
    random = new SimRandom(seed);
    network = new SimNetwork(random);
  }

  /** Starts so many nodes as a cluster. */
  void begin(long seed, int count, int logs, ClusterBugs bugs, KeeperSettings keeper) {
    connect(seed);
    List<ClusterMap.Member> all =
        IntStream.rangeClosed(1, count).mapToObj(ClusterScene::member).toList();
    ClusterSettings settings =
        new ClusterSettings(network, random, all, logs, 64, Set.of(), bugs, keeper, 0, true);
    for (int number = 1; number <= count; number++) {
      nodes.add(new ClusterNode(number, settings));
    }
    nodes.forEach(ClusterNode::start);
    await("the nodes do not begin", () -> nodes.stream().allMatch(ClusterNode::isHealthy));
  }

  static ClusterMap.Member member(int number) {
    return new ClusterMap.Member(number, "node-" + number, 10830, "admin-" + number, "");
  }

  /** Returns who leads the catalogue; null when nobody does. */
  ClusterNode leader() {
    return nodes.stream().filter(ClusterNode::leadsCatalogue).findFirst().orElse(null);
  }

  /** Asks who leads the catalogue until it is done. */
  <T> T ask(Function<StorageNode, CompletableFuture<T>> question) {
    List<CompletableFuture<T>> answers = new ArrayList<>();
    await(
        "a command is not done",
        () -> {
          CompletableFuture<T> last = answers.isEmpty() ? null : answers.getLast();
          if (last != null && last.isDone() && !last.isCompletedExceptionally()) {
            return true;
          }
          if ((last == null || last.isDone()) && leader() != null) {
            answers.add(question.apply(leader().node()));
          }
          return false;
        });
    return answers.getLast().resultNow();
  }

  /** Volumes are in the logs in turn. */
  void create(String name, int replicas) {
    LogVolume _ =
        ask(node ->
            node.createVolume(
                name,
                ClusterVolume.LEAST_BYTES,
                FlushPolicy.FLUSH,
                VolumeSettings.DEFAULT,
                OptionalInt.of(replicas)));
  }

  void writeCheckpoint(ClusterNode node, int log) {
    int[] result = {1};
    node.node().store(log).checkpointer().request(status -> result[0] = status);
    await("there is no checkpoint", () -> result[0] == Status.OK);
  }

  /** Some nodes and the others do not hear each other. */
  void separate(ClusterNode... apart) {
    List<ClusterNode> some = List.of(apart);
    for (ClusterNode node : nodes) {
      for (ClusterNode one : some) {
        if (!some.contains(node)) {
          network.block(one.number, node.number);
          network.block(node.number, one.number);
        }
      }
    }
  }

  void await(String otherwise, BooleanSupplier condition) {
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

  void cycle() {
    network.advance(CYCLE_NS);
    nodes.forEach(node -> node.cycle(CYCLE_NS));
  }
}
