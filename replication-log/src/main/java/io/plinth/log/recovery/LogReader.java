package io.plinth.log.recovery;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;

/**
 * Reads a log's segments through a window, so that a walk along small neighbouring headers costs
 * few system calls.
 */
public final class LogReader {
  private static final int WINDOW_BYTES = 1 << 20;

  private final LogStorage storage;
  private final NativeMemory window = NativeMemory.reserve(WINDOW_BYTES);
  private NativeMemory region = window;
  private NativeMemory large;
  private int slot = -1;
  private int start;
  private int length;

  /** Creates a reader. */
  public LogReader(LogStorage storage) {
    this.storage = storage;
  }

  /**
   * Makes bytes of a segment readable until the next call.
   *
   * @return the address of the first, or zero when they can't be read
   */
  public long at(int wantedSlot, int position, int bytes) {
    if (wantedSlot == slot && position >= start && position + bytes <= start + length) {
      region = window;
      return window.address() + position - start;
    }
    // Whole blocks, so that one block is never taken for readable in parts.
    int from = position & -LogFormat.BLOCK_BYTES;
    int needed = position + bytes - from;
    if (needed > WINDOW_BYTES) {
      return atLarge(wantedSlot, position, bytes);
    }
    slot = -1;
    region = window;
    int wanted = Math.min(WINDOW_BYTES, storage.segmentBytes() - from);
    int count = storage.readNow(wantedSlot, window.address(), wanted, from);
    if (count < needed) {
      // A sector that can't be read must not take its readable neighbours with it.
      int blocks = LogFormat.blocks(needed) * LogFormat.BLOCK_BYTES;
      count = storage.readNow(wantedSlot, window.address(), blocks, from);
      if (count < needed) {
        return 0;
      }
    }
    slot = wantedSlot;
    start = from;
    length = count;
    return window.address() + position - from;
  }

  /** Returns the region in which the address lies that {@link #at} returned last. */
  public NativeMemory region() {
    return region;
  }

  /** Frees the window. */
  public void close() {
    window.close();
    if (large != null) {
      large.close();
    }
  }

  private long atLarge(int wantedSlot, int position, int bytes) {
    if (large == null || large.sizeBytes() < bytes) {
      if (large != null) {
        large.close();
      }
      large = NativeMemory.reserve(bytes);
    }
    region = large;
    return storage.readNow(wantedSlot, large.address(), bytes, position) < bytes
        ? 0
        : large.address();
  }
}
