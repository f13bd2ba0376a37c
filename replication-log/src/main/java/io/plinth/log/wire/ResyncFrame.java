package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import java.nio.ByteOrder;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Flyweight over a frame RESYNC: one step of bringing the state of a group to a member that lacks
 * entries which are kept no more. All of it is header, and so covered by the frame's checksum.
 *
 * <pre>
 *   0             24        32     36     40     48    56    64
 *  +-------------+---------+------+------+------+-----+-----+------ ... ---+
 *  | FrameHeader | session | kind | tree | leaf |  a  |  b  |  count bytes |
 *  +-------------+---------+------+------+------+-----+-----+------ ... ---+
 * </pre>
 *
 * <ul>
 *   <li>{@code group}, {@code count} of the {@link FrameHeader}: the group, and how many bytes
 *       follow; they are padded to a multiple of 8.
 *   <li>{@code session}: named by who asks, and repeated in each answer.
 *   <li>{@code kind}: what is asked or answered; this, and what {@code tree}, {@code leaf}, {@code
 *       a}, {@code b} and the bytes mean, is between the owners of the groups.
 * </ul>
 */
public final class ResyncFrame {
  /** The most bytes that follow the fields. */
  public static final int MAX_BYTES = WireFormat.MAX_HEADER_BYTES - ResyncFrame.FIXED_BYTES;

  static final int FIXED_BYTES = 64;

  private static final int SESSION = 24;
  private static final int KIND = 32;
  private static final int TREE = 36;
  private static final int LEAF = 40;
  private static final int A = 48;
  private static final int B = 56;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);
  private final UnsafeBuffer body = new UnsafeBuffer(0, 0);
  private NativeMemory memory;

  /** Creates a frame to be filled in and sent; {@link #close} frees its memory. */
  public static ResyncFrame toSend() {
    ResyncFrame frame = new ResyncFrame();
    frame.memory = NativeMemory.reserve(WireFormat.MAX_HEADER_BYTES);
    frame.buffer.wrap(frame.memory.address(), WireFormat.MAX_HEADER_BYTES);
    frame.body.wrap(frame.memory.address() + FIXED_BYTES, MAX_BYTES);
    return frame;
  }

  /** Frees the memory of a frame that is to be sent. */
  public void close() {
    memory.close();
  }

  /** Looks at a frame that has come; returns what is wrong, or null. */
  String wrap(UnsafeBuffer header, int headerBytes, int payloadBytes) {
    buffer.wrap(header);
    if (payloadBytes != 0) {
      return "payloadBytes " + payloadBytes + " of RESYNC";
    }
    if (headerBytes < FIXED_BYTES || bytes() < 0 || bytes() > headerBytes - FIXED_BYTES) {
      return "headerBytes " + headerBytes + " of RESYNC with " + bytes() + " bytes";
    }
    body.wrap(header, FIXED_BYTES, bytes());
    return null;
  }

  /** Begins a frame without bytes; all fields are zero. */
  public ResyncFrame begin(int kind, long session) {
    buffer.setMemory(0, FIXED_BYTES, (byte) 0);
    buffer.putInt(KIND, kind, ORDER);
    buffer.putLong(SESSION, session, ORDER);
    return this;
  }

  /** Sets how many bytes follow. */
  public ResyncFrame bytes(int count) {
    FrameHeader.encode(buffer, 0, WireFormat.RESYNC, 0, headerBytes(count), 0, 0, count);
    return this;
  }

  private static int headerBytes(int count) {
    return FIXED_BYTES + WireFormat.padded(count);
  }

  /** Completes the frame; returns its length. */
  int seal(int group) {
    int count = bytes();
    int end = headerBytes(count);
    FrameHeader.encode(buffer, 0, WireFormat.RESYNC, 0, end, 0, group, count);
    for (int i = FIXED_BYTES + count; i < end; i++) {
      buffer.putByte(i, (byte) 0);
    }
    return end;
  }

  UnsafeBuffer buffer() {
    return buffer;
  }

  NativeMemory memory() {
    return memory;
  }

  /** Returns the group. */
  public int group() {
    return FrameHeader.group(buffer, 0);
  }

  /** Returns how many bytes follow. */
  public int bytes() {
    return FrameHeader.count(buffer, 0);
  }

  /** Returns what is asked or answered. */
  public int kind() {
    return buffer.getInt(KIND, ORDER);
  }

  /** Returns the session. */
  public long session() {
    return buffer.getLong(SESSION, ORDER);
  }

  /** Returns the number of a tree. */
  public int tree() {
    return buffer.getInt(TREE, ORDER);
  }

  /** Sets the number of a tree. */
  public ResyncFrame tree(int value) {
    buffer.putInt(TREE, value, ORDER);
    return this;
  }

  /** Returns the number of a leaf. */
  public long leaf() {
    return buffer.getLong(LEAF, ORDER);
  }

  /** Sets the number of a leaf. */
  public ResyncFrame leaf(long value) {
    buffer.putLong(LEAF, value, ORDER);
    return this;
  }

  /** Returns the first value. */
  public long a() {
    return buffer.getLong(A, ORDER);
  }

  /** Sets the first value. */
  public ResyncFrame a(long value) {
    buffer.putLong(A, value, ORDER);
    return this;
  }

  /** Returns the second value. */
  public long b() {
    return buffer.getLong(B, ORDER);
  }

  /** Sets the second value. */
  public ResyncFrame b(long value) {
    buffer.putLong(B, value, ORDER);
    return this;
  }

  /** Returns the bytes that follow: all that there is room for in a frame that is to be sent. */
  public UnsafeBuffer body() {
    return body;
  }
}
