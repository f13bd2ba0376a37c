package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.log.replication.Replica;
import java.util.List;
import java.util.stream.Collectors;

/** An operation on a node was refused or failed; the message is one line for a person. */
public final class NodeException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Why. */
  public enum Reason {
    /** There is no such volume or snapshot. */
    NOT_FOUND,
    /** There is one of that name. */
    EXISTS,
    /** Clients are using it, it is being changed, or data would be lost. */
    IN_USE,
    /** What was asked for can't be. */
    INVALID,
    /** The log is full. */
    NO_SPACE,
    /** Another node is to be asked: see {@link NodeException#node}. */
    ELSEWHERE,
    /** The node is stopping or has failed. */
    UNAVAILABLE
  }

  private final Reason reason;
  private final int node;

  NodeException(Reason reason, String message) {
    this(reason, message, Replica.NO_NODE);
  }

  private NodeException(Reason reason, String message, int node) {
    super(message);
    this.reason = reason;
    this.node = node;
  }

  /** Another node leads what was to be changed, or none does. */
  static NodeException elsewhere(String what, int leader) {
    return leader == Replica.NO_NODE
        ? new NodeException(
            Reason.UNAVAILABLE,
            "no node leads "
                + what
                + " at present: too few nodes can be reached, or it is being"
                + " elected; try again")
        : new NodeException(Reason.ELSEWHERE, "node " + leader + " leads " + what, leader);
  }

  /** Another node has a replica of what was asked about, and this one has none. */
  static NodeException onlyAt(String what, int node) {
    return new NodeException(
        Reason.ELSEWHERE,
        "node " + node + " has a replica of " + what + ", this one has none",
        node);
  }

  /** No node that could answer can be reached. */
  static NodeException unreachable(String what, List<Integer> nodes) {
    return new NodeException(
        Reason.UNAVAILABLE,
        "no node that has a replica of "
            + what
            + " can be reached from here: "
            + nodes.stream().map(String::valueOf).collect(Collectors.joining(", ")));
  }

  static NodeException tooManyTrees(int maximum) {
    return new NodeException(
        Reason.NO_SPACE,
        "the log holds "
            + maximum
            + " volumes and snapshots, those kept for log.retention among them, and can't hold more;"
            + " delete some");
  }

  static NodeException unavailable() {
    return new NodeException(Reason.UNAVAILABLE, "the node is stopping");
  }

  static NodeException ofStatus(int status) {
    if (status == Status.ENOSPC) {
      return new NodeException(Reason.NO_SPACE, "the log is full");
    }
    if (status == Status.EREMOTE || status == Status.ESTALE) {
      return new NodeException(
          Reason.UNAVAILABLE,
          "the lead went to another node meanwhile: look whether it was done before trying again");
    }
    if (status == Status.ENOENT) {
      return new NodeException(Reason.NOT_FOUND, "what was asked for was deleted meanwhile");
    }
    return new NodeException(
        Reason.UNAVAILABLE, "the log takes no more records: " + Status.name(status));
  }

  /** Returns what a client of the block protocol is told. */
  int status() {
    return switch (reason) {
      case IN_USE -> Status.EPERM;
      case INVALID -> Status.EINVAL;
      case NO_SPACE -> Status.ENOSPC;
      case NOT_FOUND -> Status.ESHUTDOWN;
      case EXISTS, UNAVAILABLE, ELSEWHERE -> Status.EIO;
    };
  }

  /** Returns the node to ask, of ELSEWHERE. */
  public int node() {
    return node;
  }

  /** Returns why. */
  public Reason reason() {
    return reason;
  }
}
