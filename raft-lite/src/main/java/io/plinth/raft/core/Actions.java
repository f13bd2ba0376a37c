package io.plinth.raft.core;

import java.util.ArrayList;

/**
 * What one or more calls of a {@link RaftCore} ask for, in order. The caller carries everything out
 * and then calls {@link #clear}; the objects are used again.
 */
public final class Actions {
  private final ArrayList<Action> pool = new ArrayList<>();
  private int size;

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
    return pool.get(i);
  }

  /** Forgets all actions: they are carried out. */
  public void clear() {
    size = 0;
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
