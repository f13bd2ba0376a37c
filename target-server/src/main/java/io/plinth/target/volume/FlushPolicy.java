package io.plinth.target.volume;

/** When a write is acknowledged. */
public enum FlushPolicy {
  /**
   * Like a disk with a volatile cache: when it is appended; FLUSH and FUA wait until it is durable.
   */
  FLUSH,
  /** Every acknowledged write is durable. */
  ALWAYS
}
