package io.plinth.target.node;

import java.util.List;

/**
 * A cluster as this node sees it.
 *
 * @param leader the node that leads the catalogue, or -1
 * @param connected the nodes whose log 0 is connected to ours
 * @param volumes how many the catalogue has
 * @param recovering whether this node's replica of the catalogue may have lost what it promised
 * @param stopped how many replicas of volumes on this node have stopped for good
 * @param resyncsNeeded how often another node was found to lack entries that are kept no more
 */
public record ClusterStatus(
    int leader,
    List<Integer> connected,
    int volumes,
    boolean recovering,
    int stopped,
    long resyncsNeeded) {
  /** Copies the list. */
  public ClusterStatus {
    connected = List.copyOf(connected);
  }
}
