package io.plinth.target.forward;

import io.plinth.engine.memory.NativeMemory;
import java.nio.ByteOrder;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What who dials says first; the answer is a frame WELCOME or REFUSED.
 *
 * <pre>
 *   0       8            10           12           14     16          32     36           40
 *  +-------+------------+------------+------------+------+-----------+------+------------+----
 *  | magic | helloBytes | minVersion | maxVersion | core | clusterId | node | targetNode |
 *  +-------+------------+------------+------------+------+-----------+------+------------+----
 *  40           44    48            56         64
 *  +------------+-----+-------------+----------+
 *  | targetCore | crc | incarnation | sequence |
 *  +------------+-----+-------------+----------+
 * </pre>
 *
 * <ul>
 *   <li>{@code helloBytes}: length of all of it, a multiple of 8; what {@code crc} covers, itself
 *       taken as zero. A later version may add fields at the end.
 *   <li>{@code node}, {@code core}, {@code incarnation}: see {@link ForwardIdentity}; {@code
 *       targetNode}, {@code targetCore}: whom the sender means to speak to.
 *   <li>{@code sequence}: grows with each connection of an incarnation. A later one ends an earlier
 *       one, before anything that comes on it is begun.
 * </ul>
 *
 * All numbers are little-endian; the checksum is CRC32C.
 */
final class ForwardHello {
  /** The characters {@code PLNFORW} and a zero. */
  static final long MAGIC = 0x0057524f464e4c50L;

  static final int BYTES = 64;

  /** The longest that is taken, from whatever version. */
  static final int MAX_BYTES = 1024;

  private static final int LENGTH_OFFSET = 8;
  private static final int MIN_VERSION_OFFSET = 10;
  private static final int MAX_VERSION_OFFSET = 12;
  private static final int CORE_OFFSET = 14;
  private static final int CLUSTER_OFFSET = 16;
  private static final int NODE_OFFSET = 32;
  private static final int TARGET_NODE_OFFSET = 36;
  private static final int TARGET_CORE_OFFSET = 40;
  private static final int CRC_OFFSET = 44;
  private static final int INCARNATION_OFFSET = 48;
  private static final int SEQUENCE_OFFSET = 56;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final NativeMemory memory;
  private final UnsafeBuffer buffer;
  private final CRC32C crc = new CRC32C();
  private int length;

  /** Reads and writes hellos in the first bytes of a region of at least {@link #MAX_BYTES}. */
  ForwardHello(NativeMemory memory) {
    this.memory = memory;
    this.buffer = memory.buffer(0, MAX_BYTES);
  }

  /** Writes a hello; returns where it is. */
  DirectBuffer encode(ForwardIdentity from, int node, int core, long sequence) {
    buffer.setMemory(0, BYTES, (byte) 0);
    buffer.putLong(0, MAGIC, ORDER);
    buffer.putShort(LENGTH_OFFSET, (short) BYTES, ORDER);
    buffer.putShort(MIN_VERSION_OFFSET, (short) ForwardFrame.VERSION, ORDER);
    buffer.putShort(MAX_VERSION_OFFSET, (short) ForwardFrame.VERSION, ORDER);
    buffer.putShort(CORE_OFFSET, (short) from.core(), ORDER);
    buffer.putLong(CLUSTER_OFFSET, from.clusterId().getMostSignificantBits(), ORDER);
    buffer.putLong(CLUSTER_OFFSET + 8, from.clusterId().getLeastSignificantBits(), ORDER);
    buffer.putInt(NODE_OFFSET, from.node(), ORDER);
    buffer.putInt(TARGET_NODE_OFFSET, node, ORDER);
    buffer.putInt(TARGET_CORE_OFFSET, core, ORDER);
    buffer.putLong(INCARNATION_OFFSET, from.incarnation(), ORDER);
    buffer.putLong(SEQUENCE_OFFSET, sequence, ORDER);
    buffer.putInt(CRC_OFFSET, memory.crc32c(crc, memory.address(), BYTES), ORDER);
    return buffer;
  }

  /**
   * Takes a hello from the front of a stream.
   *
   * @return how long it is; 0 while it is cut short; -1 when it is none
   */
  int load(DirectBuffer from, int offset, int available) {
    if (available < Long.BYTES) {
      return 0;
    }
    if (from.getLong(offset, ORDER) != MAGIC) {
      return -1;
    }
    if (available < MIN_VERSION_OFFSET) {
      return 0;
    }
    length = from.getShort(offset + LENGTH_OFFSET, ORDER) & 0xFFFF;
    if (length < BYTES || length > MAX_BYTES || length % Long.BYTES != 0) {
      return -1;
    }
    if (available < length) {
      return 0;
    }
    from.getBytes(offset, buffer, 0, length);
    int computed = memory.crc32cWithout(crc, memory.address(), length, CRC_OFFSET);
    return computed == buffer.getInt(CRC_OFFSET, ORDER) ? length : -1;
  }

  int minVersion() {
    return buffer.getShort(MIN_VERSION_OFFSET, ORDER) & 0xFFFF;
  }

  int maxVersion() {
    return buffer.getShort(MAX_VERSION_OFFSET, ORDER) & 0xFFFF;
  }

  ForwardIdentity identity() {
    return new ForwardIdentity(
        new UUID(buffer.getLong(CLUSTER_OFFSET, ORDER), buffer.getLong(CLUSTER_OFFSET + 8, ORDER)),
        buffer.getInt(NODE_OFFSET, ORDER),
        buffer.getShort(CORE_OFFSET, ORDER) & 0xFFFF,
        buffer.getLong(INCARNATION_OFFSET, ORDER));
  }

  int targetNode() {
    return buffer.getInt(TARGET_NODE_OFFSET, ORDER);
  }

  int targetCore() {
    return buffer.getInt(TARGET_CORE_OFFSET, ORDER);
  }

  long sequence() {
    return buffer.getLong(SEQUENCE_OFFSET, ORDER);
  }
}
