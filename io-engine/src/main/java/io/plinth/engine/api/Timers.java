package io.plinth.engine.api;

/** One-shot timers of a core, fired at the end of a duty cycle, in the order of their deadlines. */
public interface Timers {
  /** What a timer does when it fires; a long-lived object. */
  @FunctionalInterface
  interface Task {
    /** Called on the core's thread. */
    void onTimer(long nowNs);
  }

  /**
   * Arms a timer.
   *
   * @param deadlineNs when to fire, on the scale of {@link Clock#nowNs()}
   * @return the identity to cancel it with, never zero
   */
  long schedule(long deadlineNs, Task task);

  /** Cancels a timer; one that has fired or was cancelled before is ignored. */
  void cancel(long timerId);
}
