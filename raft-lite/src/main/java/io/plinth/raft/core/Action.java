package io.plinth.raft.core;

/** One thing that the caller is to do, or to know. Filled again after {@link Actions#clear}. */
public final class Action {
  /** What is to be done. */
  public enum Kind {
    /** Send {@link #message()}. Nothing that must be durable before is still awaited. */
    SEND,
    /** Drop entries from {@link #firstIndex} on, if any; append up to {@link #index}. */
    APPEND,
    /** Make {@link #term}, {@link #node} (the vote) and {@link #recovering} durable. */
    PERSIST_HARD_STATE,
    /** Entries up to {@link #index} are committed. */
    COMMIT,
    /** Entries up to {@link #index} are committed and durable on a majority. Leader only. */
    FLUSHED,
    /** The replica is {@link #role} in {@link #term}; {@link #node} leads, if known. */
    ROLE,
    /** Read {@link #id} may be answered as soon as entries up to {@link #index} are applied. */
    READ_GRANTED,
    /** Read {@link #id} must be asked elsewhere. */
    READ_REFUSED,
    /** {@link #node} needs entries that are compacted: resynchronize it beside the log. */
    RESYNC_NEEDED,
    /**
     * A newer epoch does not have the committed entries from {@link #index} on: they are lost, and
     * clients that were connected before are to be disconnected.
     */
    COMMITTED_LOST,
    /** The epoch is {@link #term} now: clients that were connected before are disconnected. */
    EPOCH_RAISED,
    /** Make what is appended durable, though nobody waits for it: then the group can rest. */
    SYNC_WANTED,
    /** A leader contradicts committed entry {@link #index}: the replica must stop. */
    CONTRADICTION
  }

  Kind kind = Kind.SEND;
  final Message message = new Message();
  long firstIndex;
  long index;
  long term;
  long ticket;
  long id;
  int node;
  boolean recovering;
  boolean lostDisk;
  Role role = Role.FOLLOWER;

  Action() {}

  /** Returns what is to be done. */
  public Kind kind() {
    return kind;
  }

  /** Returns the message to send. */
  public Message message() {
    return message;
  }

  /** Returns the first index to append. */
  public long firstIndex() {
    return firstIndex;
  }

  /** Returns the index up to which it is about. */
  public long index() {
    return index;
  }

  /** Returns the term. */
  public long term() {
    return term;
  }

  /** Returns the number of this APPEND, which its completions carry. */
  public long ticket() {
    return ticket;
  }

  /** Returns the read's number. */
  public long id() {
    return id;
  }

  /** Returns the node: vote, leader or peer. */
  public int node() {
    return node;
  }

  /** Returns the mark to make durable. */
  public boolean recovering() {
    return recovering;
  }

  /** Returns the other mark to make durable: it is recovering because it has lost its disk. */
  public boolean lostDisk() {
    return lostDisk;
  }

  /** Returns the role. */
  public Role role() {
    return role;
  }
}
