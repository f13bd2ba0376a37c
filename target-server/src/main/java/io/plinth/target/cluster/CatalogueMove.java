package io.plinth.target.cluster;

import io.plinth.log.replication.Members;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * How the group of the catalogue follows the nodes, once some have joined: the next step, as {@link
 * GroupMove} has them. Every node that is not removed has the catalogue: those that the cluster has
 * begun with vote, those that joined learn. A voter that is removed is replaced by one that learns
 * and has everything; as long as there is none it stays.
 */
public final class CatalogueMove {
  private CatalogueMove() {}

  /**
   * Returns the next step.
   *
   * @param members the present ones; the change that made them is durable on a majority
   * @param nodes those that are not removed, in the order of their numbers
   * @param voters how many are to vote
   * @param self the leader
   * @param mayVote which nodes may take the place of a voter: they are in service
   * @param reachable which nodes can be reached
   * @param upToDate which members have everything
   */
  public static GroupMove.Step next(
      Members members,
      List<Integer> nodes,
      int voters,
      int self,
      IntPredicate mayVote,
      IntPredicate reachable,
      IntPredicate upToDate) {
    Optional<Integer> missing = nodes.stream().filter(node -> !members.contains(node)).findFirst();
    if (missing.isPresent()) {
      return new GroupMove.Step(GroupMove.Kind.ADD, missing.get());
    }
    Optional<Integer> removed =
        members.learners().stream().filter(node -> !nodes.contains(node)).findFirst();
    if (removed.isPresent()) {
      return new GroupMove.Step(GroupMove.Kind.REMOVE, removed.get());
    }
    List<Integer> wanted =
        new ArrayList<>(members.voters().stream().filter(nodes::contains).toList());
    List<Integer> rising = new ArrayList<>();
    for (int learner : members.learners()) {
      if (wanted.size() < voters && mayVote.test(learner) && reachable.test(learner)) {
        wanted.add(learner);
        rising.add(learner);
      }
    }
    if (wanted.size() < voters) {
      return new GroupMove.Step(GroupMove.Kind.WAIT, 0);
    }
    return GroupMove.next(new Members(members.voters(), rising), wanted, self, reachable, upToDate);
  }
}
