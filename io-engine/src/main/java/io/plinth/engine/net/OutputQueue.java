package io.plinth.engine.net;

import io.plinth.engine.api.Releasable;
import java.nio.ByteBuffer;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What a connection still has to send, in order: pieces claimed in its output ring and ranges lent
 * by reference. The ranges live in a native array of {@code struct iovec}, so that a gathered write
 * needs no preparation.
 *
 * <p>Entries between {@code head} and {@code sending} are with the kernel and must not change;
 * later ones may still grow.
 */
final class OutputQueue {
  private static final int MASK = ConnectionMemory.VECTORS - 1;

  private final UnsafeBuffer output = new UnsafeBuffer(0, 0);
  private final UnsafeBuffer vectors = new UnsafeBuffer(0, 0);
  private final UnsafeBuffer header = new UnsafeBuffer(0, 0);

  /** What {@link #take} copies from. */
  private final UnsafeBuffer source = new UnsafeBuffer(0, 0);

  private final Releasable[] owners = new Releasable[ConnectionMemory.VECTORS];

  /**
   * For a loan its token; for a claim the output position after it, which becomes free when it has
   * been sent.
   */
  private final long[] tokens = new long[ConnectionMemory.VECTORS];

  private final boolean[] claimed = new boolean[ConnectionMemory.VECTORS];

  // Positions grow without bound; their low bits index the arrays.
  private long head;
  private long sending;
  private long tail;
  private long outputHead;
  private long outputTail;

  void attach(ConnectionMemory memory, int block) {
    output.wrap(memory.outputAddress(block), ConnectionMemory.OUTPUT_BYTES);
    vectors.wrap(
        memory.vectorAddress(block), ConnectionMemory.VECTORS * ConnectionMemory.VECTOR_BYTES);
    header.wrap(memory.messageHeaderAddress(block), ConnectionMemory.MESSAGE_HEADER_BYTES);
    header.setMemory(0, ConnectionMemory.MESSAGE_HEADER_BYTES, (byte) 0);
    head = 0;
    sending = 0;
    tail = 0;
    outputHead = 0;
    outputTail = 0;
  }

  MutableDirectBuffer output() {
    return output;
  }

  boolean isEmpty() {
    return head == tail;
  }

  boolean hasUnsent() {
    return sending < tail;
  }

  boolean hasRoom(int claimBytes, int references) {
    // One entry more than asked for: a claim may have to skip the end of the ring.
    return tail - head + references + 1 <= ConnectionMemory.VECTORS
        && (claimBytes == 0 || placeFor(claimBytes) >= 0);
  }

  int claim(int length) {
    long place = placeFor(length);
    if (place < 0 || tail - head == ConnectionMemory.VECTORS) {
      return -1;
    }
    int offset = (int) (place % ConnectionMemory.OUTPUT_BYTES);
    long address = output.addressOffset() + offset;
    outputTail = place + length;
    int last = (int) (tail - 1) & MASK;
    if (tail > sending && claimed[last] && address(last) + length(last) == address) {
      setVector(last, address(last), length(last) + length);
      tokens[last] = outputTail;
      return offset;
    }
    int next = (int) tail++ & MASK;
    setVector(next, address, length);
    claimed[next] = true;
    tokens[next] = outputTail;
    return offset;
  }

  boolean lend(long address, int length, Releasable owner, long token) {
    if (tail - head == ConnectionMemory.VECTORS) {
      return false;
    }
    int next = (int) tail++ & MASK;
    setVector(next, address, length);
    claimed[next] = false;
    owners[next] = owner;
    tokens[next] = token;
    return true;
  }

  /**
   * Hands the front of the queue to the kernel; returns the address of the message header that
   * describes it.
   */
  long beginSend() {
    int first = (int) head & MASK;
    int count = (int) Math.min(tail - head, ConnectionMemory.VECTORS - first);
    sending = head + count;
    header.putLong(16, vectors.addressOffset() + (long) first * ConnectionMemory.VECTOR_BYTES);
    header.putLong(24, count);
    return header.addressOffset();
  }

  /**
   * Takes back what {@link #beginSend} handed out, of which {@code bytes} have left; what has not
   * is sent again later.
   */
  void endSend(int bytes) {
    int left = bytes;
    while (head < sending) {
      int i = (int) head & MASK;
      long length = length(i);
      if (left < length) {
        if (left > 0) {
          setVector(i, address(i) + left, length - left);
        }
        break;
      }
      left -= (int) length;
      dropFirst();
    }
    sending = head;
  }

  /**
   * Copies the front of the queue out and drops it, as if it had been sent; nothing may be with the
   * kernel.
   *
   * @param target filled to its limit at most
   */
  void take(ByteBuffer target) {
    while (head < tail && target.hasRemaining()) {
      int i = (int) head & MASK;
      long address = address(i);
      long length = length(i);
      int piece = (int) Math.min(length, target.remaining());
      source.wrap(address, piece);
      source.getBytes(0, target, piece);
      if (piece == length) {
        dropFirst();
      } else {
        setVector(i, address + piece, length - piece);
      }
    }
    sending = head;
  }

  /** Ends all loans and drops everything; nothing may be with the kernel. */
  void clear() {
    while (head < tail) {
      dropFirst();
    }
    sending = head;
  }

  private void dropFirst() {
    int i = (int) head & MASK;
    head++;
    if (claimed[i]) {
      outputHead = tokens[i];
      if (outputHead == outputTail) {
        outputHead = 0;
        outputTail = 0;
      }
      return;
    }
    Releasable owner = owners[i];
    if (owner != null) {
      owners[i] = null;
      owner.release(tokens[i]);
    }
  }

  /** Returns the position where {@code length} contiguous bytes are free, or -1. */
  private long placeFor(int length) {
    long place = outputTail;
    int offset = (int) (place % ConnectionMemory.OUTPUT_BYTES);
    if (offset + length > ConnectionMemory.OUTPUT_BYTES) {
      place += ConnectionMemory.OUTPUT_BYTES - offset;
    }
    return place + length - outputHead <= ConnectionMemory.OUTPUT_BYTES ? place : -1;
  }

  private long address(int i) {
    return vectors.getLong(i * ConnectionMemory.VECTOR_BYTES);
  }

  private long length(int i) {
    return vectors.getLong(i * ConnectionMemory.VECTOR_BYTES + 8);
  }

  private void setVector(int i, long address, long length) {
    vectors.putLong(i * ConnectionMemory.VECTOR_BYTES, address);
    vectors.putLong(i * ConnectionMemory.VECTOR_BYTES + 8, length);
  }
}
