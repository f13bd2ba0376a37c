package io.plinth.engine.device;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.memory.Posix;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * What a helper thread has the kernel do with many pages. Gently that is in small pieces, because a
 * kernel that does not preempt itself lets nobody else run on that processor before a call is done,
 * and with a rest now and then, because a scheduler that lets a thread run on until its slice is
 * over lets nobody else run there either. A rest is a sleep: sched_yield(2) would give up the whole
 * slice, and with it the thread's share of busy processors.
 */
final class PagePieces {
  /** Bytes that the kernel is asked for at a time, gently and else. */
  private static final int SMALL_PIECE = 256 << 10;

  private static final int LARGE_PIECE = 8 << 20;

  /**
   * Bytes that are zeroed with one write(2). The page cache keeps what one call wrote in a page of
   * up to that size, and a store into the mapping makes all of it dirty: so much is written to the
   * disk for the smallest durable record.
   */
  private static final int SMALL_ZERO_STEP = 64 << 10;

  /** The same where records are seldom made durable: a fifth less work. */
  private static final int LARGE_ZERO_STEP = 256 << 10;

  private static final long WORK_NS = TimeUnit.MICROSECONDS.toNanos(100);

  /** The kernel makes some 60 us of it. */
  private static final long REST_NS = TimeUnit.MICROSECONDS.toNanos(1);

  private final NativeMemory zeroes;
  private final BooleanSupplier isGentle;
  private final BooleanSupplier isSyncedSeldom;
  private long restedNs;

  /**
   * Makes those of one thread.
   *
   * @param zeroes at least {@link #zeroBytes} of them
   * @param isGentle whether others need the processor more than what waits for this thread
   * @param isSyncedSeldom whether much is written between one sync and the next
   */
  PagePieces(NativeMemory zeroes, BooleanSupplier isGentle, BooleanSupplier isSyncedSeldom) {
    this.zeroes = zeroes;
    this.isGentle = isGentle;
    this.isSyncedSeldom = isSyncedSeldom;
  }

  static int zeroBytes() {
    return LARGE_ZERO_STEP;
  }

  /** Writes zeroes; returns 0 or a negated errno. */
  int writeZeroes(int descriptor, long position, int length) {
    int done = 0;
    int step = isSyncedSeldom.getAsBoolean() ? LARGE_ZERO_STEP : SMALL_ZERO_STEP;
    while (done < length) {
      int count =
          Posix.write(descriptor, zeroes.address(), Math.min(length - done, step), position + done);
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
    int piece = piece();
    for (int at = from; at < to && result == Status.OK; at += piece) {
      result = memory.populateForWrite(at, Math.min(piece, to - at));
      rest();
    }
    return result;
  }

  /** Makes pages present; returns 0 or a negated errno. */
  int populateForRead(NativeMemory memory, int to) {
    int result = Status.OK;
    int piece = piece();
    for (int at = 0; at < to && result == Status.OK; at += piece) {
      result = memory.populateForRead(at, Math.min(piece, to - at));
      rest();
    }
    return result;
  }

  /** Pins pages that are present; returns 0 or a negated errno. */
  int lock(NativeMemory memory, int to) {
    int result = Status.OK;
    int piece = piece();
    for (int at = 0; at < to && result == Status.OK; at += piece) {
      result = memory.lock(at, Math.min(piece, to - at));
      rest();
    }
    return result;
  }

  void dropCache(int descriptor, int to) {
    int piece = piece();
    for (int at = 0; at < to; at += piece) {
      int _ = Posix.dropCache(descriptor, at, Math.min(piece, to - at));
      rest();
    }
  }

  /** Takes pages that are not pinned out of the page table. */
  void unmap(NativeMemory memory, int from, int to) {
    int piece = piece();
    for (int at = from; at < to; at += piece) {
      boolean _ = memory.unmapPages(at, Math.min(piece, to - at));
      rest();
    }
  }

  void close(NativeMemory memory) {
    for (long size = memory.sizeBytes(); size > 0; size -= piece()) {
      memory.shrink(size);
      rest();
    }
    memory.close();
  }

  void beginWriteback(int descriptor, int from, int to) {
    int piece = piece();
    for (int at = from; at < to; at += piece) {
      int _ = Posix.beginWriteback(descriptor, at, Math.min(piece, to - at));
      rest();
    }
  }

  private int piece() {
    return isGentle.getAsBoolean() ? SMALL_PIECE : LARGE_PIECE;
  }

  private void rest() {
    if (isGentle.getAsBoolean() && System.nanoTime() - restedNs > WORK_NS) {
      LockSupport.parkNanos(this, REST_NS);
      restedNs = System.nanoTime();
    }
  }
}
