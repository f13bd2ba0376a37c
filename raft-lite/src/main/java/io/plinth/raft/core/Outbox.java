package io.plinth.raft.core;

import java.util.ArrayList;

/**
 * Messages on their way out. Every message tells the term, many tell the vote: while the newest
 * term and vote are not durable, all of them wait here. If the node dies meanwhile, nobody has seen
 * what it forgot. Who is alone has nobody to tell: it makes them durable when that changes.
 */
final class Outbox {
  /** Messages may be lost: what does not fit any more is. */
  private static final int MAX_HELD = 1024;

  private final RaftCore core;
  private final Actions actions;
  private final ArrayList<Message> held = new ArrayList<>();
  private final Message overflow = new Message();
  private int heldCount;
  private boolean pending;
  private boolean untold;

  Outbox(RaftCore core, Actions actions) {
    this.core = core;
    this.actions = actions;
  }

  Message add(MessageType type, int to) {
    if (untold) {
      persistNow();
    }
    Message message;
    boolean mayGo =
        !pending
            || (core.flaw == Flaw.VOTE_BEFORE_DURABLE && type == MessageType.REQUEST_VOTE_RESPONSE);
    if (mayGo) {
      message = actions.add(Action.Kind.SEND).message;
    } else if (heldCount == MAX_HELD) {
      message = overflow;
    } else {
      if (heldCount == held.size()) {
        held.add(new Message());
      }
      message = held.get(heldCount++);
    }
    Message _ = message.reset(type, core.self, to);
    message.term = core.term;
    message.incarnation = core.incarnation;
    message.recovering = core.recovering;
    message.lostDisk = core.lostDisk;
    message.epoch = core.log.epoch();
    return message;
  }

  /** The hard state changed: it is to be made durable, and until then nothing is sent. */
  void persist() {
    if (core.isAlone()) {
      untold = true;
    } else {
      persistNow();
    }
  }

  /** Returns whether messages are held back until term and vote are durable. */
  boolean isPending() {
    return pending;
  }

  private void persistNow() {
    untold = false;
    pending = true;
    Action action = actions.add(Action.Kind.PERSIST_HARD_STATE);
    action.term = core.term;
    action.node = core.vote;
    action.recovering = core.recovering;
    action.lostDisk = core.lostDisk;
  }

  /** Returns whether what is durable now is the newest: then the held messages go. */
  boolean durable(Message report) {
    if (!pending
        || report.term != core.term
        || report.vote != core.vote
        || report.recovering != core.recovering) {
      return false;
    }
    pending = false;
    for (int i = 0; i < heldCount; i++) {
      Message message = held.get(i);
      if (message.term == core.term || message.type == MessageType.PRE_VOTE) {
        Message _ = actions.add(Action.Kind.SEND).message.copyFrom(message);
      }
    }
    heldCount = 0;
    return true;
  }
}
