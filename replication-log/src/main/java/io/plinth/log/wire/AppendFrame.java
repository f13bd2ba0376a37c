package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import io.plinth.raft.core.RaftCore;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A frame APPEND: entries of one group.
 *
 * <pre>
 *  24     32      40      48        56       64      72     80                   88          96
 *  +------+-------+-------+---------+--------+-------+------+--------------------+-----------+
 *  | term | epoch | index | logTerm | commit | round | tick | recoverIncarnation | recoverTo |
 *  +------+-------+-------+---------+--------+-------+------+--------------------+-----------+
 *
 *  then {@code count} entries:
 *   0      1      2       3          4         8      16           24      28         32
 *  +------+------+-------+----------+---------+------+------------+-------+----------+---- ... ---+
 *  | kind | type | flags | reserved | subject | term | firstBlock | count | reserved |  trailer   |
 *  +------+------+-------+----------+---------+------+------------+-------+----------+---- ... ---+
 * </pre>
 *
 * <ul>
 *   <li>{@code kind}: 1 PAYLOAD, 2 NO_OP, 3 EPOCH, 4 ADD_LEARNER, 5 PROMOTE, 6 REMOVE. {@code
 *       subject}: whom a change of membership is about, else -1.
 *   <li>{@code type}, {@code flags}, {@code firstBlock}, {@code count}: as in the record of the
 *       log, see {@link RecordHeader}, for kind PAYLOAD; else 0.
 *   <li>trailer, padded to 8 bytes: of a WRITE one CRC32C for each block, of a COMMAND its bytes.
 *   <li>The frame's payload is the blocks of the WRITEs, in order.
 * </ul>
 *
 * The frame's flags are those of a message. Entry {@code i} has the index {@code index + 1 + i}.
 */
public final class AppendFrame {
  static final int FIXED_BYTES = FrameHeader.BYTES + 9 * Long.BYTES;
  static final int ENTRY_BYTES = 32;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final Message message;
  private final EntryBody scratch = new EntryBody();
  private UnsafeBuffer header;
  private int headerBytes;
  private int group;
  private int cursor;
  private int next;
  private long payload;
  private long payloadCursor;

  AppendFrame(Message message) {
    this.message = message;
  }

  /** Returns the number of the group. */
  public int group() {
    return group;
  }

  /** Returns the message; places are missing. Valid during the call. */
  public Message message() {
    return message;
  }

  /** Begins with the first entry again. */
  public void rewind() {
    cursor = FIXED_BYTES;
    next = 0;
    payloadCursor = payload;
  }

  /** Describes the next entry; false when there is none. */
  public boolean next(EntryBody body) {
    if (next == message.entryCount) {
      return false;
    }
    next++;
    body.type = header.getByte(cursor + 1) & 0xFF;
    body.flags = header.getByte(cursor + 2) & 0xFF;
    body.firstBlock = header.getLong(cursor + 16, ORDER);
    body.count = header.getInt(cursor + 24, ORDER);
    body.trailerAddress = header.addressOffset() + cursor + ENTRY_BYTES;
    body.payloadAddress = payloadCursor;
    cursor += ENTRY_BYTES + WireFormat.padded(body.trailerBytes());
    payloadCursor += body.payloadBytes();
    return true;
  }

  static int entryBytes(EntryBody body) {
    return ENTRY_BYTES + WireFormat.padded(body.trailerBytes());
  }

  /** Writes the fields of the message; entries begin where it ends. */
  static void encodeFields(MutableDirectBuffer buffer, Message m, long index, long logTerm) {
    int to = MessageCodec.put(buffer, FrameHeader.BYTES, m.term);
    to = MessageCodec.put(buffer, to, m.epoch);
    to = MessageCodec.put(buffer, to, index);
    to = MessageCodec.put(buffer, to, logTerm);
    to = MessageCodec.put(buffer, to, m.commit);
    to = MessageCodec.put(buffer, to, m.round);
    to = MessageCodec.put(buffer, to, m.tick);
    to = MessageCodec.put(buffer, to, m.recoverIncarnation);
    int _ = MessageCodec.put(buffer, to, m.recoverTo);
  }

  /** Writes an entry; returns where it ends. */
  static int encodeEntry(
      UnsafeBuffer buffer, int at, EntryKind kind, int subject, long term, EntryBody body) {
    buffer.putByte(at, (byte) WireFormat.number(kind));
    buffer.putByte(at + 1, (byte) body.type);
    buffer.putByte(at + 2, (byte) body.flags);
    buffer.putByte(at + 3, (byte) 0);
    buffer.putInt(at + 4, subject, ORDER);
    buffer.putLong(at + 8, term, ORDER);
    buffer.putLong(at + 16, body.firstBlock, ORDER);
    buffer.putInt(at + 24, body.count, ORDER);
    buffer.putInt(at + 28, 0, ORDER);
    int bytes = body.trailerBytes();
    int padded = WireFormat.padded(bytes);
    int trailer = at + ENTRY_BYTES;
    if (padded > bytes) {
      buffer.putLong(trailer + padded - Long.BYTES, 0);
    }
    if (bytes > 0) {
      NativeMemory.copy(body.trailerAddress, buffer.addressOffset() + trailer, bytes);
    }
    return trailer + padded;
  }

