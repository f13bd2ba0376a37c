package io.plinth.target.volume;

import io.plinth.engine.api.Releasable;
import java.util.Arrays;

/**
 * A sequence of memory ranges that stand for consecutive bytes of a volume. A range of address zero
 * stands for zeroes that are stored nowhere. Each range may be a loan from an owner, which is told
 * when the loan ends.
 */
public final class IoVector {
  private long[] addresses = new long[8];
  private int[] lengths = new int[8];
  private Releasable[] owners = new Releasable[8];
  private long[] tokens = new long[8];
  private int count;

  /** Returns the number of ranges. */
  public int count() {
    return count;
  }

  /** Returns the address of range {@code i}, zero for a range of zeroes. */
  public long address(int i) {
    return addresses[i];
  }

  /** Returns the length of range {@code i} in bytes. */
  public int length(int i) {
    return lengths[i];
  }

  /** Returns who lent range {@code i}, or null. */
  public Releasable owner(int i) {
    return owners[i];
  }

  /** Returns what {@link #owner} wants to be told. */
  public long token(int i) {
    return tokens[i];
  }

  /** Appends a range. */
  public void add(long address, int length, Releasable owner, long token) {
    if (count == addresses.length) {
      int capacity = count * 2;
      addresses = Arrays.copyOf(addresses, capacity);
      lengths = Arrays.copyOf(lengths, capacity);
      owners = Arrays.copyOf(owners, capacity);
      tokens = Arrays.copyOf(tokens, capacity);
    }
    addresses[count] = address;
    lengths[count] = length;
    owners[count] = owner;
    tokens[count] = token;
    count++;
  }

  /** Lengthens the last range by {@code length} bytes that follow it in memory. */
  public void extendLast(int length) {
    lengths[count - 1] += length;
  }

  /** Takes the loan from range {@code i}, because a later range of the same memory carries it. */
  void dropOwner(int i) {
    owners[i] = null;
  }

  /** Forgets all ranges; their loans are now someone else's to end. */
  public void clear() {
    Arrays.fill(owners, 0, count, null);
    count = 0;
  }

  /** Ends all loans and forgets all ranges. */
  public void releaseAll() {
    for (int i = 0; i < count; i++) {
      Releasable owner = owners[i];
      if (owner != null) {
        owners[i] = null;
        owner.release(tokens[i]);
      }
    }
    count = 0;
  }
}
