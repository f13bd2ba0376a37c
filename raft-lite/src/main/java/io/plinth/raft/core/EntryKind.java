package io.plinth.raft.core;

/** What an entry is to the core. Only {@link #PAYLOAD} has a place in the log. */
public enum EntryKind {
  /** The caller's. */
  PAYLOAD,
  /** Starts a leader's term, so that it can commit what earlier terms left. */
  NO_OP,
  /** Starts the term of a leader that a majority of recovering replicas elected: a new epoch. */
  EPOCH,
  /** Membership: the subject receives entries and does not count. */
  ADD_LEARNER,
  /** Membership: the subject, a learner until now, votes and counts. */
  PROMOTE,
  /** Membership: the subject is no member any more. */
  REMOVE;

  /** Returns whether members change with such an entry. */
  public boolean changesMembership() {
    return this == ADD_LEARNER || this == PROMOTE || this == REMOVE;
  }
}
