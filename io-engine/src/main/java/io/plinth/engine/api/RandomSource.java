package io.plinth.engine.api;

/** The only source of randomness of deterministic code; seeded in the simulator. */
public interface RandomSource {
  /** Returns the next 64 uniformly distributed bits. */
  long nextLong();
}
