package io.plinth.target.admin;

import java.util.List;

/**
 * Where the replicas of a volume of a cluster are.
 *
 * @param nodes the nodes that have one
 * @param leader the one that serves clients, as far as the node that was asked knows; null for none
 * @param behind how many entries of the volume's log each of them lacks, in the order of the nodes;
 *     null when the node that was asked does not lead
 * @param resyncs which of them are being brought up to date beside the log, as far as that node has
 *     to do with it; a line for each
 */
public record ReplicasInfo(
    List<Integer> nodes, Integer leader, List<Long> behind, List<String> resyncs) {
  /** Copies the lists. */
  public ReplicasInfo {
    nodes = List.copyOf(nodes);
    behind = behind == null ? null : List.copyOf(behind);
    resyncs = List.copyOf(resyncs);
  }
}
