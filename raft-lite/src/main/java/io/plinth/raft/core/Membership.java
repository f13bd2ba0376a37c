package io.plinth.raft.core;

import java.util.Arrays;

/** Who belongs to a group. Immutable; node numbers are in ascending order. */
public final class Membership {
  private final int[] voters;
  private final int[] learners;

  private Membership(int[] voters, int[] learners) {
    this.voters = voters;
    this.learners = learners;
  }

  /** Returns a group of these voters and no learners. */
  public static Membership of(int... voters) {
    int[] sorted = voters.clone();
    Arrays.sort(sorted);
    for (int i = 0; i < sorted.length; i++) {
      if (sorted[i] < 0 || (i > 0 && sorted[i] == sorted[i - 1])) {
        throw new IllegalArgumentException("voters=" + Arrays.toString(voters));
      }
    }
    return new Membership(sorted, new int[0]);
  }

  /**
   * Returns a group of these voters and learners.
   *
   * @throws IllegalArgumentException when a number is there twice, or negative
   */
  public static Membership of(int[] voters, int[] learners) {
    Membership result = of(voters);
    for (int learner : learners) {
      if (!result.allows(EntryKind.ADD_LEARNER, learner)) {
        throw new IllegalArgumentException("learners=" + Arrays.toString(learners));
      }
      result = result.with(EntryKind.ADD_LEARNER, learner);
    }
    return result;
  }

  /** Returns how many voters there are. */
  public int voterCount() {
    return voters.length;
  }

  /** Returns voter {@code i}, from 0. */
  public int voter(int i) {
    return voters[i];
  }

  /** Returns how many learners there are. */
  public int learnerCount() {
    return learners.length;
  }

  /** Returns learner {@code i}, from 0. */
  public int learner(int i) {
    return learners[i];
  }

  /** Returns whether {@code node} votes. */
  public boolean isVoter(int node) {
    return Arrays.binarySearch(voters, node) >= 0;
  }

  /** Returns whether {@code node} is the only member. */
  public boolean isOnly(int node) {
    return voters.length == 1 && voters[0] == node && learners.length == 0;
  }

  /** Returns whether {@code node} is a learner. */
  public boolean isLearner(int node) {
    return Arrays.binarySearch(learners, node) >= 0;
  }

  /** Returns whether the change makes sense here: see {@link EntryKind}. The last voter stays. */
  boolean allows(EntryKind change, int node) {
    return switch (change) {
      case ADD_LEARNER -> node >= 0 && !isVoter(node) && !isLearner(node);
      case PROMOTE -> isLearner(node);
      case REMOVE -> isLearner(node) || (isVoter(node) && voters.length > 1);
      case PAYLOAD, NO_OP, EPOCH -> false;
    };
  }

  /** Returns the same members but one. */
  public Membership without(int node) {
    return with(EntryKind.REMOVE, node);
  }

  Membership with(EntryKind change, int node) {
    return switch (change) {
      case ADD_LEARNER -> new Membership(voters, plus(learners, node));
      case PROMOTE -> new Membership(plus(voters, node), minus(learners, node));
      case REMOVE -> new Membership(minus(voters, node), minus(learners, node));
      case PAYLOAD, NO_OP, EPOCH -> this;
    };
  }

  private static int[] plus(int[] nodes, int node) {
    int[] more = Arrays.copyOf(nodes, nodes.length + 1);
    more[nodes.length] = node;
    Arrays.sort(more);
    return more;
  }

  private static int[] minus(int[] nodes, int node) {
    return Arrays.stream(nodes).filter(other -> other != node).toArray();
  }

  @Override
  public String toString() {
    return "voters " + Arrays.toString(voters) + " learners " + Arrays.toString(learners);
  }
}
