package io.plinth.target.admin;

import java.util.List;

/**
 * Where the replicas of a volume of a cluster are.
 *
 * @param nodes the nodes that have one
 * @param leader the one that serves clients, as far as the node that was asked knows; null for none
 * @param resyncs which of them are being brought up to date beside the log, as far as that node has
 *     to do with it; a line for each
 */
public record ReplicasInfo(List<Integer> nodes, Integer leader, List<String> resyncs) {
  /** Copies the lists. */
  public ReplicasInfo {
    nodes = List.copyOf(nodes);
    resyncs = List.copyOf(resyncs);
  }
}
