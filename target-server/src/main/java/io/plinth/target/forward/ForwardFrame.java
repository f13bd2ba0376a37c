package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.Operation;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One frame of the forwarding protocol, which is written here and then sent, or taken off a stream
 * and then read. After {@link ForwardHello} both sides send nothing else.
 *
 * <pre>
 *   0     4      5           6       8             12             16   24      28       32
 *  +-----+------+-----------+-------+-------------+--------------+----+-------+--------+----
 *  | crc | type | operation | flags | headerBytes | payloadBytes | id | group | status |
 *  +-----+------+-----------+-------+-------------+--------------+----+-------+--------+----
 *  32       40       48       52           56      60         64
 *  +--------+--------+--------+------------+-------+----------+--- ... ---+--- ... ---+
 *  | offset | length | leader | payloadCrc | count |   term   |  details  |  payload  |
 *  +--------+--------+--------+------------+-------+----------+--- ... ---+--- ... ---+
 * </pre>
 *
 * {@code headerBytes} counts all before the payload, a multiple of 8; {@code crc} covers that,
 * itself taken as zero. By type:
 *
 * <pre>
 *   WELCOME   count: the version that both speak
 *   REFUSED   count: bytes of text; details: the text, UTF-8, one line for a person
 *   BIND      group: what the sender has clients of
 *   BOUND     group, status (OK: this node leads; EREMOTE: leader does), leader,
 *             offset: epoch, length: bytes of the volume,
 *             details: | term 8 | applied entry 8 | entry of the newest foreign content 8 |
 *   UNBIND    group: the sender has no clients of it any more
 *   GONE      group: clients must be disconnected; offset: epoch, length: applied entry
 *   REQUEST   id, group, operation, flags, offset, length, payloadCrc of the payload of a WRITE,
 *             count: the most extents of the answer to a BLOCK_STATUS,
 *             term: the low bits of that of the BOUND by which the leader was found
 *   REPLY     id, group, status, leader, offset: applied entry; when OK
 *             READ: count runs in details, 4 bytes each: the length, negated for zeroes, which
 *             are not in the payload
 *             BLOCK_STATUS: count extents in details: | length 8 | state 8 |
 *   ALIVE     nothing: the sender has had nothing else to say
 *   FENCE     id, group: to the leader, or from it to whoever forwards to it; see ClientFence
 *   FENCED    id, group, status: the answer. From the leader OK or EREMOTE, when it does not lead;
 *             to the leader OK: what clients that have gone had asked for came before this
 * </pre>
 *
 * All numbers are little-endian; checksums are CRC32C. The payload of a READ has none of its own:
 * its blocks were verified by who sends it.
 */
final class ForwardFrame {
  /** The only version that is spoken: who does not know of fences can't take part in one. */
  static final int VERSION = 2;

  static final int WELCOME = 1;
  static final int REFUSED = 2;
  static final int BIND = 3;
  static final int BOUND = 4;
  static final int UNBIND = 5;
  static final int GONE = 6;
  static final int REQUEST = 7;
  static final int REPLY = 8;
  static final int ALIVE = 9;
  static final int FENCE = 10;
  static final int FENCED = 11;

  static final int FUA = 1;
  static final int NO_HOLE = 2;
  static final int SINGLE_EXTENT = 4;

  /** Length of a frame without details and payload. */
  static final int BYTES = 64;

  static final int RUN_BYTES = 4;
  static final int EXTENT_BYTES = 16;

  /** The most runs of a READ, and extents of a BLOCK_STATUS. */
  static final int MAX_COUNT = 1024;

  static final int BOUND_BYTES = BYTES + 24;
  static final int MAX_HEADER_BYTES = BYTES + MAX_COUNT * EXTENT_BYTES;

  /** The most bytes of a READ or a WRITE. */
  static final int MAX_PAYLOAD_BYTES = 32 << 20;

