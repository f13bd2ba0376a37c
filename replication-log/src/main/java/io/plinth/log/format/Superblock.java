package io.plinth.log.format;

import java.nio.ByteOrder;
import java.util.UUID;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Flyweight over one copy of a log's superblock, a block of 4 KiB. The two copies alternate: the
 * valid one with the higher generation counts, so that a torn write of one leaves the other.
 *
 * <pre>
 *   0       8         12             16           24      32     48                  64
 *  +-------+---------+--------------+------------+-------+--------------------+--------------------+
 *  | magic | version | segmentBytes | generation | logId | nodeId (16 bytes)  | bootId (16 bytes)  |
 *  +-------+---------+--------------+------------+-------+--------------------+--------------------+
 *  64      72                80               88            92      96                       4092
 *  +-------+-----------------+----------------+-------------+-------+------- zeroes --------+-----+
 *  | starts | durableSequence | firstSequence | firstPrevCrc | clean |      checkpoint       | crc |
 *  +-------+-----------------+----------------+-------------+-------+-----------------------+-----+
 *  96      104           108   112                    120             124
 *  +-------+-------------+-----+----------------------+---------------+---- zeroes ----
 *  | place | lengthBytes | crc | firstSegmentSequence | firstPosition |
 *  +-------+-------------+-----+----------------------+---------------+---- zeroes ----
 * </pre>
 *
 * <ul>
 *   <li>{@code bootId}: of the machine when the log was opened last; the same one later means that
 *       the page cache is intact.
 *   <li>{@code starts}: how often the log has been opened.
 *   <li>{@code durableSequence}: a batch known to be durable with all before it.
 *   <li>{@code firstSequence}, {@code firstPreviousCrc}: where replay begins in the chain.
 *   <li>{@code firstSegmentSequence}, {@code firstPosition}: the segment and the offset in it of
 *       that batch.
 *   <li>{@code checkpoint}: place, length in bytes and CRC32C of the description of the newest
 *       checkpoint; length 0 is none.
 *   <li>{@code clean}: 1 after an orderly shutdown; then {@code durableSequence} is the last batch.
 * </ul>
 */
public final class Superblock {
  /** The characters {@code PLNSUPER}. */
  public static final long MAGIC = 0x52455055534e4c50L;

  /** Size of one copy in bytes. */
  public static final int BYTES = 4096;

  /** Offset of the CRC32C of all bytes before it. */
  public static final int CRC_OFFSET = 4092;

