package io.plinth.engine.sim;

import java.util.ArrayDeque;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One direction of a simulated connection: pieces of the stream that are on their way, in order.
 */
final class SimLink {
  /** What the kernels of both sides hold together; who sends more waits. */
  static final int WINDOW_BYTES = 256 * 1024;

  private record Piece(long dueNs, UnsafeBuffer bytes) {}

  private final ArrayDeque<Piece> pieces = new ArrayDeque<>();
  private int takenOfFirst;
  private int inFlightBytes;
  private long lastDueNs;
  private boolean ended;
  private long endDueNs;

  /** Returns how many bytes may be sent now. */
  int room() {
    return WINDOW_BYTES - inFlightBytes;
  }

  /** Sends; nothing overtakes what was sent before. */
  void send(byte[] bytes, long dueNs) {
    lastDueNs = Math.max(lastDueNs, dueNs);
    pieces.add(new Piece(lastDueNs, new UnsafeBuffer(bytes)));
    inFlightBytes += bytes.length;
  }

  /** Nothing more is sent. */
  void end(long dueNs) {
    ended = true;
    endDueNs = Math.max(lastDueNs, dueNs);
  }

  boolean isEmpty() {
    return pieces.isEmpty();
  }

  /** Returns whether bytes have arrived. */
  boolean hasArrived(long nowNs) {
    return !pieces.isEmpty() && pieces.peek().dueNs <= nowNs;
  }

  /** Returns whether nothing will follow what has arrived, taken or not. */
  boolean hasEnded(long nowNs) {
    return ended && endDueNs <= nowNs;
  }

  /** Returns whether all has been taken and nothing will follow. */
  boolean isOver(long nowNs) {
    return ended && pieces.isEmpty() && endDueNs <= nowNs;
  }

  /** Copies bytes that have arrived, up to a limit; returns how many. */
  int take(MutableDirectBuffer target, int offset, int limit) {
    Piece first = pieces.element();
    int count = Math.min(limit, first.bytes.capacity() - takenOfFirst);
    target.putBytes(offset, first.bytes, takenOfFirst, count);
    takenOfFirst += count;
    inFlightBytes -= count;
    if (takenOfFirst == first.bytes.capacity()) {
      takenOfFirst = 0;
      pieces.remove();
    }
    return count;
  }

  void clear() {
    pieces.clear();
    takenOfFirst = 0;
    inFlightBytes = 0;
  }
}
