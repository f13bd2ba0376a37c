package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.cluster.NodeCondition;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.NodesStatus;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.Violation;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A cluster begins with one node, and two others join: with two, the first one decides alone, as
 * before; with three, all of them vote. Nodes are killed, and checkpoints written, at each stage.
 */
@Timeout(120)
class GrowSimTest {
  private static final long CYCLE_NS = 200_000;
  private static final long LIMIT_NS = 30_000_000_000L;

  private static final KeeperSettings KEEPER =
      new KeeperSettings(3_600_000_000_000L, 3_600_000_000_000L, 5_000_000);

  private final List<ClusterNode> nodes = new ArrayList<>();
  private SimNetwork network;
  private SimRandom random;
  private ClusterBugs bugs;
  private int changes;

  @AfterEach
  void free() {
    nodes.forEach(ClusterNode::free);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void oneNodeBecomesThree(long seed) {
    growToTwo(seed, Set.of());
    // The second one knows everything, and is not needed.
    ClusterNode first = nodes.get(0);
    ClusterNode second = nodes.get(1);
    assertThat(voters()).containsExactly(1);
    second.kill();
    change();
    second.start();
    restart(first);
    await("the second one does not know what happened", this::areEqual);

    join(3);
    await("they do not vote", () -> voters().equals(List.of(1, 2, 3)));
    change();
    create("v", 3);
    await("the volume is not there", () -> nodes.stream().allMatch(n -> has(n, "v")));

    // Now any two of them go on.
    for (int i = 0; i < nodes.size(); i++) {
      ClusterNode node = nodes.get(i);
      if (seed % 2 == i % 2) {
        writeCheckpoint(node);
      }
      node.kill();
      await("nobody else leads", () -> leader() != null);
      change();
      node.start();
      await("it does not get well", this::isWell);
    }
    nodes.forEach(ClusterNode::kill);
    nodes.forEach(ClusterNode::start);
    await("they do not get well", this::isWell);
    assertThat(voters()).containsExactly(1, 2, 3);
    assertThat(entry("a").members()).containsExactly(1);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void entriesThatACheckpointOfTheFirstNodeForgetsAreMissed(long seed) {
    assertThatThrownBy(
            () -> {
              growToTwo(seed, Set.of(CatalogueBug.FIRST_LEARNER_UNNOTED));
              nodes.get(1).kill();
              change();
              writeCheckpoint(nodes.get(0));
              restart(nodes.get(0));
              nodes.get(1).start();
              await("they do not become equal", this::areEqual);
            })
        .isInstanceOf(Violation.class)
        .hasMessageContaining("node 1 does not start: group 0: entry ");
  }

  private void growToTwo(long seed, Set<CatalogueBug> planted) {
    random = new SimRandom(seed);
    network = new SimNetwork(random);
    bugs = new ClusterBugs(Set.of(), Set.of(), planted);
    ClusterNode first = new ClusterNode(1, settings(List.of(member(1)), 0));
    nodes.add(first);
    first.start();
    await("the first node does not begin", () -> isWell() && leader() == first);
    create("a", 1);
    change();
    if (seed % 2 == 0) {
      writeCheckpoint(first);
    }
    if (seed % 3 == 0) {
      restart(first);
    }
    join(2);
    change();
    writeCheckpoint(first);
    change();
    restart(first);
  }

  private ClusterSettings settings(List<ClusterMap.Member> members, int joiner) {
    return new ClusterSettings(
        network, random, members, 1, 64, Set.of(), bugs, KEEPER, joiner, true);
  }

  private static ClusterMap.Member member(int number) {
    return new ClusterMap.Member(number, "node-" + number, 10830, "admin-" + number, "");
  }

  private void join(int number) {
    List<String> _ = ask(node -> node.admitNode(member(number)));
    List<ClusterMap.Member> known =
        IntStream.rangeClosed(1, number).mapToObj(GrowSimTest::member).toList();
    ClusterNode node = new ClusterNode(number, settings(known, number));
    nodes.add(node);
    node.start();
    await(
        "node " + number + " does not join",
        () -> {
          NodesStatus status = leader() == null ? null : leader().nodesStatus();
          return status != null
              && status.nodes().size() == number
              && status.nodes().get(number - 1).state() == NodeCondition.State.ACTIVE
              && areEqual();
        });
  }

  private void restart(ClusterNode node) {
    node.kill();
    node.start();
    await("it does not get well", this::isWell);
  }

  private void create(String name, int replicas) {
    LogVolume _ =
        ask(node ->
            node.createVolume(
                name,
                ClusterVolume.LEAST_BYTES,
                FlushPolicy.FLUSH,
                VolumeSettings.DEFAULT,
                OptionalInt.of(replicas)));
  }

  /** Changes the catalogue. */
  private void change() {
    String text = "change " + ++changes;
    Void _ = ask(node -> node.changeSettings("a", description(text)));
    assertThat(leader().node().entries()).anyMatch(e -> e.settings().description().equals(text));
  }

  private static SettingsChange description(String text) {
    return new SettingsChange(
        EnumSet.of(SettingsChange.Key.DESCRIPTION),
        new VolumeSettings(text, Optional.empty(), List.of()));
  }

  private void writeCheckpoint(ClusterNode node) {
    int[] result = {1};
    node.node().store(0).checkpointer().request(status -> result[0] = status);
    await("there is no checkpoint", () -> result[0] == Status.OK);
  }

  private boolean isWell() {
    return leader() != null && nodes.stream().allMatch(ClusterNode::isHealthy) && areEqual();
  }

  private boolean areEqual() {
    return leader() != null
        && nodes.stream()
            .allMatch(
                node -> node.isOpen() && node.node().entries().equals(leader().node().entries()));
  }

  private static boolean has(ClusterNode node, String name) {
    return node.isOpen()
        && node.node().volumes().stream().anyMatch(volume -> volume.name().equals(name));
  }

  private Catalogue.Entry entry(String name) {
    return leader().node().entries().stream()
        .filter(entry -> entry.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private List<Integer> voters() {
    return leader() == null ? List.of() : leader().status().catalogue().voters();
  }

  private ClusterNode leader() {
    return nodes.stream().filter(ClusterNode::leadsCatalogue).findFirst().orElse(null);
  }

  /** Asks who leads the catalogue until it is done. */
  private <T> T ask(Function<StorageNode, CompletableFuture<T>> question) {
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
