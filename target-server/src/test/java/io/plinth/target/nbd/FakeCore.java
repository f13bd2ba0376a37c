package io.plinth.target.nbd;

import io.plinth.engine.api.Clock;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Timers;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/** A core whose duty cycle a test turns by hand; its time stands still unless the test moves it. */
final class FakeCore implements Core, Clock, Timers {
  private record Timer(long id, long deadlineNs, Task task) {}

  private final int id;
  private final ArrayDeque<Runnable> inbox = new ArrayDeque<>();
  private final List<CycleTask> tasks = new ArrayList<>();
  private final List<FakeConnection> connections = new ArrayList<>();
  private final List<Timer> timers = new ArrayList<>();
  private long nextTimer = 1;
  private long nowNs = 1_000_000_000L;

  FakeCore(int id) {
    this.id = id;
  }

  /** Runs one duty cycle in the order of the real one; returns how much was done. */
  int cycle() {
    int work = 0;
    for (int i = inbox.size(); i > 0; i--) {
      inbox.poll().run();
      work++;
    }
    for (CycleTask task : List.copyOf(tasks)) {
      work += task.doWork(nowNs);
    }
    for (FakeConnection connection : List.copyOf(connections)) {
      work += connection.service();
    }
    return work + fireTimers();
  }

  void advance(long ns) {
    nowNs += ns;
  }

  int armedTimers() {
    return timers.size();
  }

  void add(FakeConnection connection) {
    connections.add(connection);
  }

  void remove(FakeConnection connection) {
    connections.remove(connection);
  }

  private int fireTimers() {
    List<Timer> due = timers.stream().filter(timer -> timer.deadlineNs <= nowNs).toList();
    timers.removeAll(due);
    due.forEach(timer -> timer.task.onTimer(nowNs));
    return due.size();
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
    return this;
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
    return 0;
  }

  @Override
  public long schedule(long deadlineNs, Task task) {
    timers.add(new Timer(nextTimer, deadlineNs, task));
    return nextTimer++;
  }

  @Override
  public void cancel(long timerId) {
    timers.removeIf(timer -> timer.id == timerId);
  }
}
