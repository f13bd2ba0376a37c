package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import java.nio.ByteOrder;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * The first bytes of each direction of a connection.
 *
 * <pre>
 *   0       8            10           12           14           16          32
 *  +-------+------------+------------+------------+------------+-----------+
 *  | magic | helloBytes | minVersion | maxVersion | core       | clusterId |
 *  +-------+------------+------------+------------+------------+-----------+
 *  32     36           40           42         48            56       72    76         80
 *  +------+------------+------------+----------+-------------+--------+-----+----------+
 *  | node | targetNode | targetCore | reserved | incarnation | bootId | crc | reserved |
 *  +------+------------+------------+----------+-------------+--------+-----+----------+
 * </pre>
 *
 * <ul>
 *   <li>{@code helloBytes}: length of all of it, a multiple of 8; what {@code crc} covers, itself
 *       taken as zero. A later version may add fields at the end.
 *   <li>{@code node}, {@code core}: who speaks, and which of its logs; {@code targetNode}, {@code
 *       targetCore}: whom it means to speak to.
 *   <li>{@code incarnation}: grows with every start of the sender's log. {@code bootId}: of the
 *       sender's machine.
 * </ul>
 */
final class Hello {
  /** The characters {@code PLNPEER} and a zero. */
  static final long MAGIC = 0x00524545504e4c50L;

  static final int BYTES = 80;

  /** The longest that is taken, from whatever version. */
  static final int MAX_BYTES = 1024;

  /** Of hello and refusal: where the length is. */
  static final int LENGTH_OFFSET = 8;

  private static final int MIN_VERSION_OFFSET = 10;
  private static final int MAX_VERSION_OFFSET = 12;
  private static final int CORE_OFFSET = 14;
  private static final int CLUSTER_OFFSET = 16;
  private static final int NODE_OFFSET = 32;
  private static final int TARGET_NODE_OFFSET = 36;
  private static final int TARGET_CORE_OFFSET = 40;
  private static final int INCARNATION_OFFSET = 48;
  private static final int BOOT_ID_OFFSET = 56;
  private static final int CRC_OFFSET = 72;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private Hello() {}

  /** Writes a hello at the start of a region; returns its length. */
  static int encode(
      NativeMemory memory, UnsafeBuffer buffer, CRC32C crc, PeerIdentity from, int node, int core) {
    buffer.setMemory(0, BYTES, (byte) 0);
    buffer.putLong(0, MAGIC, ORDER);
    buffer.putShort(LENGTH_OFFSET, (short) BYTES, ORDER);
    buffer.putShort(MIN_VERSION_OFFSET, (short) from.minVersion(), ORDER);
    buffer.putShort(MAX_VERSION_OFFSET, (short) from.maxVersion(), ORDER);
    buffer.putShort(CORE_OFFSET, (short) from.core(), ORDER);
    putUuid(buffer, CLUSTER_OFFSET, from.clusterId());
    buffer.putInt(NODE_OFFSET, from.node(), ORDER);
    buffer.putInt(TARGET_NODE_OFFSET, node, ORDER);
    buffer.putShort(TARGET_CORE_OFFSET, (short) core, ORDER);
    buffer.putLong(INCARNATION_OFFSET, from.incarnation(), ORDER);
    putUuid(buffer, BOOT_ID_OFFSET, from.bootId());
    buffer.putInt(CRC_OFFSET, memory.crc32c(crc, memory.address(), BYTES), ORDER);
    return BYTES;
  }

  static boolean isIntact(NativeMemory memory, UnsafeBuffer buffer, CRC32C crc, int length) {
    return memory.crc32cWithout(crc, memory.address(), length, CRC_OFFSET)
        == buffer.getInt(CRC_OFFSET, ORDER);
  }

  static PeerIdentity identity(UnsafeBuffer buffer) {
    return new PeerIdentity(
        uuid(buffer, CLUSTER_OFFSET),
        buffer.getInt(NODE_OFFSET, ORDER),
        buffer.getShort(CORE_OFFSET, ORDER) & 0xFFFF,
        buffer.getLong(INCARNATION_OFFSET, ORDER),
        uuid(buffer, BOOT_ID_OFFSET),
        buffer.getShort(MIN_VERSION_OFFSET, ORDER) & 0xFFFF,
        buffer.getShort(MAX_VERSION_OFFSET, ORDER) & 0xFFFF);
  }

  static int targetNode(UnsafeBuffer buffer) {
    return buffer.getInt(TARGET_NODE_OFFSET, ORDER);
  }

  static int targetCore(UnsafeBuffer buffer) {
    return buffer.getShort(TARGET_CORE_OFFSET, ORDER) & 0xFFFF;
  }

  private static void putUuid(UnsafeBuffer buffer, int offset, UUID id) {
    buffer.putLong(offset, id.getMostSignificantBits(), ORDER);
    buffer.putLong(offset + 8, id.getLeastSignificantBits(), ORDER);
  }

  private static UUID uuid(UnsafeBuffer buffer, int offset) {
    return new UUID(buffer.getLong(offset, ORDER), buffer.getLong(offset + 8, ORDER));
  }
}
