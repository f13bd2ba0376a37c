package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.NodeException;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
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
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A volume that has clients on any node is deleted by force only, whichever node is asked; and who
 * has no replica of a volume names a node that has one and can be reached.
 */
@Timeout(120)
class VolumeUseSimTest {
  private static final int NODES = 4;
  private static final String VOLUME = "v";
  private static final long CYCLE_NS = 200_000;
  private static final long LIMIT_NS = 30_000_000_000L;

  private static final KeeperSettings KEEPER =
      new KeeperSettings(3_600_000_000_000L, 3_600_000_000_000L, 5_000_000);

  private final List<ClusterNode> nodes = new ArrayList<>();
  private SimNetwork network;

  @AfterEach
  void free() {
    nodes.forEach(ClusterNode::free);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void clientsOfAnyNodeKeepAVolumeFromBeingDeleted(long seed) {
    begin(seed, Set.of());
    create(3);
    for (ClusterNode node : nodes) {
      Volume.Attachment client = attach(node);
      NodeException refused = refusal(delete(false));
      assertThat(refused.reason()).isEqualTo(NodeException.Reason.IN_USE);
      assertThat(refused.getMessage())
          .isEqualTo(
              "volume v is in use by 1 connections to node "
                  + node.number
                  + "; disconnect them or force it");
      export(node).detach(client);
    }
    // A node without a replica is asked about snapshots as well.
    Void _ = ask(member(), one -> one.createSnapshot(VOLUME, "s"));
    assertThat(refusal(delete(false)).getMessage())
        .isEqualTo("volume v has 1 snapshots; delete them or force it");
    Void _ = ask(member(), one -> one.deleteSnapshot(VOLUME, "s", false));
    assertThat(delete(false)).isCompleted();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aDeletionThatAsksNobodyIsCaught(long seed) {
    begin(seed, Set.of(CatalogueBug.USE_ELSEWHERE_IGNORED));
    create(3);
    ClusterNode other = nodes.stream().filter(node -> node != leader()).findFirst().orElseThrow();
    Volume.Attachment _ = attach(other);
    assertThat(delete(false)).isCompleted();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aNodeThatCannotBeReachedCountsOnlyWhereItCouldServeClients(long seed) {
    begin(seed, Set.of());
    create(3);
    ClusterNode cut = nodes.stream().filter(node -> node != leader()).findFirst().orElseThrow();
    Volume.Attachment _ = attach(cut);
    separate(cut);
    await("it is still heard", () -> isGone(cut));
    assertThat(delete(false)).isCompleted();
    network.heal();
    await("the nodes do not get well", () -> nodes.stream().allMatch(ClusterNode::isHealthy));

    // The only replica is on a node that can't be asked, and may serve whoever is there.
    create(1);
    ClusterNode only = nodes.get(members().getFirst() - 1);
    if (only == leader()) {
      return;
    }
    separate(only);
    await("it is still heard", () -> isGone(only));
    NodeException refused = refusal(delete(false));
    assertThat(refused.reason()).isEqualTo(NodeException.Reason.IN_USE);
    assertThat(refused.getMessage())
        .isEqualTo(
            "whether volume v is in use can't be told, as these nodes do not answer: "
                + only.number
                + "; force it if it is not");
    assertThat(delete(true)).isCompleted();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whoHasNoReplicaNamesAMemberThatIsThere(long seed) {
    begin(seed, Set.of());
    create(3);
    List<Integer> members = members();
    ClusterNode without =
        nodes.stream().filter(node -> !members.contains(node.number)).findFirst().orElseThrow();
    await("it is not shown", () -> named(without) > 0);
    // The first one is dead: it was the one that was always named.
    nodes.get(members.getFirst() - 1).kill();
    await("it is still named", () -> named(without) != members.getFirst());
    assertThat(members).contains(named(without));
    nodes.get(members.get(1) - 1).kill();
    await("it is still heard", () -> named(without) == members.get(2));
    nodes.get(members.get(2) - 1).kill();
    await("it is still heard", () -> refusalOfReplica(without).node() < 1);
    assertThat(refusalOfReplica(without).getMessage())
        .startsWith("no node that has a replica of volume v can be reached from here: ");
  }

  private int named(ClusterNode node) {
    return refusalOfReplica(node).node();
  }

  private NodeException refusalOfReplica(ClusterNode node) {
    CompletableFuture<LogVolume> answer = node.node().replica(VOLUME);
    await("no answer", answer::isDone);
    return refusal(answer);
  }

  private boolean isGone(ClusterNode cut) {
    var answer = leader().node().nodesStatus();
    await("no answer", answer::isDone);
    return !answer.isCompletedExceptionally()
        && answer.resultNow().nodes().get(cut.number - 1).silentMs() > 1000;
  }

  private void separate(ClusterNode cut) {
    for (ClusterNode node : nodes) {
      if (node != cut) {
        network.block(cut.number, node.number);
        network.block(node.number, cut.number);
      }
    }
  }

  private ClusterNode member() {
    return nodes.get(members().getFirst() - 1);
  }

  private List<Integer> members() {
    return leader().node().entries().getFirst().members();
  }

  private static Volume export(ClusterNode node) {
    return node.node().find(VOLUME);
  }

  private Volume.Attachment attach(ClusterNode node) {
    await("the volume is not shown", () -> export(node) != null);
    Volume.Attachment client = () -> {};
    boolean _ = export(node).attach(client);
    for (int i = 0; i < 100; i++) {
      cycle();
    }
    return client;
  }

  private CompletableFuture<Void> delete(boolean force) {
    CompletableFuture<Void> answer = leader().node().deleteVolume(VOLUME, force);
    await("it is not answered", answer::isDone);
    return answer;
  }

  private static NodeException refusal(CompletableFuture<?> answer) {
    assertThat(answer).isCompletedExceptionally();
    return (NodeException) answer.exceptionNow();
  }

  private void create(int replicas) {
    LogVolume _ =
        ask(
            leader(),
            node ->
                node.createVolume(
                    VOLUME,
                    ClusterVolume.LEAST_BYTES,
                    FlushPolicy.FLUSH,
                    VolumeSettings.DEFAULT,
                    OptionalInt.of(replicas)));
  }

  /** Goes where it is sent, until it is done. */
  private <T> T ask(ClusterNode first, Function<StorageNode, CompletableFuture<T>> question) {
    ClusterNode[] asked = {first};
    List<CompletableFuture<T>> answers = new ArrayList<>();
    await(
        "a command is not done",
        () -> {
          CompletableFuture<T> last = answers.isEmpty() ? null : answers.getLast();
          if (last != null && last.isDone() && !last.isCompletedExceptionally()) {
            return true;
          }
          if (last != null && last.isDone() && refusal(last).node() > 0) {
            asked[0] = nodes.get(refusal(last).node() - 1);
          }
          if (last == null || last.isDone()) {
            answers.add(question.apply(asked[0].node()));
          }
          return false;
        });
    return answers.getLast().resultNow();
  }

  private void begin(long seed, Set<CatalogueBug> bugs) {
    SimRandom random = new SimRandom(seed);
    network = new SimNetwork(random);
    List<ClusterMap.Member> all =
        IntStream.rangeClosed(1, NODES)
            .mapToObj(number -> new ClusterMap.Member(number, "node-" + number, 10830, "", ""))
            .toList();
    ClusterSettings settings =
        new ClusterSettings(
            network,
            random,
            all,
            1,
            64,
            Set.of(),
            new ClusterBugs(Set.of(), Set.of(), bugs),
            KEEPER,
            0,
            true);
    for (int number = 1; number <= NODES; number++) {
      nodes.add(new ClusterNode(number, settings));
    }
    nodes.forEach(ClusterNode::start);
    await("the nodes do not begin", () -> nodes.stream().allMatch(ClusterNode::isHealthy));
    await("nobody leads", () -> nodes.stream().anyMatch(ClusterNode::leadsCatalogue));
  }

  private ClusterNode leader() {
    await("nobody leads", () -> nodes.stream().anyMatch(ClusterNode::leadsCatalogue));
    return nodes.stream().filter(ClusterNode::leadsCatalogue).findFirst().orElseThrow();
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
