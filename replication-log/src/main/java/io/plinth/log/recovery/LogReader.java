package io.plinth.log.recovery;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.memory.NativeMemory;

/**
 * Reads a log's segments through a window, so that a walk along small neighbouring headers costs
 * few system calls.
 */
public final class LogReader {
  private static final int WINDOW_BYTES = 1 << 20;

  private final LogStorage storage;
  private final NativeMemory window = NativeMemory.reserve(WINDOW_BYTES);
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
      return window.address() + position - start;
    }
    if (bytes > WINDOW_BYTES) {
      return atLarge(wantedSlot, position, bytes);
    }
    slot = -1;
    int wanted = Math.min(WINDOW_BYTES, storage.segmentBytes() - position);
    int count = storage.readNow(wantedSlot, window.address(), wanted, position);
    if (count < bytes) {
      // A sector that can't be read must not take its readable neighbours with it.
      count = storage.readNow(wantedSlot, window.address(), bytes, position);
      if (count < bytes) {
        return 0;
      }
    }
    slot = wantedSlot;
    start = position;
    length = count;
    return window.address();
  }

  /** Returns the region that {@link #at} answered from for this length. */
  public NativeMemory region(int bytes) {
    return bytes > WINDOW_BYTES ? large : window;
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
    return storage.readNow(wantedSlot, large.address(), bytes, position) < bytes
        ? 0
        : large.address();
  }
}