  /**
   * Reads a header whose checksum is right; fills the message but for sender and receiver.
   *
   * @param payloadAddress where the payload will be
   * @return what is wrong, or null
   */
  String parse(UnsafeBuffer buffer, int bytes, int payloadBytes, long payloadAddress) {
    header = buffer;
    headerBytes = bytes;
    payload = payloadAddress;
    group = FrameHeader.group(buffer, 0);
    int count = FrameHeader.count(buffer, 0);
    if (bytes < FIXED_BYTES) {
      return "headerBytes " + bytes + " of an APPEND is less than " + FIXED_BYTES;
    }
    if (count < 0 || count > WireFormat.MAX_ENTRIES) {
      return "count " + count + " of entries is not 0 to " + WireFormat.MAX_ENTRIES;
    }
    Message m = message.reset(MessageType.APPEND, message.from, message.to);
    MessageCodec.flags(m, FrameHeader.flags(buffer, 0));
    m.term = buffer.getLong(24, ORDER);
    m.epoch = buffer.getLong(32, ORDER);
    m.index = buffer.getLong(40, ORDER);
    m.logTerm = buffer.getLong(48, ORDER);
    m.commit = buffer.getLong(56, ORDER);
    m.round = buffer.getLong(64, ORDER);
    m.tick = buffer.getLong(72, ORDER);
    m.recoverIncarnation = buffer.getLong(80, ORDER);
    m.recoverTo = buffer.getLong(88, ORDER);
    int at = FIXED_BYTES;
    long blocksBytes = 0;
    for (int i = 0; i < count; i++) {
      String wrong = parseEntry(i, at);
      if (wrong != null) {
        return wrong;
      }
      at += entryBytes(scratch);
      blocksBytes += scratch.payloadBytes();
    }
    if (at != bytes) {
      return "headerBytes " + bytes + " though the entries end at " + at;
    }
    if (blocksBytes != payloadBytes) {
      return "payloadBytes " + payloadBytes + " though the entries have " + blocksBytes;
    }
    rewind();
    return null;
  }

  private String parseEntry(int i, int at) {
    if (at > headerBytes - ENTRY_BYTES) {
      return "entry " + i + " is cut short";
    }
    EntryKind kind = WireFormat.entryKind(header.getByte(at) & 0xFF);
    int subject = header.getInt(at + 4, ORDER);
    scratch.clear();
    scratch.type = header.getByte(at + 1) & 0xFF;
    scratch.count = header.getInt(at + 24, ORDER);
    if (kind == null) {
      return "entry " + i + " is of the unknown kind " + (header.getByte(at) & 0xFF);
    }
    boolean aboutSomebody =
        kind == EntryKind.ADD_LEARNER || kind == EntryKind.PROMOTE || kind == EntryKind.REMOVE;
    if (aboutSomebody ? subject < 0 : subject != RaftCore.NO_NODE) {
      return "entry " + i + " of kind " + kind + " has the subject " + subject;
    }
    boolean possible =
        switch (scratch.type) {
          case 0 -> scratch.count == 0;
          case RecordHeader.WRITE ->
              scratch.count > 0
                  && scratch.count <= WireFormat.MAX_PAYLOAD_BYTES / LogFormat.BLOCK_BYTES;
          case RecordHeader.COMMAND ->
              scratch.count > 0 && scratch.count <= WireFormat.MAX_HEADER_BYTES;
          case RecordHeader.UNMAP -> scratch.count > 0;
          default -> false;
        };
    if (!possible || (kind == EntryKind.PAYLOAD) == (scratch.type == 0)) {
      return "entry "
          + i
          + " of kind "
          + kind
          + " has a record of type "
          + scratch.type
          + " and count "
          + scratch.count;
    }
    if (at + entryBytes(scratch) > headerBytes) {
      return "the trailer of entry " + i + " is cut short";
    }
    message.addEntry(
        header.getLong(at + 8, ORDER),
        kind,
        subject,
        -1,
        EntryBody.lengthBytes(scratch.type, scratch.count));
    return null;
  }

  /** Returns which block of the payload does not match its checksum, in words, or null. */
  String verify(NativeMemory memory, CRC32C crc) {
    rewind();
    while (next(scratch)) {
      if (scratch.type != RecordHeader.WRITE) {
        continue;
      }
      int trailer = (int) (scratch.trailerAddress - header.addressOffset());
      for (int i = 0; i < scratch.count; i++) {
        long at = scratch.payloadAddress + (long) i * LogFormat.BLOCK_BYTES;
        if (memory.crc32c(crc, at, LogFormat.BLOCK_BYTES)
            != header.getInt(trailer + 4 * i, ORDER)) {
          return "block "
              + i
              + " of entry "
              + (message.index + next)
              + " of group "
              + group
              + " does not match its checksum";
        }
      }
    }
    rewind();
    return null;
  }
}
