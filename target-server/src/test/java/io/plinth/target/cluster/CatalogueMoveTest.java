package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.replication.Members;
import io.plinth.target.cluster.GroupMove.Kind;
import io.plinth.target.cluster.GroupMove.Step;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CatalogueMoveTest {
  private static final NodeRole REMOVED = new NodeRole(NodeRole.Kind.REMOVED, 0);
  private static final Set<Integer> ALL = Set.of(1, 2, 3, 4);

  private static Step next(
      Members members,
      Map<Integer, NodeRole> roles,
      Set<Integer> reachable,
      Set<Integer> upToDate) {
    return CatalogueMove.next(
        members,
        List.of(1, 2, 3, 4),
        3,
        1,
        node -> roles.getOrDefault(node, NodeRole.IN_SERVICE),
        reachable::contains,
        upToDate::contains);
  }

  private static Members members(List<Integer> voters, Integer... learners) {
    return new Members(voters, List.of(learners));
  }

  @Test
  void whoHasJoinedLearnsAndDoesNotVote() {
    assertThat(next(members(List.of(1, 2, 3)), Map.of(4, NodeRole.JOINING), ALL, ALL))
        .isEqualTo(new Step(Kind.ADD, 4));
    assertThat(next(members(List.of(1, 2, 3), 4), Map.of(), ALL, ALL).kind()).isEqualTo(Kind.WAIT);
  }

  @Test
  void whoIsRemovedIsReplacedAsAVoterAndLearnsThen() {
    Map<Integer, NodeRole> roles = Map.of(3, REMOVED);
    assertThat(next(members(List.of(1, 2, 3), 4), roles, ALL, ALL))
        .isEqualTo(new Step(Kind.PROMOTE, 4));
    assertThat(next(members(List.of(1, 2, 3, 4)), roles, ALL, ALL))
        .isEqualTo(new Step(Kind.REMOVE, 3));
    assertThat(next(members(List.of(1, 2, 4)), roles, ALL, ALL)).isEqualTo(new Step(Kind.ADD, 3));
    assertThat(next(members(List.of(1, 2, 4), 3), roles, ALL, ALL).kind()).isEqualTo(Kind.WAIT);
  }

  @Test
  void aSingleVoterIsJoinedByTwoOthersTogether() {
    Map<Integer, NodeRole> joining = Map.of(3, NodeRole.JOINING);
    assertThat(next(members(List.of(1), 2), joining, ALL, ALL)).isEqualTo(new Step(Kind.ADD, 3));
    assertThat(next(members(List.of(1), 2, 3, 4), joining, Set.of(1, 2, 3), ALL).kind())
        .isEqualTo(Kind.WAIT);
    assertThat(next(members(List.of(1), 2, 3, 4), Map.of(), ALL, Set.of(1, 2)).kind())
        .isEqualTo(Kind.WAIT);
    assertThat(next(members(List.of(1), 2, 3, 4), Map.of(), ALL, Set.of(1, 2, 4)))
        .isEqualTo(new Step(Kind.PROMOTE, 2));
    assertThat(next(members(List.of(1, 2), 3, 4), Map.of(), ALL, Set.of(1, 2, 4)))
        .isEqualTo(new Step(Kind.PROMOTE, 4));
    assertThat(next(members(List.of(1, 2), 3, 4), Map.of(), ALL, Set.of(1, 2)).kind())
        .isEqualTo(Kind.WAIT);
  }

  @Test
  void whoIsLostGoesJustBeforeTheOtherVotes() {
    Map<Integer, NodeRole> roles = Map.of(3, REMOVED);
    Set<Integer> alive = Set.of(1, 2, 4);
    assertThat(next(members(List.of(1, 2, 3), 4), roles, alive, Set.of(1, 2)).kind())
        .isEqualTo(Kind.WAIT);
    assertThat(next(members(List.of(1, 2, 3), 4), roles, alive, alive))
        .isEqualTo(new Step(Kind.REMOVE, 3));
    assertThat(next(members(List.of(1, 2), 4), roles, alive, alive))
        .isEqualTo(new Step(Kind.PROMOTE, 4));
  }

  @Test
  void withoutANodeInServiceARemovedOneStays() {
    assertThat(next(members(List.of(1, 2, 3), 4), Map.of(3, REMOVED, 4, REMOVED), ALL, ALL).kind())
        .isEqualTo(Kind.WAIT);
    assertThat(
            next(members(List.of(1, 2, 3), 4), Map.of(3, REMOVED, 4, NodeRole.JOINING), ALL, ALL)
                .kind())
        .isEqualTo(Kind.WAIT);
    assertThat(next(members(List.of(1, 2, 3), 4), Map.of(3, REMOVED), Set.of(1, 2, 3), ALL).kind())
        .isEqualTo(Kind.WAIT);
  }

  @Test
  void whoLeadsAndIsRemovedHandsOver() {
    assertThat(next(members(List.of(1, 2, 3, 4)), Map.of(1, REMOVED), ALL, ALL))
        .isEqualTo(new Step(Kind.HAND_OVER, 2));
  }
}
