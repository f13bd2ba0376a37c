package io.plinth.raft.core;

import java.util.ArrayList;

/**
 * What one or more calls of a {@link RaftCore} ask for, in order. The caller carries everything out
 * and then calls {@link #clear}; the objects are used again.
 */
public final class Actions {
  private final ArrayList<Action> pool = new ArrayList<>();
  private int size;
  private int taken;

  Actions() {}

  /** Returns how many actions wait. */
  public int size() {
    return size;
  }

  /** Returns action {@code i}, valid until {@link #clear}. */
  public Action get(int i) {
    if (i >= size) {
      throw new IndexOutOfBoundsException("i=" + i + " size=" + size);
    }
    taken = Math.max(taken, i + 1);
    return pool.get(i);
  }

  /** Returns the newest action if nobody has seen it yet, so that it may grow; else null. */
  Action lastUntaken() {
    return size > taken ? pool.get(size - 1) : null;
  }

  /** Forgets all actions: they are carried out. */
  public void clear() {
    size = 0;
    taken = 0;
  }

  Action add(Action.Kind kind) {
    if (size == pool.size()) {
      pool.add(new Action());
    }
    Action action = pool.get(size++);
    action.kind = kind;
    return action;
  }
}
