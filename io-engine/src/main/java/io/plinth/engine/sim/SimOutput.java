package io.plinth.engine.sim;

import io.plinth.engine.api.Releasable;
import java.util.ArrayDeque;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What a simulated connection still has to send, with the limits of a real one: a ring for claims
 * and a number of ranges. Bytes are looked at when they leave, so that a loan which is changed too
 * early shows.
 */
final class SimOutput {
  private static final int RING_BYTES = 64 * 1024;
  private static final int MAX_RANGES = 512;

  private static final class Range {
    long address;
    int offset;
    int length;
    Releasable owner;
    long token;
    boolean claimed;
    long endOfClaim;
  }

  private final UnsafeBuffer ring = new UnsafeBuffer(new byte[RING_BYTES]);
  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private final ArrayDeque<Range> ranges = new ArrayDeque<>();
  private long head;
  private long tail;

  MutableDirectBuffer ring() {
    return ring;
  }

  boolean isEmpty() {
    return ranges.isEmpty();
  }

  boolean hasRoom(int claimBytes, int references) {
    return ranges.size() + references + 1 <= MAX_RANGES
        && (claimBytes == 0 || placeFor(claimBytes) >= 0);
  }

  int claim(int length) {
    long place = placeFor(length);
    if (place < 0 || ranges.size() == MAX_RANGES) {
      return -1;
    }
    Range range = new Range();
    range.claimed = true;
    range.offset = (int) (place % RING_BYTES);
    range.length = length;
    tail = place + length;
    range.endOfClaim = tail;
    ranges.add(range);
    return range.offset;
  }

  boolean lend(long address, int length, Releasable owner, long token) {
    if (ranges.size() == MAX_RANGES) {
      return false;
    }
    Range range = new Range();
    range.address = address;
    range.length = length;
    range.owner = owner;
    range.token = token;
    ranges.add(range);
    return true;
  }

  /** Takes up to {@code limit} bytes off the front; loans that have left whole end. */
  byte[] take(int limit) {
    int size = 0;
    for (Range range : ranges) {
      size = (int) Math.min(limit, (long) size + range.length);
    }
    byte[] bytes = new byte[size];
    int at = 0;
    while (at < size) {
      Range range = ranges.element();
      int count = Math.min(range.length, size - at);
      if (range.claimed) {
        ring.getBytes(range.offset, bytes, at, count);
      } else {
        view.wrap(range.address, count);
        view.getBytes(0, bytes, at, count);
      }
      at += count;
      range.offset += count;
      range.address += count;
      range.length -= count;
      if (range.length == 0) {
        dropFirst();
      }
    }
    return bytes;
  }

  /** Drops everything and ends all loans. */
  void clear() {
    while (!ranges.isEmpty()) {
      dropFirst();
    }
  }

  private void dropFirst() {
    Range range = ranges.remove();
    if (range.claimed) {
      head = range.endOfClaim;
    } else if (range.owner != null) {
      range.owner.release(range.token);
    }
  }

  private long placeFor(int length) {
    long place = tail;
    int offset = (int) (place % RING_BYTES);
    if (offset + length > RING_BYTES) {
      place += RING_BYTES - offset;
    }
    return place + length - head <= RING_BYTES ? place : -1;
  }
}
