package io.plinth.engine.sim;

import io.plinth.engine.api.RandomSource;

/** A seeded source of randomness (SplitMix64, Steele, Lea and Flood 2014). */
public final class SimRandom implements RandomSource {
  private long state;

  /** Creates a source that always gives the same numbers for the same seed. */
  public SimRandom(long seed) {
    state = seed;
  }

  @Override
  public long nextLong() {
    state += 0x9E3779B97F4A7C15L;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /** Returns a number from 0 to {@code bound} - 1. */
  public int nextInt(int bound) {
    return (int) Long.remainderUnsigned(nextLong(), bound);
  }

  /** Returns true once in {@code n} times. */
  public boolean oneIn(int n) {
    return nextInt(n) == 0;
  }
}
