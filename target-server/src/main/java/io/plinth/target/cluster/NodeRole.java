package io.plinth.target.cluster;

/**
 * What a node of a cluster is to be: a decision of people, which the catalogue keeps.
 *
 * @param kind whether it has replicas
 * @param replacement the node that is to have its replicas, if it can; 0 for any
 */
public record NodeRole(Kind kind, int replacement) {
  /** The role of a node that was admitted and has not been given the catalogue. */
  public static final NodeRole JOINING = new NodeRole(Kind.JOINING, 0);

  /** The role of every node of which nothing else was said. */
  public static final NodeRole IN_SERVICE = new NodeRole(Kind.IN_SERVICE, 0);

  /** Whether a node has replicas. */
  public enum Kind {
    /** It has replicas, and gets more. */
    IN_SERVICE(0),
    /** Its replicas go to other nodes, and it gets none. */
    DRAINING(1),
    /** It is not to come back: what it has is lost, and it gets nothing. */
    REMOVED(2),
    /** It was admitted, and gets replicas when it has the catalogue. */
    JOINING(3);

    private final int code;

    Kind(int code) {
      this.code = code;
    }

    /** Returns the number by which it is written. */
    byte code() {
      return (byte) code;
    }
  }

  /**
   * Returns a role as it was written.
   *
   * @throws IllegalArgumentException when there is none of that number
   */
  static NodeRole of(byte code, int replacement) {
    for (Kind kind : Kind.values()) {
      if (kind.code == code) {
        return new NodeRole(kind, replacement);
      }
    }
    throw new IllegalArgumentException("unknown role " + code + " of a node");
  }

  /** Returns whether it may get replicas. */
  public boolean takesReplicas() {
    return kind == Kind.IN_SERVICE;
  }

  /** Returns whether its replicas are to go elsewhere. */
  public boolean isLeaving() {
    return kind == Kind.DRAINING || kind == Kind.REMOVED;
  }
}
