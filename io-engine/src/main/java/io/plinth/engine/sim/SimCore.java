package io.plinth.engine.sim;

import io.plinth.engine.api.Clock;
import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Timers;
import io.plinth.engine.core.TimerQueue;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * A core without a thread: whoever simulates runs its duty cycles, in the order of steps of the
 * real one.
 */
public final class SimCore implements Core, Clock {
  private final int id;
  private final long startMs;
  private final TimerQueue timers = new TimerQueue();
  private final ArrayDeque<Runnable> inbox = new ArrayDeque<>();
  private final List<CycleTask> tasks = new ArrayList<>();
  private final List<CycleTask> lastTasks = new ArrayList<>();
  private final ArrayDeque<Done> completions = new ArrayDeque<>();
  private long nowNs;

  private record Done(long dueNs, Completion completion, long context, int result) {}

  /** Creates a core whose machine's time of day is {@code startMs} at the beginning. */
  public SimCore(int id, long startMs) {
    this.id = id;
    this.startMs = startMs;
  }

  /** Runs one duty cycle and moves time on. */
  public void cycle(long stepNs) {
    nowNs += stepNs;
    for (int i = completions.size(); i > 0; i--) {
      Done done = completions.poll();
      if (done.dueNs <= nowNs) {
        done.completion.onComplete(done.context, done.result);
      } else {
        completions.add(done);
      }
    }
    for (int i = inbox.size(); i > 0; i--) {
      inbox.poll().run();
    }
    for (CycleTask task : List.copyOf(tasks)) {
      task.doWork(nowNs);
    }
    for (CycleTask task : List.copyOf(lastTasks)) {
      task.doWork(nowNs);
    }
    timers.fire(nowNs);
  }

  /** Lets an operation end after a delay. */
  public void complete(long delayNs, Completion completion, long context, int result) {
    completions.add(new Done(nowNs + delayNs, completion, context, result));
  }

  /** Adds work to be done after all other tasks of a cycle: what a network sends. */
  void addLastTask(CycleTask task) {
    lastTasks.add(task);
  }

  /** Returns how many operations have not ended. */
  public int inFlight() {
    return completions.size();
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public Clock clock() {
    return this;
  }

  @Override
  public Timers timers() {
    return timers;
  }

  @Override
  public boolean inCore() {
    return true;
  }

  @Override
  public boolean execute(Runnable task) {
    return inbox.add(task);
  }

  @Override
  public void addCycleTask(CycleTask task) {
    tasks.add(task);
  }

  @Override
  public void removeCycleTask(CycleTask task) {
    tasks.remove(task);
  }

  @Override
  public long nowNs() {
    return nowNs;
  }

  @Override
  public long preciseNs() {
    return nowNs;
  }

  @Override
  public long epochMs() {
    return startMs + nowNs / 1_000_000;
  }
}
