package io.plinth.log.format;

import io.plinth.engine.memory.NativeMemory;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Flyweight over the header of a batch: the unit of append and of the checksum chain.
 *
 * <p>A header begins a block of its own, or it shares what is left of the header block of the batch
 * before: many small batches then cost one block. A block that a sync may have written is not
 * shared any more.
 *
 * <pre>
 *   0         8         12            16      24         32
 *  +---------+---------+-------------+-------+----------+
 *  | magic   | version | headerBytes | logId | sequence |
 *  +---------+---------+-------------+-------+----------+
 *  32                40            44            48             52              56        64
 *  +-----------------+-------------+-------------+--------------+---------------+---------+
 *  | durableSequence | previousCrc | recordCount | headerBlocks | payloadBlocks | epochMs |
 *  +-----------------+-------------+-------------+--------------+---------------+---------+
 *  64       68            72             76          80
 *  +--------+-------------+--------------+-----------+----------------------------+-----+
 *  | starts | headerStart | payloadStart | headerCrc | record header 0, 1, 2, ... | ... |
 *  +--------+-------------+--------------+-----------+----------------------------+-----+
 *
 *  one block of the segment                          the following blocks
 *  +---------+---------+---------+-----------------+ +--------------+--------------+--------------+
 *  | batch 7 | batch 8 | batch 9 | zeroes          | | payload of 7 | payload of 8 | payload of 9 |
 *  +---------+---------+---------+-----------------+ +--------------+--------------+--------------+
 * </pre>
 *
 * <ul>
 *   <li>{@code headerBytes}: length of this header and the record headers; what {@code headerCrc}
 *       covers.
 *   <li>{@code headerBlocks}: how many blocks this header begins; zero when it shares one.
 *   <li>{@code headerStart}: offset of this header in its segment, in bytes; a multiple of 8.
 *   <li>{@code payloadStart}: the block of the segment with which the payload begins.
 *   <li>{@code sequence}: one more than that of the batch before.
 *   <li>{@code durableSequence}: the newest batch that was known to be durable when this one was
 *       written. Recovery takes a damaged batch at or below it for rot, above it for a torn tail.
 *   <li>{@code previousCrc}: {@code headerCrc} of the batch before, so that stale bytes of an
 *       earlier use of the segment never continue the chain.
 *   <li>{@code epochMs}: when the batch was sealed, in milliseconds since the Unix epoch, as the
 *       machine's clock had it; for people who name a point in time.
 *   <li>{@code starts}: how often the log had been opened; tells what an earlier process left
 *       behind from what follows.
 *   <li>{@code headerCrc}: CRC32C of {@code headerBytes} bytes with this field taken as zero.
 * </ul>
 */
public final class BatchHeader {
  /** The characters {@code PLNBATCH}. */
  public static final long MAGIC = 0x48435441424e4c50L;

  /** Length of the fixed part in bytes. */
  public static final int BYTES = 80;

  private static final int MAGIC_OFFSET = 0;
  private static final int VERSION_OFFSET = 8;
  private static final int HEADER_BYTES_OFFSET = 12;
  private static final int LOG_ID_OFFSET = 16;
  private static final int SEQUENCE_OFFSET = 24;
  private static final int DURABLE_SEQUENCE_OFFSET = 32;
  private static final int PREVIOUS_CRC_OFFSET = 40;
  private static final int RECORD_COUNT_OFFSET = 44;
  private static final int HEADER_BLOCKS_OFFSET = 48;
  private static final int PAYLOAD_BLOCKS_OFFSET = 52;
  private static final int EPOCH_MS_OFFSET = 56;
  private static final int STARTS_OFFSET = 64;
  private static final int HEADER_START_OFFSET = 68;
  private static final int PAYLOAD_START_OFFSET = 72;

  /** Offset of the header's checksum. */
  public static final int CRC_OFFSET = 76;

