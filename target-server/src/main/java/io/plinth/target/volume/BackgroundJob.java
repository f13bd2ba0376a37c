package io.plinth.target.volume;

/** Work on a store for a caller, done on its core a bit in each duty cycle. */
@FunctionalInterface
public interface BackgroundJob {
  /** Goes on for one duty cycle; returns whether the answer has been given. */
  boolean step();
}
