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
 *   <li>{@link #RELOCATE}: {@code blockCount} payload blocks that were copied from elsewhere in the
 *       log, so that their old segment can be used again. {@code group} is the family of the
 *       volumes that refer to them. The trailer is one CRC32C for each block, padded to 8 bytes,
 *       and then for each its number in the volume and its old place (two u64); the latter is -1
 *       for a block that has come from another node.
 *   <li>{@link #MAP}: blocks of the volume that are at places further back in the log from now on;
 *       the trailer is that of RELOCATE, with the place to refer to.
 *   <li>{@link #META}: payload blocks of a checkpoint; {@code flags} says of which kind. The
 *       trailer is one CRC32C for each block, padded to 8 bytes, and then the number of each (u32).
 *   <li>{@link #MARKER}: an entry of the group that is not the caller's. {@code flags} is its kind
 *       as the peer protocol numbers it, {@code firstBlock} whom it is about or -1, {@code
 *       blockCount} 1. No trailer.
 *   <li>{@link #STATE}: what a replica promised, no entry of its group: {@code term}; its vote, or
 *       -1, in {@code firstBlock}; in {@code index} 64 bits of the machine's boot id; {@code
 *       blockCount} 1; {@link #RECOVERING}, {@link #LOST_DISK} too, or 0. The newest one counts. No
 *       trailer.
 *   <li>{@link #JOIN}: a replica of the group begins here, no entry of its group: whatever the log
 *       held of it before is void. {@link #RECOVERING} or 0. The trailer is {@code blockCount}
 *       bytes: who the members are, and what the owner wants to know.
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

  /** Blocks that the cleaner has copied. */
  public static final int RELOCATE = 4;

  /** Blocks that refer to places which are in the log already. */
  public static final int MAP = 5;

  /** Blocks of a checkpoint. */
  public static final int META = 6;

  /** An entry that the rules of consensus need. */
  public static final int MARKER = 7;

  /** Term, vote and standing of a replica. */
  public static final int STATE = 8;

  /** A replica begins. */
  public static final int JOIN = 9;

  /** Flag of {@link #STATE} and {@link #JOIN}: it may have lost what it acknowledged. */
  public static final int RECOVERING = 1;

  /** Flag of {@link #STATE}, beside {@link #RECOVERING}: because it has lost its disk. */
  public static final int LOST_DISK = 2;

  /** Flag of {@link #RELOCATE}: the blocks do not match their checksums, and did not before. */
  public static final int DAMAGED = 1;

  /** Flag of {@link #META}: pages of indexes. */
  public static final int PAGES = 0;

  /** Flag of {@link #META}: the table that says where each page is. */
  public static final int TABLE = 1;

  /** Flag of {@link #META}: the description that the superblock refers to. */
  public static final int ROOT = 2;

  /** Flag of {@link #UNMAP}: the blocks stay allocated. */
  public static final int ALLOCATED = 1;

  /**
   * Flag of {@link #WRITE} and {@link #UNMAP} in groups with several members: the entry counts only
   * together with the next one, which has the same term; when that is not there, neither counts.
   */
  public static final int PART = 2;

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
          case COMMAND, JOIN -> blockCount;
          case RELOCATE, MAP -> padded(4L * blockCount) + 16L * blockCount;
          case META -> padded(4L * blockCount) + 4L * blockCount;
          default -> 0;
        };
    return BYTES + (int) padded(trailer);
  }

  /** Returns whether records of a type have payload blocks. */
  public static boolean hasPayload(int type) {
    return type == WRITE || type == RELOCATE || type == META;
  }

  private static long padded(long bytes) {
    return (bytes + 7) & -8;
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

  /** Returns the number in its volume of block {@code i} of a RELOCATE or MAP. */
  public long block(int i) {
    return buffer.getLong(pair(i), ORDER);
  }

  /** Returns the place of block {@code i}: the old one of a RELOCATE, the one to use of a MAP. */
  public long place(int i) {
    return buffer.getLong(pair(i) + 8, ORDER);
  }

  /** Sets what {@link #block} and {@link #place} return. */
  public void blockAndPlace(int i, long block, long place) {
    buffer.putLong(pair(i), block, ORDER);
    buffer.putLong(pair(i) + 8, place, ORDER);
  }

  private int pair(int i) {
    return BYTES + (int) padded(4L * blockCount()) + 16 * i;
  }

  /** Returns the number of block {@code i} of a META. */
  public int number(int i) {
    return buffer.getInt(BYTES + (int) padded(4L * blockCount()) + 4 * i, ORDER);
  }

  /** Sets the number of block {@code i} of a META. */
  public void number(int i, int number) {
    buffer.putInt(BYTES + (int) padded(4L * blockCount()) + 4 * i, number, ORDER);
  }

  /** Copies the bytes of a COMMAND or JOIN. */
  public byte[] command() {
    byte[] bytes = new byte[blockCount()];
    buffer.getBytes(BYTES, bytes);
    return bytes;
  }

  /** Stores the bytes of a COMMAND or JOIN. */
  public void command(byte[] bytes) {
    buffer.putBytes(BYTES, bytes);
  }

  /**
   * Returns whether the fields can be those of a record within a batch of {@code payloadBlocks}.
   */
  public boolean isPossible(int available, int payloadBlocks) {
    if (available < BYTES || type() < WRITE || type() > JOIN) {
      return false;
    }
    int count = blockCount();
    if (count <= 0
        || (type() != UNMAP && count > available)
        || encodedBytes(type(), count) > available) {
      return false;
    }
    return !hasPayload(type()) || (payloadBlock() >= 0 && payloadBlock() <= payloadBlocks - count);
  }
}