  private static final int CRC = 0;
  private static final int TYPE = 4;
  private static final int OPERATION = 5;
  private static final int FLAGS = 6;
  private static final int HEADER_BYTES = 8;
  private static final int PAYLOAD_BYTES = 12;
  private static final int ID = 16;
  private static final int GROUP = 24;
  private static final int STATUS = 28;
  private static final int OFFSET = 32;
  private static final int LENGTH = 40;
  private static final int LEADER = 48;
  private static final int PAYLOAD_CRC = 52;
  private static final int COUNT = 56;
  private static final int TERM = 60;
  private static final int MAX_TEXT_BYTES = 1000;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final NativeMemory memory = NativeMemory.reserve(MAX_HEADER_BYTES);
  private final UnsafeBuffer buffer = memory.buffer(0, MAX_HEADER_BYTES);
  private final CRC32C checksum = new CRC32C();
  private String problem;

  void close() {
    memory.close();
  }

  /** Returns the memory, for {@link ForwardHello} before the first frame. */
  NativeMemory memory() {
    return memory;
  }

  // Writing.

  /** Begins a frame; all other fields are zero. */
  ForwardFrame begin(int type, int group) {
    buffer.setMemory(0, BYTES, (byte) 0);
    buffer.putByte(TYPE, (byte) type);
    buffer.putInt(GROUP, group, ORDER);
    buffer.putInt(HEADER_BYTES, BYTES, ORDER);
    return this;
  }

  /** Writes a refusal. */
  ForwardFrame refusal(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    bytes = bytes.length > MAX_TEXT_BYTES ? Arrays.copyOf(bytes, MAX_TEXT_BYTES) : bytes;
    ForwardFrame _ = begin(REFUSED, 0).count(bytes.length);
    int padded = (bytes.length + 7) & -8;
    buffer.setMemory(BYTES, padded, (byte) 0);
    buffer.putBytes(BYTES, bytes);
    return headerBytes(BYTES + padded);
  }

  ForwardFrame headerBytes(int bytes) {
    buffer.putInt(HEADER_BYTES, bytes, ORDER);
    return this;
  }

  ForwardFrame payload(int bytes, int crc) {
    buffer.putInt(PAYLOAD_BYTES, bytes, ORDER);
    buffer.putInt(PAYLOAD_CRC, crc, ORDER);
    return this;
  }

  ForwardFrame id(long id) {
    buffer.putLong(ID, id, ORDER);
    return this;
  }

  ForwardFrame operation(Operation operation, int flags) {
    buffer.putByte(OPERATION, (byte) number(operation));
    buffer.putShort(FLAGS, (short) flags, ORDER);
    return this;
  }

  ForwardFrame range(long offset, long length) {
    buffer.putLong(OFFSET, offset, ORDER);
    buffer.putLong(LENGTH, length, ORDER);
    return this;
  }

  ForwardFrame status(int status, int leader) {
    buffer.putInt(STATUS, status, ORDER);
    buffer.putInt(LEADER, leader, ORDER);
    return this;
  }

  ForwardFrame count(int count) {
    buffer.putInt(COUNT, count, ORDER);
    return this;
  }

  ForwardFrame term(long term) {
    buffer.putInt(TERM, (int) term, ORDER);
    return this;
  }

  void run(int i, int length) {
    buffer.putInt(BYTES + i * RUN_BYTES, length, ORDER);
  }

  void detail(int i, long value) {
    buffer.putLong(BYTES + i * Long.BYTES, value, ORDER);
  }

  /** Sends the header; false when the connection has no room for it. */
  boolean send(Connection to) {
    int bytes = headerBytes();
    int at = to.claim(bytes);
    if (at < 0) {
      return false;
    }
    buffer.putInt(CRC, 0, ORDER);
    buffer.putInt(CRC, memory.crc32c(checksum, memory.address(), bytes), ORDER);
    to.outputBuffer().putBytes(at, buffer, 0, bytes);
    return true;
  }

  // Reading.

