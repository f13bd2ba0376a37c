package io.plinth.log.replication;

import io.plinth.raft.core.Membership;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Who belongs to a group, for its owner.
 *
 * @param voters the nodes that vote, in ascending order
 * @param learners those that only learn, in ascending order
 */
public record Members(List<Integer> voters, List<Integer> learners) {
  /** Keeps copies of the lists. */
  public Members {
    voters = List.copyOf(voters);
    learners = List.copyOf(learners);
  }

  static Members of(Membership members) {
    return new Members(
        IntStream.range(0, members.voterCount()).mapToObj(members::voter).toList(),
        IntStream.range(0, members.learnerCount()).mapToObj(members::learner).toList());
  }

  /** Returns whether a node votes or learns. */
  public boolean contains(int node) {
    return voters.contains(node) || learners.contains(node);
  }

  @Override
  public String toString() {
    return "voters " + voters + " learners " + learners;
  }
}
