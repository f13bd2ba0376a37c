package io.plinth.target.cluster;

import io.plinth.log.replication.Members;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;

/**
 * How the group of the catalogue follows the nodes, once some have joined: the next step, as {@link
 * GroupMove} has them. Every node has the catalogue: those that the cluster has begun with vote,
 * the others learn. A voter that is removed is replaced by a node in service that learns and has
 * everything, and learns itself then, so that it is told if it comes back; as long as there is no
 * other one it stays. Where fewer vote than are to, nodes rise when there are enough of them: two
 * voters can't do without either, so one stays alone until there can be three.
 */
public final class CatalogueMove {
  private CatalogueMove() {}

  /**
   * Returns the next step.
   *
   * @param members the present ones; the change that made them is durable on a majority
   * @param nodes all nodes, in the order of their numbers
   * @param voters how many are to vote, if there are as many
   * @param self the leader
   * @param role what nodes are to be
   * @param reachable which nodes can be reached
   * @param upToDate which members have everything
   */
  public static GroupMove.Step next(
      Members members,
      List<Integer> nodes,
      int voters,
      int self,
      IntFunction<NodeRole> role,
      IntPredicate reachable,
      IntPredicate upToDate) {
    List<Integer> wanted =
        new ArrayList<>(
            members.voters().stream()
                .filter(node -> role.apply(node).kind() != NodeRole.Kind.REMOVED)
                .toList());
    List<Integer> rising = new ArrayList<>();
    for (int learner : members.learners()) {
      // With more voters than before one more may be missing for a majority: they come together.
      boolean isReady = members.voters().size() >= voters || upToDate.test(learner);
      boolean mayVote = role.apply(learner).takesReplicas() && reachable.test(learner) && isReady;
      if (wanted.size() < voters && mayVote) {
        wanted.add(learner);
        rising.add(learner);
      }
    }
    if (wanted.size() >= voters) {
      GroupMove.Step step =
          GroupMove.next(new Members(members.voters(), rising), wanted, self, reachable, upToDate);
      if (step.kind() != GroupMove.Kind.DONE && step.kind() != GroupMove.Kind.WAIT) {
        return step;
      }
    }
    return nodes.stream()
        .filter(node -> !members.contains(node))
        .findFirst()
        .map(node -> new GroupMove.Step(GroupMove.Kind.ADD, node))
        .orElse(new GroupMove.Step(GroupMove.Kind.WAIT, 0));
  }
}