  /**
   * Takes the header of a frame from the front of a stream.
   *
   * @return its length; 0 while it is cut short; -1 when it is wrong, see {@link #problem}
   */
  int load(DirectBuffer from, int offset, int available) {
    if (available < BYTES) {
      return 0;
    }
    int bytes = from.getInt(offset + HEADER_BYTES, ORDER);
    if (bytes < BYTES || bytes > MAX_HEADER_BYTES || bytes % Long.BYTES != 0) {
      return fail("headerBytes " + bytes + " is not possible");
    }
    if (available < bytes) {
      return 0;
    }
    from.getBytes(offset, buffer, 0, bytes);
    if (memory.crc32cWithout(checksum, memory.address(), bytes, CRC) != buffer.getInt(CRC, ORDER)) {
      return fail("the checksum of a header is wrong");
    }
    int payloadBytes = payloadBytes();
    boolean takesPayload = type() == REQUEST || type() == REPLY;
    if (payloadBytes < 0 || payloadBytes > (takesPayload ? MAX_PAYLOAD_BYTES : 0)) {
      return fail("payloadBytes " + payloadBytes + " of type " + type() + " is not possible");
    }
    int detailBytes = bytes - BYTES;
    int count = count();
    boolean fits =
        switch (type()) {
          case REFUSED -> count >= 0 && count <= detailBytes;
          case BOUND -> detailBytes == BOUND_BYTES - BYTES;
          case REPLY -> count >= 0 && count <= MAX_COUNT;
          default -> detailBytes == 0;
        };
    return fits ? bytes : fail("headerBytes " + bytes + " of type " + type() + " is not possible");
  }

  private int fail(String what) {
    problem = what;
    return -1;
  }

  /** Returns what was wrong with the frame that was loaded last. */
  String problem() {
    return problem;
  }

  int type() {
    return buffer.getByte(TYPE) & 0xFF;
  }

  /** Returns the operation, or null when there is none of that number. */
  Operation operation() {
    return operation(buffer.getByte(OPERATION));
  }

  boolean hasFlag(int flag) {
    return (buffer.getShort(FLAGS, ORDER) & flag) != 0;
  }

  int headerBytes() {
    return buffer.getInt(HEADER_BYTES, ORDER);
  }

  int payloadBytes() {
    return buffer.getInt(PAYLOAD_BYTES, ORDER);
  }

  long id() {
    return buffer.getLong(ID, ORDER);
  }

  int group() {
    return buffer.getInt(GROUP, ORDER);
  }

  int status() {
    return buffer.getInt(STATUS, ORDER);
  }

  long offset() {
    return buffer.getLong(OFFSET, ORDER);
  }

  long length() {
    return buffer.getLong(LENGTH, ORDER);
  }

  int leader() {
    return buffer.getInt(LEADER, ORDER);
  }

  int payloadCrc() {
    return buffer.getInt(PAYLOAD_CRC, ORDER);
  }

  int count() {
    return buffer.getInt(COUNT, ORDER);
  }

  /** Returns the low bits of a term. */
  int term() {
    return buffer.getInt(TERM, ORDER);
  }

  int run(int i) {
    return buffer.getInt(BYTES + i * RUN_BYTES, ORDER);
  }

  long detail(int i) {
    return buffer.getLong(BYTES + i * Long.BYTES, ORDER);
  }

  /** Returns the text of a refusal, without what could disturb a log's lines. */
  String text() {
    byte[] bytes = new byte[count()];
    buffer.getBytes(BYTES, bytes);
    return new String(bytes, StandardCharsets.UTF_8).replaceAll("\\p{Cntrl}", "?");
  }

  private static int number(Operation operation) {
    return switch (operation) {
      case READ -> 1;
      case WRITE -> 2;
      case FLUSH -> 3;
      case TRIM -> 4;
      case WRITE_ZEROES -> 5;
      case CACHE -> 6;
      case BLOCK_STATUS -> 7;
    };
  }

  private static Operation operation(int number) {
    return switch (number) {
      case 1 -> Operation.READ;
      case 2 -> Operation.WRITE;
      case 3 -> Operation.FLUSH;
      case 4 -> Operation.TRIM;
      case 5 -> Operation.WRITE_ZEROES;
      case 6 -> Operation.CACHE;
      case 7 -> Operation.BLOCK_STATUS;
      default -> null;
    };
  }
}
