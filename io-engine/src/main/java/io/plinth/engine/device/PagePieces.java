package io.plinth.engine.device;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.memory.Posix;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * What a helper thread has the kernel do with many pages: in pieces, because a kernel that does not
 * preempt itself lets nobody else run on that processor before a call is done, and with a rest now
 * and then, because a scheduler that lets a thread run on until its slice is over lets nobody else
 * run there either. A rest is a sleep: sched_yield(2) would give up the whole slice, and with it
 * the thread's share of busy processors.
 */
final class PagePieces {
  /** Bytes that the kernel is asked for at a time. */
  static final int PIECE = 256 << 10;

  /**
   * Bytes that are zeroed with one write(2). The page cache keeps what one call wrote in a page of
   * up to that size, and a store into the mapping makes all of it dirty: so much is written to the
   * disk for the smallest durable record.
   */
  private static final int ZERO_STEP = 64 << 10;

  private static final long WORK_NS = TimeUnit.MICROSECONDS.toNanos(100);

  /** The kernel makes some 60 us of it. */
  private static final long REST_NS = TimeUnit.MICROSECONDS.toNanos(1);

  private final NativeMemory zeroes;
  private long restedNs;
  private boolean urgent;

  /**
   * Makes those of one thread.
   *
   * @param zeroes at least {@link #zeroBytes} of them
   */
  PagePieces(NativeMemory zeroes) {
    this.zeroes = zeroes;
  }

  static int zeroBytes() {
    return ZERO_STEP;
  }

  /** Whether somebody waits, or is about to, for what is done from here on: then without rests. */
  void urgent(boolean isUrgent) {
    urgent = isUrgent;
  }

  /** Writes zeroes; returns 0 or a negated errno. */
  int writeZeroes(int descriptor, long position, int length) {
    int done = 0;
    while (done < length) {
      int count =
          Posix.write(
              descriptor, zeroes.address(), Math.min(length - done, ZERO_STEP), position + done);
      if (count < 0 && count != Status.EINTR) {
        return count;
      }
      done += Math.max(0, count);
      rest();
    }
    return Status.OK;
  }

  /** Makes pages present and writable; returns 0 or a negated errno. */
  int populateForWrite(NativeMemory memory, int from, int to) {
    int result = Status.OK;
    for (int at = from; at < to && result == Status.OK; at += PIECE) {
      result = memory.populateForWrite(at, Math.min(PIECE, to - at));
      rest();
    }
    return result;
  }

  /** Makes pages present; returns 0 or a negated errno. */
  int populateForRead(NativeMemory memory, int to) {
    int result = Status.OK;
    for (int at = 0; at < to && result == Status.OK; at += PIECE) {
      result = memory.populateForRead(at, Math.min(PIECE, to - at));
      rest();
    }
    return result;
  }

  /** Pins pages that are present; returns 0 or a negated errno. */
  int lock(NativeMemory memory, int to) {
    int result = Status.OK;
    for (int at = 0; at < to && result == Status.OK; at += PIECE) {
      result = memory.lock(at, Math.min(PIECE, to - at));
      rest();
    }
    return result;
  }

  void dropCache(int descriptor, int to) {
    for (int at = 0; at < to; at += PIECE) {
      int _ = Posix.dropCache(descriptor, at, Math.min(PIECE, to - at));
      rest();
    }
  }

  void beginWriteback(int descriptor, int to) {
    for (int at = 0; at < to; at += PIECE) {
      int _ = Posix.beginWriteback(descriptor, at, Math.min(PIECE, to - at));
      rest();
    }
  }

  private void rest() {
    if (!urgent && System.nanoTime() - restedNs > WORK_NS) {
      LockSupport.parkNanos(this, REST_NS);
      restedNs = System.nanoTime();
    }
  }
}
