package io.plinth.raft.core;

/** What a majority of replicas has, as figure 2 of the Raft paper asks for commitment. */
public final class Quorum {
  private Quorum() {}

  /** Returns how many of {@code replicas} are a majority. */
  public static int majority(int replicas) {
    return replicas / 2 + 1;
  }

  /**
   * Returns the highest index that a majority of replicas has.
   *
   * @param matchIndexes for each replica the highest index that it has; not changed
   * @param replicas how many entries of the array count, at least one
   */
  public static long committedIndex(long[] matchIndexes, int replicas) {
    if (replicas < 1 || replicas > matchIndexes.length) {
      throw new IllegalArgumentException("replicas=" + replicas);
    }
    int needed = majority(replicas);
    long best = Long.MIN_VALUE;
    // Groups have at most seven replicas: counting is cheaper than sorting a copy.
    for (int i = 0; i < replicas; i++) {
      long candidate = matchIndexes[i];
      if (candidate > best) {
        int holders = 0;
        for (int j = 0; j < replicas; j++) {
          if (matchIndexes[j] >= candidate) {
            holders++;
          }
        }
        if (holders >= needed) {
          best = candidate;
        }
      }
    }
    return best;
  }
}
