package io.plinth.engine.api;

/**
 * Time as one core sees it: read once per duty cycle, so that it does not change within a cycle.
 */
public interface Clock {
  /** Returns monotonic nanoseconds with an arbitrary origin. */
  long nowNs();

  /**
   * Reads the monotonic clock anew, on the same scale; for measuring, not for deciding. Costs about
   * 25 ns.
   */
  long preciseNs();

  /**
   * Returns milliseconds since the Unix epoch; may jump. For records and messages only, never for
   * durations.
   */
  long epochMs();
}
