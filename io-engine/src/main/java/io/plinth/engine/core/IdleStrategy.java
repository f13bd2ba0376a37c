package io.plinth.engine.core;

/**
 * Decides whether a core without work spins or blocks. Spinning saves a wake-up of tens of
 * microseconds when the next request comes soon, and takes a processor from others when it does
 * not; so a core spins only while that has paid lately, and tries again now and then.
 */
final class IdleStrategy {
  private static final int MAX_SCORE = 16;
  private static final int MISS_COST = 4;
  private static final int PROBE_INTERVAL = 32;

  private final long spinNs;
  private int score = MAX_SCORE;
  private int idleSinceProbe;
  private boolean spinning;
  private long spinStartNs;

  /**
   * Creates a strategy that spins at most {@code spinNs} nanoseconds at a time; zero never spins.
   */
  IdleStrategy(long spinNs) {
    this.spinNs = spinNs;
  }

  /** Tells that a cycle did something. */
  void onWork() {
    if (spinning) {
      spinning = false;
      score = Math.min(MAX_SCORE, score + 1);
    }
  }

  /** Tells that a cycle did nothing; returns whether to go on spinning rather than block. */
  boolean shouldSpin(long nowNs) {
    if (!spinning) {
      if (spinNs == 0) {
        return false;
      }
      if (score <= 0 && ++idleSinceProbe < PROBE_INTERVAL) {
        return false;
      }
      idleSinceProbe = 0;
      spinning = true;
      spinStartNs = nowNs;
      return true;
    }
    if (nowNs - spinStartNs < spinNs) {
      return true;
    }
    spinning = false;
    score = Math.max(-MAX_SCORE / 4, score - MISS_COST);
    return false;
  }
}
