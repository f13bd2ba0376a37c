package io.plinth.raft.core;

/** What this replica knows of another one. */
final class Peer {
  static final long NEVER = Long.MIN_VALUE / 2;

  final int node;
  long incarnation;
  boolean voter;
  boolean member;

  // Of the current round of an election.
  boolean answered;
  boolean granted;
  boolean logOk;

  // As a leader knows it.
  boolean recovering;
  boolean lostDisk;

  /**
   * A probe finds out where the logs agree, one message at a time; otherwise many are on the way.
   */
  boolean probing;

  boolean probeSent;
  boolean resyncReported;

  /** Up to there are entries that this leader can't read any more, and the member lacks. */
  long unreadable;

  long nextIndex;
  long appended;
  long durable;
  long progressTick;
  long heardTick;
  long ackedTick;
  long ackedRound;

  /** It has answered the present offer of rest with its own. */
  boolean rests;

  Peer(int node) {
    this.node = node;
  }

  void clearBallot() {
    answered = false;
    granted = false;
    logOk = false;
  }

  /** What was known of an earlier incarnation or leadership counts no more. */
  void restart(long lastIndex, long now) {
    recovering = false;
    lostDisk = false;
    probing = true;
    probeSent = false;
    resyncReported = false;
    unreadable = 0;
    nextIndex = lastIndex + 1;
    appended = 0;
    durable = 0;
    progressTick = now;
    heardTick = now;
    ackedTick = NEVER;
    ackedRound = 0;
    rests = false;
  }
}
