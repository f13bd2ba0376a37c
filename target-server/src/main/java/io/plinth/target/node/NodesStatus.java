package io.plinth.target.node;

import io.plinth.target.cluster.NodeCondition;
import java.util.List;

/**
 * How the nodes of a cluster are, as the leader of the catalogue sees them.
 *
 * @param nodes all of them
 * @param moves what replicas are on their way, a line each
 */
public record NodesStatus(List<NodeCondition> nodes, List<String> moves) {
  /** Copies the lists. */
  public NodesStatus {
    nodes = List.copyOf(nodes);
    moves = List.copyOf(moves);
  }
}
