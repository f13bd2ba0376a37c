package io.plinth.target.node;

import io.plinth.engine.api.Status;

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
    /** The node is stopping or has failed. */
    UNAVAILABLE
  }

  private final Reason reason;

  NodeException(Reason reason, String message) {
    super(message);
    this.reason = reason;
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
      case EXISTS, UNAVAILABLE -> Status.EIO;
    };
  }

  /** Returns why. */
  public Reason reason() {
    return reason;
  }
}
