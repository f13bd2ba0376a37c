package io.plinth.target.cluster;

import io.plinth.log.replication.Members;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * How a group gets from the members that it has to those that are wanted: the next step, which its
 * leader takes when the one before is durable on a majority. A function of what it sees, so that
 * another leader goes on where the one before has ended, and a move that is wanted no more is
 * turned back by wanting the former members.
 *
 * <p>A node that comes learns first, and is a voter when it has everything; a node that goes is a
 * voter until then. No step is taken after which those that have everything would be no majority. A
 * node that goes and can't be reached is let go just before the new one votes: with both, one more
 * node that fails would be one too many.
 */
public final class GroupMove {
  private GroupMove() {}

  /** What is to be done. */
  public enum Kind {
    /** The node is to learn. */
    ADD,
    /** The node is to vote. */
    PROMOTE,
    /** The node is to be no member any more. */
    REMOVE,
    /** The node is to lead: the leader is one of those that go. */
    HAND_OVER,
    /** Nothing, before somebody has caught up or can be reached. */
    WAIT,
    /** Nothing: the members are those that are wanted. */
    DONE
  }

  /**
   * A step.
   *
   * @param kind what is to be done
   * @param node with which node; 0 for none
   */
  public record Step(Kind kind, int node) {}

  private static final Step WAIT = new Step(Kind.WAIT, 0);

  /**
   * Returns the next step.
   *
   * @param members the present ones; the change that made them is durable on a majority
   * @param wanted the voters to come to
   * @param self the leader
   * @param reachable which nodes can be reached
   * @param upToDate which members have everything
   */
  public static Step next(
      Members members,
      List<Integer> wanted,
      int self,
      IntPredicate reachable,
      IntPredicate upToDate) {
    List<Integer> voters = members.voters();
    List<Integer> learners = members.learners();
    // Where a voter is missing, what was meant for its place is kept until there is another one.
    Optional<Integer> unwanted =
        learners.stream().filter(node -> !wanted.contains(node)).findFirst();
    if (unwanted.isPresent() && voters.size() >= wanted.size()) {
      return new Step(Kind.REMOVE, unwanted.get());
    }
    List<Integer> going = voters.stream().filter(node -> !wanted.contains(node)).toList();
    List<Integer> lost = going.stream().filter(node -> !reachable.test(node)).toList();
    for (int learner : learners) {
      if (!wanted.contains(learner)) {
        continue;
      }
      if (!upToDate.test(learner)) {
        return WAIT;
      }
      if (!lost.isEmpty() && isSafe(without(voters, lost.getFirst()), upToDate)) {
        return new Step(Kind.REMOVE, lost.getFirst());
      }
      return isSafe(with(voters, learner), upToDate) ? new Step(Kind.PROMOTE, learner) : WAIT;
    }
    List<Integer> missing = wanted.stream().filter(node -> !voters.contains(node)).toList();
    if (!missing.isEmpty() && voters.size() <= wanted.size()) {
      return new Step(Kind.ADD, missing.getFirst());
    }
    if (going.isEmpty()) {
      return new Step(Kind.DONE, 0);
    }
    int next = lost.isEmpty() ? going.getFirst() : lost.getFirst();
    if (next == self) {
      List<Integer> staying = wanted.stream().filter(voters::contains).toList();
      return successor(staying, reachable, upToDate)
          .map(node -> new Step(Kind.HAND_OVER, node))
          .orElse(WAIT);
    }
    return isSafe(without(voters, next), upToDate) ? new Step(Kind.REMOVE, next) : WAIT;
  }

  /**
   * Returns the first of some voters that can lead at once: while one that lags is waited for,
   * clients are refused.
   */
  public static Optional<Integer> successor(
      List<Integer> candidates, IntPredicate reachable, IntPredicate upToDate) {
    return candidates.stream()
        .filter(node -> reachable.test(node) && upToDate.test(node))
        .findFirst();
  }

  private static boolean isSafe(List<Integer> voters, IntPredicate upToDate) {
    long present = voters.stream().filter(upToDate::test).count();
    return present > voters.size() / 2;
  }

  private static List<Integer> with(List<Integer> nodes, int node) {
    List<Integer> more = new ArrayList<>(nodes);
    more.add(node);
    return more;
  }

  private static List<Integer> without(List<Integer> nodes, int node) {
    return nodes.stream().filter(other -> other != node).toList();
  }
}
