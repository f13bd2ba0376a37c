package io.plinth.raft.core;

/** Which position of a replica counts for the commit. */
public enum AckPolicy {
  /** In the page cache of a majority: the machine-crash rule makes it safe. */
  APPENDED,
  /** On the device of a majority. */
  DURABLE
}
