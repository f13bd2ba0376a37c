package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import io.plinth.target.node.NodeException;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A volume that has clients on any node is deleted by force only, whichever node is asked; and who
 * has no replica of a volume names a node that has one and can be reached.
 */
@Timeout(120)
class VolumeUseSimTest extends ClusterScene {
  private static final int NODES = 4;
  private static final String VOLUME = "v";
  private static final KeeperSettings KEEPER =
      new KeeperSettings(3_600_000_000_000L, 3_600_000_000_000L, 5_000_000);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void clientsOfAnyNodeKeepAVolumeFromBeingDeleted(long seed) {
    begin(seed, Set.of());
    create(VOLUME, 3);
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
    create(VOLUME, 3);
    ClusterNode other =
        nodes.stream().filter(node -> node != awaitedLeader()).findFirst().orElseThrow();
    Volume.Attachment _ = attach(other);
    assertThat(delete(false)).isCompleted();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aNodeThatCannotBeReachedCountsOnlyWhereItCouldServeClients(long seed) {
    begin(seed, Set.of());
    create(VOLUME, 3);
    ClusterNode cut =
        nodes.stream().filter(node -> node != awaitedLeader()).findFirst().orElseThrow();
    Volume.Attachment _ = attach(cut);
    separate(cut);
    await("it is still heard", () -> isGone(cut));
    assertThat(delete(false)).isCompleted();
    network.heal();
    await("the nodes do not get well", () -> nodes.stream().allMatch(ClusterNode::isHealthy));

    // The only replica is on a node that can't be asked, and may serve whoever is there.
    create(VOLUME, 1);
    ClusterNode only = nodes.get(members().getFirst() - 1);
    if (only == awaitedLeader()) {
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
    create(VOLUME, 3);
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
    var answer = awaitedLeader().node().nodesStatus();
    await("no answer", answer::isDone);
    return !answer.isCompletedExceptionally()
        && answer.resultNow().nodes().get(cut.number - 1).silentMs() > 1000;
  }

  private ClusterNode member() {
    return nodes.get(members().getFirst() - 1);
  }

  private List<Integer> members() {
    return awaitedLeader().node().entries().getFirst().members();
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
    CompletableFuture<Void> answer = awaitedLeader().node().deleteVolume(VOLUME, force);
    await("it is not answered", answer::isDone);
    return answer;
  }

  private static NodeException refusal(CompletableFuture<?> answer) {
    assertThat(answer).isCompletedExceptionally();
    return (NodeException) answer.exceptionNow();
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
    begin(seed, NODES, 1, new ClusterBugs(Set.of(), Set.of(), bugs), KEEPER);
  }

  private ClusterNode awaitedLeader() {
    await("nobody leads", () -> leader() != null);
    return leader();
  }
}
