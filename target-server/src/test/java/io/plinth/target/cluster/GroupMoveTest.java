package io.plinth.target.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.replication.Members;
import io.plinth.target.cluster.GroupMove.Kind;
import io.plinth.target.cluster.GroupMove.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class GroupMoveTest {
  private static final Set<Integer> ALL = Set.of(1, 2, 3, 4, 5);

  private static Members members(Integer... voters) {
    return new Members(List.of(voters), List.of());
  }

  private static Members learning(int learner, Integer... voters) {
    return new Members(List.of(voters), List.of(learner));
  }

  private static Step next(
      Members members, List<Integer> wanted, Set<Integer> reachable, Set<Integer> upToDate) {
    return GroupMove.next(members, wanted, 1, reachable::contains, upToDate::contains);
  }

  @Test
  void whoComesLearnsFirst() {
    assertThat(next(members(1, 2, 3), List.of(1, 2, 4), ALL, Set.of(1, 2, 3)))
        .isEqualTo(new Step(Kind.ADD, 4));
  }

  @Test
  void whoLearnsVotesOnlyWhenItHasEverything() {
    Members members = learning(4, 1, 2, 3);
    assertThat(next(members, List.of(1, 2, 4), ALL, Set.of(1, 2, 3)).kind()).isEqualTo(Kind.WAIT);
    assertThat(next(members, List.of(1, 2, 4), ALL, Set.of(1, 2, 3, 4)))
        .isEqualTo(new Step(Kind.PROMOTE, 4));
  }

  @Test
  void whoGoesVotesUntilTheOtherDoes() {
    assertThat(next(members(1, 2, 3, 4), List.of(1, 2, 4), ALL, ALL))
        .isEqualTo(new Step(Kind.REMOVE, 3));
    assertThat(next(members(1, 2, 4), List.of(1, 2, 4), ALL, ALL).kind()).isEqualTo(Kind.DONE);
  }

  @Test
  void whoIsLostGoesJustBeforeTheOtherVotes() {
    Members members = learning(4, 1, 2, 3);
    Set<Integer> alive = Set.of(1, 2, 4);
    assertThat(next(members, List.of(1, 2, 4), alive, Set.of(1, 2)).kind()).isEqualTo(Kind.WAIT);
    assertThat(next(members, List.of(1, 2, 4), alive, alive)).isEqualTo(new Step(Kind.REMOVE, 3));
    assertThat(next(learning(4, 1, 2), List.of(1, 2, 4), alive, alive))
        .isEqualTo(new Step(Kind.PROMOTE, 4));
  }

  @Test
  void noStepLeavesLessThanAMajorityOfThoseThatHaveEverything() {
    assertThat(next(members(1, 2, 3, 4), List.of(1, 2, 4), ALL, Set.of(1, 3)).kind())
        .isEqualTo(Kind.WAIT);
    assertThat(next(learning(4, 1, 2, 3), List.of(1, 2, 4), ALL, Set.of(1, 4)).kind())
        .isEqualTo(Kind.WAIT);
  }

  @Test
  void aMoveIsTurnedBackByWantingWhatWas() {
    assertThat(next(learning(4, 1, 2, 3), List.of(1, 2, 3), ALL, ALL))
        .isEqualTo(new Step(Kind.REMOVE, 4));
    assertThat(next(members(1, 2, 3, 4), List.of(1, 2, 3), ALL, ALL))
        .isEqualTo(new Step(Kind.REMOVE, 4));
    assertThat(next(members(1, 2, 4), List.of(1, 2, 3), ALL, ALL)).isEqualTo(new Step(Kind.ADD, 3));
  }

  @Test
  void whoWasToComeStaysWhileAVoterIsMissing() {
    Members members = learning(4, 1, 2);
    assertThat(next(members, List.of(1, 2, 3), ALL, ALL)).isEqualTo(new Step(Kind.ADD, 3));
    Members both = new Members(List.of(1, 2), List.of(3, 4));
    assertThat(next(both, List.of(1, 2, 3), ALL, ALL)).isEqualTo(new Step(Kind.PROMOTE, 3));
  }

  @Test
  void aLeaderThatGoesLetsAnotherOneLead() {
    assertThat(next(members(1, 2, 3, 4), List.of(2, 3, 4), ALL, Set.of(1, 3, 4)))
        .isEqualTo(new Step(Kind.HAND_OVER, 3));
    assertThat(next(members(1, 2, 3, 4), List.of(2, 3, 4), Set.of(1), ALL).kind())
        .isEqualTo(Kind.WAIT);
  }

  @Test
  void whoLagsOrIsSilentIsNotGivenTheLead() {
    List<Integer> staying = List.of(2, 3, 4);
    assertThat(GroupMove.successor(staying, Set.of(2, 4)::contains, Set.of(1, 3, 4)::contains))
        .contains(4);
    assertThat(GroupMove.successor(staying, ALL::contains, Set.of(1)::contains)).isEmpty();
  }

  /**
   * From whatever members, with whoever is away, each step keeps a majority that has everything.
   */
  @Test
  void everyMoveOfLivingNodesEndsWhereItIsWanted() {
    List<List<Integer>> wanted = List.of(List.of(1, 2, 3), List.of(1, 2, 4), List.of(3, 4, 5));
    for (List<Integer> target : wanted) {
      for (List<Integer> from : wanted) {
        int self = from.get(0);
        Members members = new Members(from, List.of());
        Set<Kind> kinds = new TreeSet<>();
        for (int steps = 0; steps < 30; steps++) {
          Step step = GroupMove.next(members, target, self, ALL::contains, ALL::contains);
          boolean _ = kinds.add(step.kind());
          switch (step.kind()) {
            case ADD -> members = change(members, step.node(), 1);
            case PROMOTE -> members = change(members, step.node(), 2);
            case REMOVE -> members = change(members, step.node(), 0);
            case HAND_OVER -> self = step.node();
            case WAIT, DONE -> {}
          }
          assertThat(members.voters()).hasSizeBetween(3, 4);
        }
        assertThat(members).isEqualTo(new Members(target, List.of()));
        assertThat(kinds).contains(Kind.DONE);
      }
    }
  }

  private static Members change(Members before, int node, int to) {
    List<Integer> voters = new ArrayList<>();
    List<Integer> learners = new ArrayList<>();
    for (int other = 1; other <= 5; other++) {
      boolean votes = other == node ? to == 2 : before.voters().contains(other);
      boolean learns = other == node ? to == 1 : before.learners().contains(other);
      if (votes) {
        voters.add(other);
      } else if (learns) {
        learners.add(other);
      }
    }
    return new Members(voters, learners);
  }
}
