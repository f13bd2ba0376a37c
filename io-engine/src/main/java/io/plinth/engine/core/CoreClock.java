package io.plinth.engine.core;

import io.plinth.engine.api.Clock;

/** The real clock, read once per duty cycle. */
final class CoreClock implements Clock {
  private long nowNs = System.nanoTime();

  void update() {
    nowNs = System.nanoTime();
  }

  @Override
  public long nowNs() {
    return nowNs;
  }

  @Override
  public long preciseNs() {
    return System.nanoTime();
  }

  @Override
  public long epochMs() {
    return System.currentTimeMillis();
  }
}
