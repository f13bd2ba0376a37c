package io.plinth.log.format;

import java.nio.ByteOrder;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Flyweight over the header of a record: one entry of a group's log.
 *
 * <pre>
 *   0      1       2          4       8      16      24           32           36             40
 *  +------+-------+----------+-------+------+-------+------------+------------+--------------+----------+
 *  | type | flags | reserved | group | term | index | firstBlock | blockCount | payloadBlock | trailer  |
 *  +------+-------+----------+-------+------+-------+------------+------------+--------------+----------+
 * </pre>
 *
 * <ul>
 *   <li>{@link #WRITE}: {@code blockCount} blocks of the volume from {@code firstBlock} are the
 *       payload blocks of the batch from {@code payloadBlock} on; the trailer is one CRC32C (u32)
 *       for each block.
 *   <li>{@link #UNMAP}: the blocks read as zeroes; with {@link #ALLOCATED} they keep their claim on
 *       space. No trailer.
 *   <li>{@link #COMMAND}: {@code blockCount} bytes of a command to the group's state machine are
 *       the trailer.
 * </ul>
 *
 * The trailer is padded to a multiple of 8 bytes.
 */
public final class RecordHeader {
  /** Data of a volume. */
  public static final int WRITE = 1;

  /** Blocks that read as zeroes from now on. */
  public static final int UNMAP = 2;

  /** A command to a state machine, such as the catalogue. */
  public static final int COMMAND = 3;

  /** Flag of {@link #UNMAP}: the blocks stay allocated. */
  public static final int ALLOCATED = 1;

  /** Length of the fixed part in bytes. */
  public static final int BYTES = 40;

  private static final int TYPE_OFFSET = 0;
  private static final int FLAGS_OFFSET = 1;
  private static final int RESERVED_OFFSET = 2;
  private static final int GROUP_OFFSET = 4;
  private static final int TERM_OFFSET = 8;
  private static final int INDEX_OFFSET = 16;
  private static final int FIRST_BLOCK_OFFSET = 24;
  private static final int BLOCK_COUNT_OFFSET = 32;
  private static final int PAYLOAD_BLOCK_OFFSET = 36;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);

  /** Points the flyweight at a record of which {@code length} bytes may be read. */
  public RecordHeader wrap(long address, int length) {
    buffer.wrap(address, length);
    return this;
  }

  /** Returns the length of a whole record header of a type with its trailer. */
  public static int encodedBytes(int type, int blockCount) {
    long trailer =
        switch (type) {
          case WRITE -> 4L * blockCount;
          case COMMAND -> blockCount;
          default -> 0;
        };
    return BYTES + (int) ((trailer + 7) & -8);
  }

  /** Writes the fixed part. */
  public void encode(
      int type,
      int flags,
      int group,
      long term,
      long index,
      long firstBlock,
      int blockCount,
      int payloadBlock) {
    buffer.putByte(TYPE_OFFSET, (byte) type);
    buffer.putByte(FLAGS_OFFSET, (byte) flags);
    buffer.putShort(RESERVED_OFFSET, (short) 0, ORDER);
    buffer.putInt(GROUP_OFFSET, group, ORDER);
    buffer.putLong(TERM_OFFSET, term, ORDER);
    buffer.putLong(INDEX_OFFSET, index, ORDER);
    buffer.putLong(FIRST_BLOCK_OFFSET, firstBlock, ORDER);
    buffer.putInt(BLOCK_COUNT_OFFSET, blockCount, ORDER);
    buffer.putInt(PAYLOAD_BLOCK_OFFSET, payloadBlock, ORDER);
  }

  public int type() {
    return buffer.getByte(TYPE_OFFSET) & 0xFF;
  }

  public int flags() {
    return buffer.getByte(FLAGS_OFFSET) & 0xFF;
  }

  public int group() {
    return buffer.getInt(GROUP_OFFSET, ORDER);
  }

  public long term() {
    return buffer.getLong(TERM_OFFSET, ORDER);
  }

  public long index() {
    return buffer.getLong(INDEX_OFFSET, ORDER);
  }

  public long firstBlock() {
    return buffer.getLong(FIRST_BLOCK_OFFSET, ORDER);
  }

  public int blockCount() {
    return buffer.getInt(BLOCK_COUNT_OFFSET, ORDER);
  }

  public int payloadBlock() {
    return buffer.getInt(PAYLOAD_BLOCK_OFFSET, ORDER);
  }

  /** Returns the checksum of payload block {@code i} of a WRITE. */
  public int checksum(int i) {
    return buffer.getInt(BYTES + 4 * i, ORDER);
  }

  /** Sets the checksum of payload block {@code i} of a WRITE. */
  public void checksum(int i, int crc) {
    buffer.putInt(BYTES + 4 * i, crc, ORDER);
  }

  /** Returns the address of the checksums of a WRITE, one little-endian u32 for each block. */
  public long checksumAddress() {
    return buffer.addressOffset() + BYTES;
  }

  /** Copies the command of a COMMAND. */
  public byte[] command() {
    byte[] bytes = new byte[blockCount()];
    buffer.getBytes(BYTES, bytes);
    return bytes;
  }

  /** Stores the command of a COMMAND. */
  public void command(byte[] bytes) {
    buffer.putBytes(BYTES, bytes);
  }

  /**
   * Returns whether the fields can be those of a record within a batch of {@code payloadBlocks}.
   */
  public boolean isPossible(int available, int payloadBlocks) {
    if (available < BYTES || type() < WRITE || type() > COMMAND) {
      return false;
    }
    int count = blockCount();
    if (count <= 0
        || (type() != UNMAP && count > available)
        || encodedBytes(type(), count) > available) {
      return false;
    }
    return type() != WRITE || (payloadBlock() >= 0 && payloadBlock() <= payloadBlocks - count);
  }
}
