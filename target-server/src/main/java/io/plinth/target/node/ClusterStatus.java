package io.plinth.target.node;

import io.plinth.log.replication.Members;
import java.util.List;

/**
 * A cluster as this node sees it.
 *
 * @param leader the node that leads the catalogue, or -1
 * @param catalogue the nodes that have the catalogue, as this one knows them
 * @param connected the nodes whose log 0 is connected to ours
 * @param volumes how many the catalogue has
 * @param recovering whether this node's replica of the catalogue may have lost what it promised
 * @param stopped how many replicas of volumes on this node have stopped for good
 * @param resyncs replicas that are being brought up to date beside their logs, as far as this node
 *     has to do with it; a line for each
 * @param resyncsCompleted how many of this node's have been since its start
 * @param resyncBytesSent how much this node has sent for others since its start
 */
public record ClusterStatus(
    int leader,
    Members catalogue,
    List<Integer> connected,
    int volumes,
    boolean recovering,
    int stopped,
    List<String> resyncs,
    long resyncsCompleted,
    long resyncBytesSent) {
  /** Copies the lists. */
  public ClusterStatus {
    connected = List.copyOf(connected);
    resyncs = List.copyOf(resyncs);
  }
}
