package io.plinth.log.replication;

import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;

/**
 * Term, vote and standing of a replica, as a record STATE of the journal. Wanted, then written,
 * then durable; whatever is wanted meanwhile begins anew.
 */
final class Promises {
  private final int group;
  private final Journal journal;
  private final long bootId;
  private final boolean toldEarly;
  private long term;
  private int vote;
  private boolean recovering;
  private boolean lostDisk;
  private boolean wanted;
  private boolean written;
  private long sequence;

  /**
   * Creates what recovery has found.
   *
   * @param lostTail whether what was acknowledged may be lost
   * @param toldEarly a mistake that tests make: what is written is told as durable
   */
  Promises(
      int group,
      Journal journal,
      RecoveredGroup found,
      long bootId,
      boolean lostTail,
      boolean toldEarly) {
    this.group = group;
    this.journal = journal;
    this.bootId = bootId;
    this.toldEarly = toldEarly;
    term = found.term();
    vote = found.vote();
    recovering = found.isRecovering() || lostTail;
    lostDisk = found.isRecovering() && found.hasLostDisk();
    // Before anything is promised under this boot id, the log says that it was this one. Who is
    // alone promises nothing to anybody, and must be able to start in a log that is full.
    wanted = !found.isAlone() && (!found.hasState() || found.isOfAnotherBoot(bootId));
    sequence = journal.pendingSequence();
  }

  long term() {
    return term;
  }

  int vote() {
    return vote;
  }

  boolean isRecovering() {
    return recovering;
  }

  boolean hasLostDisk() {
    return lostDisk;
  }

  /** Returns whether a record is still to be written. */
  boolean isWanted() {
    return wanted;
  }

  /** Returns whether a record is on its way to the device. */
  boolean isWritten() {
    return written;
  }

  /** Takes new promises. */
  void want(long newTerm, int newVote, boolean isRecovering, boolean hasLostDisk) {
    term = newTerm;
    vote = newVote;
    recovering = isRecovering;
    lostDisk = hasLostDisk;
    wanted = true;
    written = false;
  }

  /** Writes the record and asks for a sync, if one is wanted and the journal has room. */
  void write() {
    int flags =
        (recovering ? RecordHeader.RECOVERING : 0) | (lostDisk ? RecordHeader.LOST_DISK : 0);
    if (wanted && journal.begin(RecordHeader.STATE, flags, group, term, bootId, vote, 1)) {
      wanted = false;
      written = true;
      sequence = journal.openSequence();
      journal.requestSync();
    }
  }

  /** Returns the batch that these promises, or what the journal held at the start, are in. */
  long sequence() {
    return sequence;
  }

  /** Returns whether all promises are durable, with what the journal held before them. */
  boolean isDurable(long durableSequence) {
    return !wanted && sequence <= durableSequence;
  }

  /** Moves to what is durable; returns whether that makes the newest promises so. */
  boolean advanceDurable(long durableSequence) {
    boolean news = written && (toldEarly || sequence <= durableSequence);
    if (news) {
      written = false;
    }
    return news;
  }
}
