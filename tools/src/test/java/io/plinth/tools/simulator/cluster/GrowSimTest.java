package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.cluster.NodeCondition;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.NodesStatus;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.Violation;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A cluster begins with one node, and two others join: with two, the first one decides alone, as
 * before; with three, all of them vote. Nodes are killed, and checkpoints written, at each stage.
 */
@Timeout(120)
class GrowSimTest extends ClusterScene {
  private static final KeeperSettings KEEPER =
      new KeeperSettings(3_600_000_000_000L, 3_600_000_000_000L, 5_000_000);

  private ClusterBugs bugs;
  private int changes;

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
        writeCheckpoint(node, 0);
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
              writeCheckpoint(nodes.get(0), 0);
              restart(nodes.get(0));
              nodes.get(1).start();
              await("they do not become equal", this::areEqual);
            })
        .isInstanceOf(Violation.class)
        .hasMessageContaining("node 1 does not start: group 0: entry ");
  }

  private void growToTwo(long seed, Set<CatalogueBug> planted) {
    connect(seed);
    bugs = new ClusterBugs(Set.of(), Set.of(), planted);
    ClusterNode first = new ClusterNode(1, settings(List.of(member(1)), 0));
    nodes.add(first);
    first.start();
    await("the first node does not begin", () -> isWell() && leader() == first);
    create("a", 1);
    change();
    if (seed % 2 == 0) {
      writeCheckpoint(first, 0);
    }
    if (seed % 3 == 0) {
      restart(first);
    }
    join(2);
    change();
    writeCheckpoint(first, 0);
    change();
    restart(first);
  }

  private ClusterSettings settings(List<ClusterMap.Member> members, int joiner) {
    return new ClusterSettings(
        network, random, members, 1, 64, Set.of(), bugs, KEEPER, joiner, true);
  }

  private void join(int number) {
    List<String> _ = ask(node -> node.admitNode(member(number)));
    List<ClusterMap.Member> known =
        IntStream.rangeClosed(1, number).mapToObj(ClusterScene::member).toList();
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
}
