package io.plinth.target.volume;

import io.plinth.engine.api.Core;
import java.util.concurrent.TimeUnit;
import java.util.function.DoubleSupplier;

/**
 * Slows clients' writes down while the cleaner is at work and segments get scarce. All of them then
 * wait a little; else they would write as fast as they can until the last segment is full and stand
 * still until one is free, for as long as the disk takes to make durable what was moved.
 *
 * <p>What may be written grows with the time that passes: at {@link #FULL_BLOCKS_PER_SECOND} where
 * there is just as much room as is wanted, in proportion less where there is less. So writes come
 * to be as fast as space is won.
 */
final class WritePace {
  /** 640 MiB/s, about what a core appends. */
  private static final double FULL_BLOCKS_PER_SECOND = 160 << 10;

  /** The least part of that, so that every write is admitted in time. */
  private static final double LEAST = 0.02;

  /** So much time counts at most: after a pause there is no burst. */
  private static final long MOST_NS = TimeUnit.MILLISECONDS.toNanos(1);

  private static final long LEAST_WAIT_NS = TimeUnit.MICROSECONDS.toNanos(50);

  private final Core core;
  private final DoubleSupplier roomWanted;
  private final Runnable ready;

  /** Blocks that may be written; negative after a write of more than that. */
  private double allowed;

  private long countedNs;
  private boolean waits;

  /**
   * Creates a pace.
   *
   * @param roomWanted what part there is of the room that clients should have
   * @param ready lets those who were not admitted try again
   */
  WritePace(Core core, DoubleSupplier roomWanted, Runnable ready) {
    this.core = core;
    this.roomWanted = roomWanted;
    this.ready = ready;
  }

  /** Returns whether blocks may be written now; when not, those who wait will be told. */
  boolean admit(int blocks) {
    double room = roomWanted.getAsDouble();
    if (room >= 1 || room <= 0) {
      // Without any room the journal says what is to happen.
      return true;
    }
    long nowNs = core.clock().nowNs();
    double perNs = FULL_BLOCKS_PER_SECOND * Math.max(room, LEAST) / TimeUnit.SECONDS.toNanos(1);
    allowed = Math.min(MOST_NS, nowNs - countedNs) * perNs + Math.min(allowed, MOST_NS * perNs);
    countedNs = nowNs;
    if (allowed > 0) {
      allowed -= blocks;
      return true;
    }
    if (!waits) {
      waits = true;
      long waitNs = Math.max(LEAST_WAIT_NS, (long) (-allowed / perNs));
      core.timers().schedule(nowNs + waitNs, this::onTimer);
    }
    return false;
  }

  private void onTimer(long nowNs) {
    waits = false;
    ready.run();
  }
}
