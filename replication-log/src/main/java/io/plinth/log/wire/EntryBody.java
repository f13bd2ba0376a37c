package io.plinth.log.wire;

import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;

/**
 * What an entry of kind PAYLOAD holds: the fields of its record, and where its trailer and payload
 * lie in memory. Filled again and again.
 */
public final class EntryBody {
  /** The record's type: WRITE, UNMAP or COMMAND; 0 for entries of other kinds. */
  public int type;

  /** The record's flags. */
  public int flags;

  /** The first block of the volume. */
  public long firstBlock;

  /** Blocks of the volume; of a COMMAND its bytes. */
  public int count;

  /** Address of a WRITE's checksums, one little-endian u32 for each block, or of the command. */
  public long trailerAddress;

  /** Address of a WRITE's payload. */
  public long payloadAddress;

  /** Number of the piece of memory that the payload lies in; what is lent together lies in one. */
  public int region;

  /** Place of the payload in the log of the sender, in blocks. */
  public long place;

  /** Where the header of the entry's record is in the log of the sender, in bytes. */
  public long position;

  /** Creates an empty one. */
  public EntryBody() {}

  /** Makes it that of an entry without a record of the caller's. */
  public EntryBody clear() {
    type = 0;
    flags = 0;
    firstBlock = 0;
    count = 0;
    trailerAddress = 0;
    payloadAddress = 0;
    region = 0;
    place = 0;
    position = 0;
    return this;
  }

  /** Returns the length of the trailer, without padding. */
  public int trailerBytes() {
    return trailerBytes(type, count);
  }

  /** Returns the length of the payload behind the frame's header. */
  public int payloadBytes() {
    return payloadBytes(type, count);
  }

  static int trailerBytes(int type, int count) {
    return switch (type) {
      case RecordHeader.WRITE -> 4 * count;
      case RecordHeader.COMMAND -> count;
      default -> 0;
    };
  }

  static int payloadBytes(int type, int count) {
    return type == RecordHeader.WRITE ? count * LogFormat.BLOCK_BYTES : 0;
  }

  /** Returns the length of an entry as {@code raft.core} counts it: what has to be carried. */
  public static int lengthBytes(int type, int count) {
    return type == RecordHeader.COMMAND ? count : payloadBytes(type, count);
  }
}
