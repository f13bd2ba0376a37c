package io.plinth.engine.api;

/**
 * One engine thread with its ring. Whatever a core owns is touched on its thread only; other
 * threads reach it through {@link #execute}.
 */
public interface Core {
  /** Returns the number of this core, from zero. */
  int id();

  /** Returns this core's time. */
  Clock clock();

  /** Returns this core's timers. */
  Timers timers();

  /** Returns whether the calling thread is this core's. */
  boolean inCore();

  /**
   * Runs a task on this core in one of its next duty cycles. From any thread.
   *
   * @return true when the task will run; false when the inbox is full or the core has stopped: it
   *     will not run
   */
  boolean execute(Runnable task);

  /**
   * Adds work to be done in every duty cycle, after that of earlier calls. On the core's thread.
   */
  void addCycleTask(CycleTask task);

  /** Removes a task that was added; one that was not is ignored. On the core's thread. */
  void removeCycleTask(CycleTask task);
}
