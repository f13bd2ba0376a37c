package io.plinth.target.volume;

import io.plinth.engine.memory.NativeMemory;
import org.agrona.UnsafeApi;
import org.agrona.collections.Long2LongHashMap;

/**
 * How many leaf entries refer to each block of the log, and so how much of each segment is alive: a
 * byte for each place outside the heap, with the few counts that do not fit it aside.
 *
 * <p>Never stored: at start it is counted anew from the index.
 */
final class BlockReferences {
  /** Stands for a count that is kept in {@link #large}. */
  private static final int LARGE = 255;

  private final int segmentShift;
  private final NativeMemory counts;
  private final Long2LongHashMap large = new Long2LongHashMap(0);
  private final int[] liveData;
  private final int[] liveMeta;
  private long live;

  BlockReferences(int segments, int blocksPerSegment) {
    if (Integer.bitCount(blocksPerSegment) != 1) {
      throw new IllegalArgumentException(blocksPerSegment + " blocks are no power of two");
    }
    this.segmentShift = Integer.numberOfTrailingZeros(blocksPerSegment);
    this.counts = NativeMemory.reserve((long) segments * blocksPerSegment);
    counts.useHugePages();
    this.liveData = new int[segments];
    this.liveMeta = new int[segments];
  }

  /** Returns whether a place is inside the log. */
  boolean isPlace(long place) {
    return place > 0 && place < (long) liveData.length << segmentShift;
  }

  /** Returns how many leaf entries refer to a place. */
  long count(long place) {
    int value = UnsafeApi.getByte(counts.address() + place) & 0xFF;
    return value == LARGE ? large.get(place) : value;
  }

  /** Reads what {@link #release} will look at. */
  int touch(long place) {
    return UnsafeApi.getByte(counts.address() + place);
  }

  /** One more leaf entry refers to a place. */
  void retain(long place) {
    long at = counts.address() + place;
    int value = UnsafeApi.getByte(at) & 0xFF;
    if (value < LARGE - 1) {
      UnsafeApi.putByte(at, (byte) (value + 1));
      if (value == 0) {
        liveData[(int) (place >>> segmentShift)]++;
        live++;
      }
    } else if (value == LARGE - 1) {
      UnsafeApi.putByte(at, (byte) LARGE);
      large.put(place, LARGE);
    } else {
      large.put(place, large.get(place) + 1);
    }
  }

  /** One leaf entry less refers to a place. */
  void release(long place) {
    long at = counts.address() + place;
    int value = UnsafeApi.getByte(at) & 0xFF;
    if (value == 0) {
      throw new IllegalStateException("place " + place + " released too often");
    }
    if (value == LARGE) {
      long count = large.get(place) - 1;
      if (count < LARGE) {
        large.remove(place);
        UnsafeApi.putByte(at, (byte) count);
      } else {
        large.put(place, count);
      }
      return;
    }
    UnsafeApi.putByte(at, (byte) (value - 1));
    if (value == 1) {
      liveData[(int) (place >>> segmentShift)]--;
      live--;
    }
  }

  /** A block of a checkpoint is at a place. */
  void retainMeta(long place) {
    liveMeta[(int) (place >>> segmentShift)]++;
    live++;
  }

  /** The block of a checkpoint at a place is needed no more. */
  void releaseMeta(long place) {
    int slot = (int) (place >>> segmentShift);
    if (--liveMeta[slot] < 0) {
      throw new IllegalStateException("checkpoint block " + place + " released too often");
    }
    live--;
  }

  /** Returns how many blocks of a segment leaf entries refer to. */
  int liveData(int slot) {
    return liveData[slot];
  }

  /** Returns how many blocks of a segment belong to the checkpoint. */
  int liveMeta(int slot) {
    return liveMeta[slot];
  }

  /** Returns whether nothing refers to any block of a segment. */
  boolean isDead(int slot) {
    return liveData[slot] == 0 && liveMeta[slot] == 0;
  }

  /** Returns how many blocks of the log are needed, data and checkpoint. */
  long liveBlocks() {
    return live;
  }

  void close() {
    counts.close();
  }
}
