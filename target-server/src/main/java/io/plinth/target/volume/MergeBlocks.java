package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import org.agrona.collections.Long2LongHashMap;

/**
 * Blocks of the log that writes of less than a block must be merged with and that were not in
 * memory: they are read here, and the refused write finds them when it tries again. Named by place:
 * what is at a place does not change before its segment is used anew, and then it is forgotten.
 */
final class MergeBlocks {
  /** The block is being read, or nothing could be started: try again when told. */
  static final long PENDING = 0;

  /** The block can't be read. */
  static final long FAILED = -1;

  private static final int CAPACITY = 64;
  private static final long NONE = -2;

  private final VolumeStore store;
  private final BufferPool pool;
  private final Long2LongHashMap buffersByPlace = new Long2LongHashMap(NONE);
  private final long[] places = new long[CAPACITY];
  private final long[] buffers = new long[CAPACITY];
  private final int[] states = new int[CAPACITY];
  private int hand;

  private static final int FREE = 0;
  private static final int READING = 1;
  private static final int READY = 2;
  private static final int BROKEN = 3;

  MergeBlocks(VolumeStore store) {
    this.store = store;
    this.pool = store.readBuffers();
  }

  /** Returns the address of a block's content, {@link #PENDING} or {@link #FAILED}. */
  long find(IndexedVolume volume, long block, long place) {
    long slot = buffersByPlace.get(place);
    if (slot != NONE) {
      int i = (int) slot;
      return switch (states[i]) {
        case READY -> buffers[i];
        case BROKEN -> {
          free(i);
          yield FAILED;
        }
        default -> PENDING;
      };
    }
    int i = takeSlot();
    if (i < 0) {
      return PENDING;
    }
    long buffer = pool.acquire();
    if (buffer == 0) {
      store.awaitReadBuffers(1);
      return PENDING;
    }
    places[i] = place;
    buffers[i] = buffer;
    states[i] = READING;
    buffersByPlace.put(place, i);
    store.reads().start(volume, block, place, 1, buffer, null);
    return PENDING;
  }

  /** A range of places is used anew: what was read from it is forgotten. */
  void forget(long fromPlace, long toPlace) {
    for (int i = 0; i < CAPACITY; i++) {
      boolean kept = states[i] == READY || states[i] == BROKEN;
      if (kept && places[i] >= fromPlace && places[i] < toPlace) {
        free(i);
      }
    }
  }

  /** The read into a buffer has ended. */
  void onRead(long buffer, int status) {
    for (int i = 0; i < CAPACITY; i++) {
      if (states[i] == READING && buffers[i] == buffer) {
        states[i] = status == Status.OK ? READY : BROKEN;
        if (status == Status.EAGAIN) {
          // Being mended: it will be at another place.
          free(i);
        }
        break;
      }
    }
    store.notifyReady();
  }

  void close() {
    buffersByPlace.clear();
  }

  /** Returns a slot to use, taking the oldest that is not being read; -1 when all are. */
  private int takeSlot() {
    for (int tries = 0; tries < CAPACITY; tries++) {
      int i = hand;
      hand = (hand + 1) % CAPACITY;
      if (states[i] == READING) {
        continue;
      }
      if (states[i] != FREE) {
        free(i);
      }
      return i;
    }
    return -1;
  }

  private void free(int i) {
    states[i] = FREE;
    buffersByPlace.remove(places[i]);
    pool.release(buffers[i]);
  }
}
