package io.plinth.target.admin;

import java.util.List;

/**
 * The nodes of a cluster as the leader of the catalogue sees them.
 *
 * @param nodes all of them
 * @param moves what replicas are on their way, a line each
 */
public record NodesInfo(List<NodeState> nodes, List<String> moves) {
  /** Copies the lists. */
  public NodesInfo {
    nodes = List.copyOf(nodes);
    moves = List.copyOf(moves);
  }

  /**
   * A node.
   *
   * @param node its number
   * @param state {@code active}, {@code joining}, {@code degraded}, {@code unreachable}, {@code
   *     failed}, {@code draining} or {@code removed}
   * @param silentMs for how long it has not been heard, in milliseconds
   * @param replicas how many replicas it has, or is to have
   * @param words what is wrong, since when, and what happens next; a line each
   */
  public record NodeState(int node, String state, long silentMs, int replicas, List<String> words) {
    /** Copies the list. */
    public NodeState {
      words = List.copyOf(words);
    }
  }

  /** What follows from a decision about a node; a line each. */
  public record Outcome(List<String> lines) {
    /** Copies the list. */
    public Outcome {
      lines = List.copyOf(lines);
    }
  }
}
