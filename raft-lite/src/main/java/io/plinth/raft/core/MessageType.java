package io.plinth.raft.core;

/** What a {@link Message} is: what peers send each other, and what the own storage reports. */
public enum MessageType {
  /** Would you vote for me in {@code term}? Changes nothing at the receiver. */
  PRE_VOTE,
  /** The answer to {@link #PRE_VOTE}. */
  PRE_VOTE_RESPONSE,
  /** RequestVote of the Raft paper. */
  REQUEST_VOTE,
  /** The answer to {@link #REQUEST_VOTE}; sent only when term and vote are durable. */
  REQUEST_VOTE_RESPONSE,
  /** AppendEntries of the Raft paper. */
  APPEND,
  /** The leader lives; no entries and no check of the log. */
  HEARTBEAT,
  /** The answer to {@link #APPEND} and {@link #HEARTBEAT}: what the follower has of this leader. */
  APPEND_RESPONSE,
  /** The leader asks the receiver to stand for election at once. */
  TIMEOUT_NOW,
  /** From the own storage: everything up to ticket and index survives the end of the process. */
  APPENDED,
  /** From the own storage: everything up to ticket and index survives the loss of power. */
  DURABLE,
  /** From the own storage: this term, vote and recovering mark survive the loss of power. */
  HARD_STATE_DURABLE
}
