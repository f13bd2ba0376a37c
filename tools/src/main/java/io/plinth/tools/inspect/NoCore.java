package io.plinth.tools.inspect;

import io.plinth.engine.api.Clock;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Timers;

/** Stands where a node wants a core, and runs nothing. */
final class NoCore implements Core {
  @Override
  public int id() {
    return 0;
  }

  @Override
  public Clock clock() {
    throw new UnsupportedOperationException("no core runs");
  }

  @Override
  public Timers timers() {
    throw new UnsupportedOperationException("no core runs");
  }

  @Override
  public boolean inCore() {
    return true;
  }

  @Override
  public boolean execute(Runnable task) {
    return false;
  }

  @Override
  public void addCycleTask(CycleTask task) {
    throw new UnsupportedOperationException("no core runs");
  }

  @Override
  public void removeCycleTask(CycleTask task) {
    throw new UnsupportedOperationException("no core runs");
  }
}
