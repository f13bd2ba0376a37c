package io.plinth.log.replication;

import java.util.function.IntFunction;

/**
 * Who has replicas of the groups of a log.
 *
 * @param node the number of this node, as members have it
 * @param first the members of each group before its first entry
 */
public record GroupMembers(int node, IntFunction<int[]> first) {
  /** Returns those of a node that is in no cluster: it is the only member of all groups. */
  public static GroupMembers alone() {
    return new GroupMembers(0, group -> new int[] {0});
  }
}
