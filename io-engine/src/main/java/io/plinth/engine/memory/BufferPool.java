package io.plinth.engine.memory;

import io.plinth.engine.api.Releasable;
import java.util.ArrayDeque;

/**
 * A fixed number of 4096-aligned buffers of equal size outside the heap, owned by one core. Memory
 * is committed by the kernel when a buffer is first touched; the buffer released last is handed out
 * first.
 *
 * <p>Whoever needs several buffers takes all of them or none, in the order of asking, so that two
 * half-served owners can't wait for each other.
 */
public final class BufferPool implements Releasable {
  /** Told that the buffers it waited for can be acquired now. */
  @FunctionalInterface
  public interface Waiter {
    /** Called on the core's thread from within {@link #release}; may acquire, must not block. */
    void onBuffersAvailable();
  }

  private final int bufferBytes;
  private final NativeMemory memory;
  private final long[] free;
  private final boolean[] lent;
  private int freeCount;
  private boolean serving;
  private final ArrayDeque<Waiting> waiters = new ArrayDeque<>();

  /**
   * Reserves address space for the pool.
   *
   * @param bufferBytes size of each buffer, a positive multiple of 4096
   * @param count how many buffers
   */
  public BufferPool(int bufferBytes, int count) {
    if (bufferBytes <= 0 || bufferBytes % NativeMemory.PAGE_BYTES != 0 || count <= 0) {
      throw new IllegalArgumentException("bufferBytes=" + bufferBytes + " count=" + count);
    }
    this.bufferBytes = bufferBytes;
    this.memory = NativeMemory.reserve((long) bufferBytes * count);
    this.free = new long[count];
    this.lent = new boolean[count];
    for (int i = 0; i < count; i++) {
      free[i] = memory.address() + (long) bufferBytes * (count - 1 - i);
    }
    this.freeCount = count;
  }

  /** Returns the memory that all buffers lie in. */
  public NativeMemory memory() {
    return memory;
  }

  /** Returns the size of each buffer in bytes. */
  public int bufferBytes() {
    return bufferBytes;
  }

  /** Returns how many buffers are free. */
  public int available() {
    return freeCount;
  }

  /** Returns how many buffers the pool has in all. */
  public int capacity() {
    return free.length;
  }

  /** Returns the address of one buffer, or zero when none is free or others have asked before. */
  public long acquire() {
    if (freeCount == 0 || mustQueue()) {
      return 0;
    }
    return take();
  }

  /**
   * Acquires {@code count} buffers into the front of {@code into}, or none.
   *
   * @return whether they were acquired; when not, {@link #awaitAvailable} tells when to try again
   */
  public boolean acquire(int count, long[] into) {
    if (freeCount < count || mustQueue()) {
      return false;
    }
    for (int i = 0; i < count; i++) {
      into[i] = take();
    }
    return true;
  }

  /** Queues a waiter, told once when {@code count} buffers are free and it is its turn. */
  public void awaitAvailable(int count, Waiter waiter) {
    if (count > free.length) {
      throw new IllegalArgumentException(
          "waiting for " + count + " of " + free.length + " buffers");
    }
    waiters.add(new Waiting(waiter, count));
  }

  /** Forgets a waiter that no longer wants buffers. */
  public void cancelWait(Waiter waiter) {
    waiters.removeIf(waiting -> waiting.waiter.equals(waiter));
  }

  /** Gives a buffer back; {@code address} is what an acquire returned. */
  @Override
  public void release(long address) {
    int index = (int) ((address - memory.address()) / bufferBytes);
    if (index < 0
        || index >= lent.length
        || !lent[index]
        || address != memory.address() + (long) index * bufferBytes) {
      throw new IllegalStateException(
          "not a lent buffer of this pool: 0x" + Long.toHexString(address));
    }
    lent[index] = false;
    free[freeCount++] = address;
    while (!waiters.isEmpty() && waiters.peek().count <= freeCount) {
      Waiter next = waiters.poll().waiter;
      int before = freeCount;
      serving = true;
      next.onBuffersAvailable();
      serving = false;
      if (freeCount == before) {
        break;
      }
    }
  }

  /** Returns the address space; no buffer may be used afterwards. */
  public void close() {
    memory.close();
  }

  private boolean mustQueue() {
    return !serving && !waiters.isEmpty();
  }

  private long take() {
    long address = free[--freeCount];
    lent[(int) ((address - memory.address()) / bufferBytes)] = true;
    return address;
  }

  private record Waiting(Waiter waiter, int count) {}
}
