package io.plinth.target.admin;

import java.util.List;

/**
 * Where the replicas of a volume of a cluster are.
 *
 * @param nodes the nodes that have one
 * @param leader the one that serves clients, as far as the node that was asked knows; null for none
 */
public record ReplicasInfo(List<Integer> nodes, Integer leader) {
  /** Copies the list. */
  public ReplicasInfo {
    nodes = List.copyOf(nodes);
  }
}