  /** Headers begin at multiples of so many bytes. */
  public static final int ALIGNMENT = 8;

  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);

  /** Points the flyweight at a header of which {@code length} bytes may be read. */
  public BatchHeader wrap(long address, int length) {
    buffer.wrap(address, length);
    return this;
  }

  /** Writes all fields but the checksum, which is set to zero. */
  public void encode(
      int headerBytes,
      long logId,
      long sequence,
      long durableSequence,
      int previousCrc,
      int recordCount,
      int headerBlocks,
      int payloadBlocks,
      long epochMs,
      int starts,
      int headerStart,
      int payloadStart) {
    buffer.putLong(MAGIC_OFFSET, MAGIC, ORDER);
    buffer.putInt(VERSION_OFFSET, LogFormat.VERSION, ORDER);
    buffer.putInt(HEADER_BYTES_OFFSET, headerBytes, ORDER);
    buffer.putLong(LOG_ID_OFFSET, logId, ORDER);
    buffer.putLong(SEQUENCE_OFFSET, sequence, ORDER);
    buffer.putLong(DURABLE_SEQUENCE_OFFSET, durableSequence, ORDER);
    buffer.putInt(PREVIOUS_CRC_OFFSET, previousCrc, ORDER);
    buffer.putInt(RECORD_COUNT_OFFSET, recordCount, ORDER);
    buffer.putInt(HEADER_BLOCKS_OFFSET, headerBlocks, ORDER);
    buffer.putInt(PAYLOAD_BLOCKS_OFFSET, payloadBlocks, ORDER);
    buffer.putLong(EPOCH_MS_OFFSET, epochMs, ORDER);
    buffer.putInt(STARTS_OFFSET, starts, ORDER);
    buffer.putInt(HEADER_START_OFFSET, headerStart, ORDER);
    buffer.putInt(PAYLOAD_START_OFFSET, payloadStart, ORDER);
    buffer.putInt(CRC_OFFSET, 0, ORDER);
  }

  /** Returns whether the magic number is there and the version is ours. */
  public boolean isBatch() {
    return buffer.getLong(MAGIC_OFFSET, ORDER) == MAGIC
        && buffer.getInt(VERSION_OFFSET, ORDER) == LogFormat.VERSION;
  }

  /**
   * Returns whether this can be a batch at an offset of a segment: a batch of this format, written
   * for that place, whose parts lie before {@code end}. Says nothing about the checksum. At least
   * {@link #BYTES} bytes must be readable.
   */
  public boolean isPossible(int at, int end) {
    if (!isBatch() || headerStart() != at) {
      return false;
    }
    boolean shares = at % BLOCK != 0;
    long headerBlocks = headerBlocks();
    long payloadBlocks = payloadBlocks();
    long headerEnd = shares ? blockEnd(at) : at + headerBlocks * BLOCK;
    long payloadStart = (long) payloadStart() * BLOCK;
    return headerBytes() >= BYTES
        && shares == (headerBlocks == 0)
        && headerBlocks >= 0
        && payloadBlocks >= 0
        && at + (long) headerBytes() <= headerEnd
        && (shares ? payloadStart >= headerEnd : payloadStart == headerEnd)
        && payloadStart + payloadBlocks * BLOCK <= end;
  }

  /** Returns where the block ends in which an offset lies. */
  private static int blockEnd(int at) {
    return (at & -BLOCK) + BLOCK;
  }

  /**
   * Returns the offset in the segment of a header that shares a block with one which ends at an
   * offset, or zero when there is no room for any.
   */
  public static int sharedAfter(int headerEnd) {
    int at = (headerEnd + ALIGNMENT - 1) & -ALIGNMENT;
    return at % BLOCK == 0 || at + BYTES > blockEnd(at) ? 0 : at;
  }

  /**
   * Returns where the batch after this one has its header if it shares this one's block, or zero
   * when it can't.
   */
  public int sharedStart() {
    return sharedAfter(headerStart() + headerBytes());
  }

  /**
   * Returns the first offset within a block, in bytes, not before {@code from}, at which there is
   * what looks like the beginning of a header, or -1.
   *
   * @param block address of the block
   */
  public static int find(long block, int from) {
    for (int at = from; at + BYTES <= BLOCK; at += ALIGNMENT) {
      if (UnsafeApi.getLong(block + at) == MAGIC) {
        return at;
      }
    }
    return -1;
  }

  public int headerBytes() {
    return buffer.getInt(HEADER_BYTES_OFFSET, ORDER);
  }

  public long logId() {
    return buffer.getLong(LOG_ID_OFFSET, ORDER);
  }

  public long sequence() {
    return buffer.getLong(SEQUENCE_OFFSET, ORDER);
  }

  public long durableSequence() {
    return buffer.getLong(DURABLE_SEQUENCE_OFFSET, ORDER);
  }

  public int previousCrc() {
    return buffer.getInt(PREVIOUS_CRC_OFFSET, ORDER);
  }

  public int recordCount() {
    return buffer.getInt(RECORD_COUNT_OFFSET, ORDER);
  }

  public int headerBlocks() {
    return buffer.getInt(HEADER_BLOCKS_OFFSET, ORDER);
  }

  public int payloadBlocks() {
    return buffer.getInt(PAYLOAD_BLOCKS_OFFSET, ORDER);
  }

  /** Returns where in the segment this header is, in bytes. */
  public int headerStart() {
    return buffer.getInt(HEADER_START_OFFSET, ORDER);
  }

  /** Returns with which block of the segment the payload begins. */
  public int payloadStart() {
    return buffer.getInt(PAYLOAD_START_OFFSET, ORDER);
  }

  /** Returns where in the segment the payload ends, in bytes. */
  public int endOffset() {
    return (payloadStart() + payloadBlocks()) * BLOCK;
  }

  public int starts() {
    return buffer.getInt(STARTS_OFFSET, ORDER);
  }

  public long epochMs() {
    return buffer.getLong(EPOCH_MS_OFFSET, ORDER);
  }

  /**
   * Computes what {@link #headerCrc} ought to be, without touching the header.
   *
   * @param region that the header at {@code address} lies in
   */
  public int checksum(NativeMemory region, CRC32C crc, long address) {
    int length = headerBytes();
    return region.crc32cWithout(crc, address, length, CRC_OFFSET);
  }

  public int headerCrc() {
    return buffer.getInt(CRC_OFFSET, ORDER);
  }

  public void headerCrc(int crc) {
    buffer.putInt(CRC_OFFSET, crc, ORDER);
  }
}
