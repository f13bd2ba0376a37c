package io.plinth.raft.core;

import java.util.Arrays;

/**
 * One message, a plain structure that is filled again and again: who keeps one beyond the call
 * copies it. The fields are public because codecs read and write every one of them.
 *
 * <p>Places are the sender's. Who delivers an APPEND replaces them by the places that the payload
 * has here.
 */
public final class Message {
  /** What it is; decides which of the other fields mean something. */
  public MessageType type = MessageType.HEARTBEAT;

  /** The sender. */
  public int from;

  /** The receiver. */
  public int to;

  /** The sender's term; of PRE_VOTE the one that it would stand in. */
  public long term;

  /** The sender's incarnation: see {@link RaftStart}. */
  public long incarnation;

  /**
   * APPEND: the entry before the first one. Votes: the candidate's last entry. APPEND_RESPONSE: up
   * to where sender and leader agree, or where they should look next. Storage: up to where.
   */
  public long index;

  /** The term of the entry at {@link #index}; of a refused APPEND_RESPONSE, a bound on it. */
  public long logTerm;

  /** Refused APPEND_RESPONSE: the index of the APPEND that it answers. */
  public long refusedIndex;

  /** The leader's commit index. */
  public long commit;

  /** The epoch of the sender's log. */
  public long epoch;

  /** APPEND_RESPONSE: up to here the sender has what the leader has, safe from kill -9. */
  public long appended;

  /** APPEND_RESPONSE: the same, safe from loss of power. */
  public long durable;

  /** Which round of votes or of heartbeats is asked or answered. */
  public long round;

  /** The leader's tick when it sent, echoed by the answer. */
  public long tick;

  /** Leader to a recovering follower: the incarnation that {@link #recoverTo} is for. */
  public long recoverIncarnation;

  /** Leader to a recovering follower: who has this has all that may have been committed. */
  public long recoverTo;

  /** Answers: granted, or entries accepted. */
  public boolean granted;

  /** Whether the sender is recovering. */
  public boolean recovering;

  /** Whether the sender is recovering because it has lost its disk. */
  public boolean lostDisk;

  /** Answers to votes: whether the candidate's log is at least as complete as the sender's. */
  public boolean logOk;

  /** REQUEST_VOTE: the leader asked for this election. */
  public boolean transfer;

  /** REQUEST_VOTE: a majority is recovering, their votes count. */
  public boolean recoveryElection;

  /** HEARTBEAT: the leader would go quiet. APPEND_RESPONSE: the follower has, until woken. */
  public boolean quiet;

  /** APPENDED, DURABLE: of the newest APPEND action that is done. */
  public long ticket;

  /** HARD_STATE_DURABLE: the vote that is durable. */
  public int vote;

  /** How many entries there are; the arrays may be longer. */
  public int entryCount;

  /** The entries' terms. */
  public long[] terms = new long[0];

  /** The entries' places. */
  public long[] places = new long[0];

  /** The lengths of the entries' payloads in bytes. */
  public int[] lengthsBytes = new int[0];

  /** The entries' kinds. */
  public EntryKind[] kinds = new EntryKind[0];

  /** Whom the entries are about, where they change the membership. */
  public int[] subjects = new int[0];

  /** Creates an empty message. */
  public Message() {}

  /** Makes it a new message: every field but these is zero. */
  public Message reset(MessageType newType, int newFrom, int newTo) {
    type = newType;
    from = newFrom;
    to = newTo;
    term = 0;
    incarnation = 0;
    index = 0;
    logTerm = 0;
    refusedIndex = 0;
    commit = 0;
    epoch = 0;
    appended = 0;
    durable = 0;
    round = 0;
    tick = 0;
    recoverIncarnation = 0;
    recoverTo = 0;
    granted = false;
    recovering = false;
    lostDisk = false;
    logOk = false;
    transfer = false;
    recoveryElection = false;
    quiet = false;
    ticket = 0;
    vote = RaftCore.NO_NODE;
    entryCount = 0;
    return this;
  }

  /** Makes it the report that everything up to this ticket and index is appended. */
  public Message appendedUpTo(int self, long upToTicket, long upToIndex) {
    return reset(MessageType.APPENDED, self, self).upTo(upToTicket, upToIndex);
  }

  /** Makes it the report that everything up to this ticket and index is durable. */
  public Message durableUpTo(int self, long upToTicket, long upToIndex) {
    return reset(MessageType.DURABLE, self, self).upTo(upToTicket, upToIndex);
  }

  /** Makes it the report that this hard state is durable. */
  public Message hardStateDurable(int self, long newTerm, int newVote, boolean isRecovering) {
    Message _ = reset(MessageType.HARD_STATE_DURABLE, self, self);
    term = newTerm;
    vote = newVote;
    recovering = isRecovering;
    return this;
  }

  /** Adds an entry. */
  public void addEntry(long entryTerm, EntryKind kind, int subject, long place, int lengthBytes) {
    if (entryCount == terms.length) {
      ensureCapacity(Math.max(8, entryCount * 2));
    }
    terms[entryCount] = entryTerm;
    kinds[entryCount] = kind;
    subjects[entryCount] = subject;
    places[entryCount] = place;
    lengthsBytes[entryCount] = lengthBytes;
    entryCount++;
  }

  /** Makes it equal to {@code other}. */
  public Message copyFrom(Message other) {
    Message _ = reset(other.type, other.from, other.to);
    term = other.term;
    incarnation = other.incarnation;
    index = other.index;
    logTerm = other.logTerm;
    refusedIndex = other.refusedIndex;
    commit = other.commit;
    epoch = other.epoch;
    appended = other.appended;
    durable = other.durable;
    round = other.round;
    tick = other.tick;
    recoverIncarnation = other.recoverIncarnation;
    recoverTo = other.recoverTo;
    granted = other.granted;
    recovering = other.recovering;
    lostDisk = other.lostDisk;
    logOk = other.logOk;
    transfer = other.transfer;
    recoveryElection = other.recoveryElection;
    quiet = other.quiet;
    ticket = other.ticket;
    vote = other.vote;
    ensureCapacity(other.entryCount);
    entryCount = other.entryCount;
    System.arraycopy(other.terms, 0, terms, 0, entryCount);
    System.arraycopy(other.kinds, 0, kinds, 0, entryCount);
    System.arraycopy(other.subjects, 0, subjects, 0, entryCount);
    System.arraycopy(other.places, 0, places, 0, entryCount);
    System.arraycopy(other.lengthsBytes, 0, lengthsBytes, 0, entryCount);
    return this;
  }

  private Message upTo(long upToTicket, long upToIndex) {
    ticket = upToTicket;
    index = upToIndex;
    return this;
  }

  private void ensureCapacity(int entries) {
    if (entries > terms.length) {
      terms = Arrays.copyOf(terms, entries);
      kinds = Arrays.copyOf(kinds, entries);
      subjects = Arrays.copyOf(subjects, entries);
      places = Arrays.copyOf(places, entries);
      lengthsBytes = Arrays.copyOf(lengthsBytes, entries);
    }
  }
}