  private static final int MAGIC_OFFSET = 0;
  private static final int VERSION_OFFSET = 8;
  private static final int SEGMENT_BYTES_OFFSET = 12;
  private static final int GENERATION_OFFSET = 16;
  private static final int LOG_ID_OFFSET = 24;
  private static final int NODE_ID_OFFSET = 32;
  private static final int BOOT_ID_OFFSET = 48;
  private static final int STARTS_OFFSET = 64;
  private static final int DURABLE_SEQUENCE_OFFSET = 72;
  private static final int FIRST_SEQUENCE_OFFSET = 80;
  private static final int FIRST_PREVIOUS_CRC_OFFSET = 88;
  private static final int CLEAN_OFFSET = 92;
  private static final int CHECKPOINT_PLACE_OFFSET = 96;
  private static final int CHECKPOINT_BYTES_OFFSET = 104;
  private static final int CHECKPOINT_CRC_OFFSET = 108;
  private static final int FIRST_SEGMENT_OFFSET = 112;
  private static final int FIRST_POSITION_OFFSET = 120;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);

  /** The values of a superblock. */
  public record Values(
      int segmentBytes,
      long generation,
      long logId,
      UUID nodeId,
      UUID bootId,
      long starts,
      long durableSequence,
      Start start,
      CheckpointPlace checkpoint,
      boolean clean) {}

  /** Where replay begins: the first batch, what its chain continues, and where it is. */
  public record Start(long sequence, int previousCrc, long segmentSequence, int position) {
    /** The beginning of a new log. */
    public static final Start NEW =
        new Start(
            LogFormat.FIRST_SEQUENCE,
            LogFormat.CHAIN_START,
            LogFormat.FIRST_SEGMENT,
            LogFormat.BLOCK_BYTES);
  }

  /** The description of a checkpoint in the log. */
  public record CheckpointPlace(long place, int bytes, int crc) {
    /** There is no checkpoint. */
    public static final CheckpointPlace NONE = new CheckpointPlace(0, 0, 0);
  }

  /** Points the flyweight at a copy. */
  public Superblock wrap(long address) {
    buffer.wrap(address, BYTES);
    return this;
  }

  /** Writes all fields but the checksum. */
  public void encode(Values values) {
    buffer.setMemory(0, BYTES, (byte) 0);
    buffer.putLong(MAGIC_OFFSET, MAGIC, ORDER);
    buffer.putInt(VERSION_OFFSET, LogFormat.VERSION, ORDER);
    buffer.putInt(SEGMENT_BYTES_OFFSET, values.segmentBytes, ORDER);
    buffer.putLong(GENERATION_OFFSET, values.generation, ORDER);
    buffer.putLong(LOG_ID_OFFSET, values.logId, ORDER);
    putUuid(NODE_ID_OFFSET, values.nodeId);
    putUuid(BOOT_ID_OFFSET, values.bootId);
    buffer.putLong(STARTS_OFFSET, values.starts, ORDER);
    buffer.putLong(DURABLE_SEQUENCE_OFFSET, values.durableSequence, ORDER);
    buffer.putLong(FIRST_SEQUENCE_OFFSET, values.start.sequence, ORDER);
    buffer.putInt(FIRST_PREVIOUS_CRC_OFFSET, values.start.previousCrc, ORDER);
    buffer.putLong(FIRST_SEGMENT_OFFSET, values.start.segmentSequence, ORDER);
    buffer.putInt(FIRST_POSITION_OFFSET, values.start.position, ORDER);
    buffer.putLong(CHECKPOINT_PLACE_OFFSET, values.checkpoint.place, ORDER);
    buffer.putInt(CHECKPOINT_BYTES_OFFSET, values.checkpoint.bytes, ORDER);
    buffer.putInt(CHECKPOINT_CRC_OFFSET, values.checkpoint.crc, ORDER);
    buffer.putInt(CLEAN_OFFSET, values.clean ? 1 : 0, ORDER);
  }

  /** Returns the fields. */
  public Values decode() {
    return new Values(
        buffer.getInt(SEGMENT_BYTES_OFFSET, ORDER),
        generation(),
        buffer.getLong(LOG_ID_OFFSET, ORDER),
        uuid(NODE_ID_OFFSET),
        uuid(BOOT_ID_OFFSET),
        buffer.getLong(STARTS_OFFSET, ORDER),
        buffer.getLong(DURABLE_SEQUENCE_OFFSET, ORDER),
        new Start(
            buffer.getLong(FIRST_SEQUENCE_OFFSET, ORDER),
            buffer.getInt(FIRST_PREVIOUS_CRC_OFFSET, ORDER),
            buffer.getLong(FIRST_SEGMENT_OFFSET, ORDER),
            buffer.getInt(FIRST_POSITION_OFFSET, ORDER)),
        new CheckpointPlace(
            buffer.getLong(CHECKPOINT_PLACE_OFFSET, ORDER),
            buffer.getInt(CHECKPOINT_BYTES_OFFSET, ORDER),
            buffer.getInt(CHECKPOINT_CRC_OFFSET, ORDER)),
        buffer.getInt(CLEAN_OFFSET, ORDER) == 1);
  }

  public boolean hasMagic() {
    return buffer.getLong(MAGIC_OFFSET, ORDER) == MAGIC;
  }

  public int version() {
    return buffer.getInt(VERSION_OFFSET, ORDER);
  }

  public long generation() {
    return buffer.getLong(GENERATION_OFFSET, ORDER);
  }

  public int crc() {
    return buffer.getInt(CRC_OFFSET, ORDER);
  }

  public void crc(int crc) {
    buffer.putInt(CRC_OFFSET, crc, ORDER);
  }

  private void putUuid(int offset, UUID id) {
    buffer.putLong(offset, id.getMostSignificantBits(), ORDER);
    buffer.putLong(offset + 8, id.getLeastSignificantBits(), ORDER);
  }

  private UUID uuid(int offset) {
    return new UUID(buffer.getLong(offset, ORDER), buffer.getLong(offset + 8, ORDER));
  }
}
