package io.plinth.engine.net;

import java.nio.ByteBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** Bytes that have arrived and were not consumed, in memory of a connection. */
final class InputBuffer {
  private final UnsafeBuffer bytes = new UnsafeBuffer(0, 0);
  private int start;
  private int end;

  /** Takes memory of {@link ConnectionMemory#RECEIVE_BYTES}. */
  void attach(long address) {
    bytes.wrap(address, ConnectionMemory.RECEIVE_BYTES);
    start = 0;
    end = 0;
  }

  UnsafeBuffer bytes() {
    return bytes;
  }

  int start() {
    return start;
  }

  int length() {
    return end - start;
  }

  boolean isEmpty() {
    return start == end;
  }

  boolean isFull() {
    return end == ConnectionMemory.RECEIVE_BYTES;
  }

  /** Returns how many bytes fit behind the last one. */
  int room() {
    return ConnectionMemory.RECEIVE_BYTES - end;
  }

  /** Returns the address behind the last byte. */
  long endAddress() {
    return bytes.addressOffset() + end;
  }

  /** So many bytes were written at {@link #endAddress}. */
  void grow(int length) {
    end += length;
  }

  /** Appends bytes, for which there is room. */
  void append(ByteBuffer source) {
    int length = source.remaining();
    bytes.putBytes(end, source, length);
    end += length;
  }

  void consume(int length) {
    start += length;
    if (start == end) {
      start = 0;
      end = 0;
    }
  }

  /** Moves what is left to the front; false when it was there already. */
  boolean compact() {
    if (start == 0) {
      return false;
    }
    bytes.putBytes(0, bytes, start, end - start);
    end -= start;
    start = 0;
    return true;
  }

  /** Returns a copy of what is left. */
  byte[] copy() {
    byte[] rest = new byte[end - start];
    bytes.getBytes(start, rest);
    return rest;
  }
}
