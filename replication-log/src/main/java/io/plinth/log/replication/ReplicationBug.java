package io.plinth.log.replication;

/**
 * Mistakes that can be switched on in tests, each at the place where a programmer would make it, to
 * prove that the checks of replicated runs can fail. Production passes an empty set.
 */
public enum ReplicationBug {
  /** A leader tells entries as committed when it has appended them itself. */
  ACK_BEFORE_MAJORITY,
  /** What is appended is reported as durable. */
  ACK_BEFORE_SYNC,
  /** Term and vote are told before the record that holds them is durable. */
  STATE_NOT_SYNCED,
  /** A start does not see that the machine was started anew. */
  IGNORE_BOOT_ID,
  /** Recovery keeps an entry where a later record of the log replaced it. */
  KEEP_CONFLICT,
  /** A follower stores payload without the checksums that came with it. */
  DROP_CHECKSUMS,
  /** What is read from the disk for a peer is sent as it is. */
  UNCHECKED_READ,
  /** The rules are given one tick for all the time that the core has slept. */
  SLEEP_NOT_COUNTED,
  /** Who was handed leadership asks for votes as if it stood by itself. */
  TRANSFER_NOT_TOLD,
  /** A quiet replica is not given the time that it has slept. */
  QUIET_TIME_NOT_COUNTED,
  /** Replicas are not told that a node is silent. */
  SILENCE_NOT_TOLD,
  /** A replica that has woken is not among those that get ticks. */
  WOKEN_NOT_LISTED
}
