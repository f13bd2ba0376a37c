package io.plinth.engine.api;

/**
 * Work that a core does in every duty cycle after requests were processed and before replies are
 * sent.
 */
@FunctionalInterface
public interface CycleTask {
  /**
   * Does a bounded amount of work.
   *
   * @return how much was done; zero lets the core become idle
   */
  int doWork(long nowNs);
}
