package io.plinth.target.volume;

import java.util.Arrays;

/** The states of consecutive ranges of a volume; neighbours of equal state are merged. */
public final class ExtentList {
  /** The range has no space of its own ({@code base:allocation} bit 0 of the NBD protocol text). */
  public static final int HOLE = 1;

  /** The range reads as zeroes ({@code base:allocation} bit 1). */
  public static final int ZERO = 2;

  /** The range differs from the snapshot that it is compared with. */
  public static final int CHANGED = 1;

  private long[] lengths = new long[64];
  private int[] states = new int[64];
  private int count;

  /** Returns the number of extents. */
  public int count() {
    return count;
  }

  /** Returns the length of extent {@code i} in bytes. */
  public long length(int i) {
    return lengths[i];
  }

  /**
   * Returns the state of extent {@code i}: any of {@link #HOLE} and {@link #ZERO} of the
   * allocation, {@link #CHANGED} of a comparison, or zero.
   */
  public int state(int i) {
    return states[i];
  }

  /** Appends a range, merged into the last one when the state is the same. */
  public void add(long length, int state) {
    if (count > 0 && states[count - 1] == state) {
      lengths[count - 1] += length;
      return;
    }
    if (count == lengths.length) {
      lengths = Arrays.copyOf(lengths, count * 2);
      states = Arrays.copyOf(states, count * 2);
    }
    lengths[count] = length;
    states[count] = state;
    count++;
  }

  /** The same for a list of at most {@code limit}; false when the range does not fit. */
  boolean add(long length, int state, int limit) {
    if (count == limit && states[count - 1] != state) {
      return false;
    }
    add(length, state);
    return true;
  }

  /** Forgets all extents. */
  public void clear() {
    count = 0;
  }
}
