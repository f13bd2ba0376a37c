package io.plinth.log.format;

import java.nio.ByteOrder;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Flyweight over the first block of a segment.
 *
 * <pre>
 *   0       8         12             16      24     28         32                40                   48            52    56
 *  +-------+---------+--------------+-------+------+----------+-----------------+--------------------+-------------+-----+
 *  | magic | version | segmentBytes | logId | slot | reserved | segmentSequence | firstBatchSequence | previousCrc | crc |
 *  +-------+---------+--------------+-------+------+----------+-----------------+--------------------+-------------+-----+
 * </pre>
 *
 * {@code segmentSequence} orders the segments of a log; {@code firstBatchSequence} and {@code
 * previousCrc} continue the chain of the segment before. {@code crc} is the CRC32C of the bytes
 * before it. The first batch begins in the second block.
 */
public final class SegmentHeader {
  /** The characters {@code PLNSEGMT}. */
  public static final long MAGIC = 0x544d4745534e4c50L;

  /** Length of the encoded header in bytes. */
  public static final int BYTES = 56;

  /** Offset of the checksum, which covers all bytes before it. */
  public static final int CRC_OFFSET = 52;

  private static final int MAGIC_OFFSET = 0;
  private static final int VERSION_OFFSET = 8;
  private static final int SEGMENT_BYTES_OFFSET = 12;
  private static final int LOG_ID_OFFSET = 16;
  private static final int SLOT_OFFSET = 24;
  private static final int RESERVED_OFFSET = 28;
  private static final int SEGMENT_SEQUENCE_OFFSET = 32;
  private static final int FIRST_BATCH_SEQUENCE_OFFSET = 40;
  private static final int PREVIOUS_CRC_OFFSET = 48;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);

  /** Points the flyweight at a header. */
  public SegmentHeader wrap(long address) {
    buffer.wrap(address, BYTES);
    return this;
  }

  /** Writes all fields but the checksum. */
  public void encode(
      int segmentBytes,
      long logId,
      int slot,
      long segmentSequence,
      long firstBatchSequence,
      int previousCrc) {
    buffer.putLong(MAGIC_OFFSET, MAGIC, ORDER);
    buffer.putInt(VERSION_OFFSET, LogFormat.VERSION, ORDER);
    buffer.putInt(SEGMENT_BYTES_OFFSET, segmentBytes, ORDER);
    buffer.putLong(LOG_ID_OFFSET, logId, ORDER);
    buffer.putInt(SLOT_OFFSET, slot, ORDER);
    buffer.putInt(RESERVED_OFFSET, 0, ORDER);
    buffer.putLong(SEGMENT_SEQUENCE_OFFSET, segmentSequence, ORDER);
    buffer.putLong(FIRST_BATCH_SEQUENCE_OFFSET, firstBatchSequence, ORDER);
    buffer.putInt(PREVIOUS_CRC_OFFSET, previousCrc, ORDER);
  }

  public boolean isSegment() {
    return buffer.getLong(MAGIC_OFFSET, ORDER) == MAGIC
        && buffer.getInt(VERSION_OFFSET, ORDER) == LogFormat.VERSION;
  }

  public int segmentBytes() {
    return buffer.getInt(SEGMENT_BYTES_OFFSET, ORDER);
  }

  public long logId() {
    return buffer.getLong(LOG_ID_OFFSET, ORDER);
  }

  public int slot() {
    return buffer.getInt(SLOT_OFFSET, ORDER);
  }

  public long segmentSequence() {
    return buffer.getLong(SEGMENT_SEQUENCE_OFFSET, ORDER);
  }

  public long firstBatchSequence() {
    return buffer.getLong(FIRST_BATCH_SEQUENCE_OFFSET, ORDER);
  }

  public int previousCrc() {
    return buffer.getInt(PREVIOUS_CRC_OFFSET, ORDER);
  }

  public int crc() {
    return buffer.getInt(CRC_OFFSET, ORDER);
  }

  public void crc(int crc) {
    buffer.putInt(CRC_OFFSET, crc, ORDER);
  }
}
