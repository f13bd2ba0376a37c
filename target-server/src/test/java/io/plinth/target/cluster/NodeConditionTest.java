package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.cluster.NodeCondition.Facts;
import io.plinth.target.cluster.NodeCondition.State;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class NodeConditionTest {
  private static NodeCondition judge(NodeRole role, long silentS, int replicas, int leaving) {
    return judge(role, silentS, replicas, leaving, false, List.of(), List.of());
  }

  private static NodeCondition judge(
      NodeRole role,
      long silentS,
      int replicas,
      int leaving,
      boolean isNew,
      List<String> problems,
      List<String> blocked) {
    Facts facts =
        new Facts(
            3,
            role,
            TimeUnit.SECONDS.toNanos(silentS),
            isNew,
            replicas,
            leaving,
            problems,
            blocked);
    return NodeCondition.of(facts, KeeperSettings.DEFAULT);
  }

  @Test
  void aNodeThatIsWellNeedsNoWords() {
    NodeCondition condition = judge(NodeRole.IN_SERVICE, 0, 2, 0);
    assertThat(condition.state()).isEqualTo(State.ACTIVE);
    assertThat(condition.words()).isEmpty();
  }

  @Test
  void silenceIsToldBeforeItCounts() {
    NodeCondition condition = judge(NodeRole.IN_SERVICE, 12, 2, 0);
    assertThat(condition.state()).isEqualTo(State.ACTIVE);
    assertThat(condition.words())
        .containsExactly("not heard for 12 s", "it counts as unreachable after 30 s");
  }

  @Test
  void whoIsUnreachableIsGivenUpAtATime() {
    NodeCondition condition =
        judge(NodeRole.IN_SERVICE, 45, 2, 0, false, List.of(), List.of("v stays: so"));
    assertThat(condition.state()).isEqualTo(State.UNREACHABLE);
    assertThat(condition.words())
        .containsExactly(
            "not heard for 45 s",
            "volumes are served by their other replicas",
            "in 9 min 15 s its replicas are rebuilt on other nodes",
            "v stays: so");
  }

  @Test
  void whoIsGivenUpTellsWhatIsLeft() {
    NodeCondition condition = judge(NodeRole.IN_SERVICE, 600, 2, 1);
    assertThat(condition.state()).isEqualTo(State.FAILED);
    assertThat(condition.words())
        .containsExactly(
            "not heard for 10 min",
            "its replicas are rebuilt on other nodes: 2 are left, 1 of them on their way");
    assertThat(judge(NodeRole.IN_SERVICE, 7260, 0, 0).words())
        .containsExactly(
            "not heard for 2 h 1 min", "it has no replicas: what it had is on other nodes");
  }

  @Test
  void problemsOfReplicasMakeItDegradedAndAnEmptyDirectoryJoining() {
    List<String> problems = List.of("the replica of volume v has stopped");
    NodeCondition degraded =
        judge(NodeRole.IN_SERVICE, 0, 2, 0, false, problems, List.of("of no use"));
    assertThat(degraded.state()).isEqualTo(State.DEGRADED);
    assertThat(degraded.words()).isEqualTo(problems);
    assertThat(judge(NodeRole.IN_SERVICE, 0, 2, 0, true, problems, List.of()).state())
        .isEqualTo(State.JOINING);
  }

  @Test
  void whatPeopleDecideComesFirst() {
    NodeCondition draining = judge(new NodeRole(NodeRole.Kind.DRAINING, 4), 0, 2, 1);
    assertThat(draining.state()).isEqualTo(State.DRAINING);
    assertThat(draining.words())
        .containsExactly(
            "its replicas go to other nodes: 2 are left, 1 of them on their way",
            "node 4 takes its place where it can");
    assertThat(judge(new NodeRole(NodeRole.Kind.DRAINING, 0), 0, 0, 0).words())
        .containsExactly("it has no replicas any more, and may be stopped or removed");
    NodeCondition removed = judge(new NodeRole(NodeRole.Kind.REMOVED, 0), 3600, 0, 0);
    assertThat(removed.state()).isEqualTo(State.REMOVED);
    assertThat(removed.words())
        .containsExactly("not heard for 1 h 0 min", "it is not to come back");
  }
}
