package io.plinth.engine.core;

import io.plinth.engine.api.Timers;
import java.util.Arrays;

/**
 * Timers of one core in a binary heap; arming and firing allocate nothing once the heap has grown.
 */
public final class TimerQueue implements Timers {
  private long[] deadlines = new long[64];
  private long[] ids = new long[64];
  private Task[] tasks = new Task[64];
  private int size;
  private long nextId = 1;

  @Override
  public long schedule(long deadlineNs, Task task) {
    if (size == ids.length) {
      deadlines = Arrays.copyOf(deadlines, size * 2);
      ids = Arrays.copyOf(ids, size * 2);
      tasks = Arrays.copyOf(tasks, size * 2);
    }
    long id = nextId++;
    int i = size++;
    while (i > 0) {
      int parent = (i - 1) >>> 1;
      if (before(deadlines[parent], ids[parent], deadlineNs, id)) {
        break;
      }
      copy(parent, i);
      i = parent;
    }
    deadlines[i] = deadlineNs;
    ids[i] = id;
    tasks[i] = task;
    return id;
  }

  @Override
  public void cancel(long timerId) {
    for (int i = 0; i < size; i++) {
      if (ids[i] == timerId) {
        removeAt(i);
        return;
      }
    }
  }

  /**
   * Fires what is due; returns how many timers fired. A timer armed meanwhile fires in a later
   * call.
   */
  public int fire(long nowNs) {
    int fired = 0;
    long lastId = nextId;
    while (size > 0 && deadlines[0] - nowNs <= 0 && ids[0] < lastId) {
      Task task = tasks[0];
      removeAt(0);
      task.onTimer(nowNs);
      fired++;
    }
    return fired;
  }

  /**
   * Returns the nanoseconds until the next timer is due, at most {@code limitNs}, at least zero.
   */
  public long untilNextNs(long nowNs, long limitNs) {
    if (size == 0) {
      return limitNs;
    }
    return Math.max(0, Math.min(limitNs, deadlines[0] - nowNs));
  }

  /** Returns how many timers are armed. */
  public int armed() {
    return size;
  }

  private void removeAt(int index) {
    int last = --size;
    long deadline = deadlines[last];
    long id = ids[last];
    Task task = tasks[last];
    tasks[last] = null;
    if (index == last) {
      return;
    }
    int i = index;
    while (i > 0) {
      int parent = (i - 1) >>> 1;
      if (before(deadlines[parent], ids[parent], deadline, id)) {
        break;
      }
      copy(parent, i);
      i = parent;
    }
    while (true) {
      int child = 2 * i + 1;
      if (child >= size) {
        break;
      }
      if (child + 1 < size
          && before(deadlines[child + 1], ids[child + 1], deadlines[child], ids[child])) {
        child++;
      }
      if (before(deadline, id, deadlines[child], ids[child])) {
        break;
      }
      copy(child, i);
      i = child;
    }
    deadlines[i] = deadline;
    ids[i] = id;
    tasks[i] = task;
  }

  private void copy(int from, int to) {
    deadlines[to] = deadlines[from];
    ids[to] = ids[from];
    tasks[to] = tasks[from];
  }

  /** Equal deadlines fire in the order in which they were armed. */
  private static boolean before(long deadlineA, long idA, long deadlineB, long idB) {
    long difference = deadlineA - deadlineB;
    return difference < 0 || (difference == 0 && idA < idB);
  }
}
