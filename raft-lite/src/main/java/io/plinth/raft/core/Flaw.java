package io.plinth.raft.core;

/**
 * A mistake that a core makes on purpose, so that tests and the simulator can show that they would
 * find it. In production it is {@link #NONE}.
 */
public enum Flaw {
  NONE,
  VOTE_TWICE,
  VOTE_BEFORE_DURABLE,
  VOTE_FOR_SHORTER_LOG,
  LEADER_TERM_ON_ENTRIES,
  COMMIT_EARLIER_TERM,
  TRUNCATE_WITHOUT_CONFLICT,
  CONFLICT_KEPT,
  LEARNER_COUNTED,
  LEASE_SURVIVES_LEADERSHIP,
  READ_WITHOUT_QUORUM,
  ACK_BEFORE_DURABLE,
  RECOVERING_VOTES,
  COMMIT_BEYOND_MATCH,
  LOST_DISK_COUNTS,
  QUIET_BEFORE_ALL_AGREE,
  QUIET_TIME_NOT_COUNTED,
  DEATH_NOT_HEARD,
  WAKE_NOT_REPEATED
}
