package io.plinth.raft.core;

/** What a replica is in its term. Learners are followers that are not voters. */
public enum Role {
  /** Takes entries from a leader, or waits for one. */
  FOLLOWER,
  /** Asks whether an election would succeed, without a new term. */
  PRE_CANDIDATE,
  /** Stands for election in its term. */
  CANDIDATE,
  /** The only one of its term. */
  LEADER
}
