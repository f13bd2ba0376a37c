package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What a side says instead of, or after, its {@link Hello} when it can't go on.
 *
 * <pre>
 *   0       8              10     12           14           16    20          22         24
 *  +-------+--------------+------+------------+------------+-----+-----------+----------+--- ... ---+
 *  | magic | refusalBytes | code | minVersion | maxVersion | crc | textBytes | reserved |   text    |
 *  +-------+--------------+------+------------+------------+-----+-----------+----------+--- ... ---+
 * </pre>
 *
 * {@code crc} covers all of it, itself taken as zero; the text is UTF-8, one line for a person,
 * padded to 8 bytes.
 */
final class Refusal {
  /** The characters {@code PLNREFU} and a zero. */
  static final long MAGIC = 0x00554645524e4c50L;

  static final int FIXED_BYTES = 24;

  /** Why; the numbers are on the wire. */
  enum Code {
    DAMAGED(1),
    VERSION(2),
    CLUSTER(3),
    WRONG_NODE(4),
    WRONG_CORE(5),
    NOT_WELCOME(6);

    private final int number;

    Code(int number) {
      this.number = number;
    }
  }

  private static final int MAX_TEXT_BYTES = Hello.MAX_BYTES - FIXED_BYTES;
  private static final int CODE_OFFSET = 10;
  private static final int MIN_VERSION_OFFSET = 12;
  private static final int MAX_VERSION_OFFSET = 14;
  private static final int CRC_OFFSET = 16;
  private static final int TEXT_BYTES_OFFSET = 20;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private Refusal() {}

  /** Writes a refusal at the start of a region; returns its length. */
  static int encode(
      NativeMemory memory,
      UnsafeBuffer buffer,
      CRC32C crc,
      PeerIdentity from,
      Code code,
      String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > MAX_TEXT_BYTES) {
      bytes = Arrays.copyOf(bytes, MAX_TEXT_BYTES);
    }
    int length = FIXED_BYTES + WireFormat.padded(bytes.length);
    buffer.setMemory(0, length, (byte) 0);
    buffer.putLong(0, MAGIC, ORDER);
    buffer.putShort(Hello.LENGTH_OFFSET, (short) length, ORDER);
    buffer.putShort(CODE_OFFSET, (short) code.number, ORDER);
    buffer.putShort(MIN_VERSION_OFFSET, (short) from.minVersion(), ORDER);
    buffer.putShort(MAX_VERSION_OFFSET, (short) from.maxVersion(), ORDER);
    buffer.putShort(TEXT_BYTES_OFFSET, (short) bytes.length, ORDER);
    buffer.putBytes(FIXED_BYTES, bytes);
    buffer.putInt(CRC_OFFSET, memory.crc32c(crc, memory.address(), length), ORDER);
    return length;
  }

  /** Returns the text of a refusal, without what could disturb a log's lines; null if damaged. */
  static String text(NativeMemory memory, UnsafeBuffer buffer, CRC32C crc, int length) {
    int textBytes = buffer.getShort(TEXT_BYTES_OFFSET, ORDER) & 0xFFFF;
    boolean intact =
        memory.crc32cWithout(crc, memory.address(), length, CRC_OFFSET)
            == buffer.getInt(CRC_OFFSET, ORDER);
    if (!intact || textBytes > length - FIXED_BYTES) {
      return null;
    }
    byte[] bytes = new byte[textBytes];
    buffer.getBytes(FIXED_BYTES, bytes);
    return new String(bytes, StandardCharsets.UTF_8).replaceAll("\\p{Cntrl}", "?");
  }
}
