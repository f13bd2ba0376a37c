package io.plinth.log.wire;

import java.nio.ByteOrder;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * The fixed part of every frame.
 *
 * <pre>
 *   0      2       4             8              12      16      20          24       headerBytes
 *  +------+-------+-------------+--------------+-------+-------+-----------+------ ... +---------------+
 *  | type | flags | headerBytes | payloadBytes | group | count | headerCrc |  body     | payload  ...  |
 *  +------+-------+-------------+--------------+-------+-------+-----------+------ ... +---------------+
 * </pre>
 *
 * <ul>
 *   <li>{@code headerBytes}: from the frame's start to its payload, a multiple of 8; what {@code
 *       headerCrc} covers, itself taken as zero.
 *   <li>{@code payloadBytes}: not covered by it: each block of payload has a checksum in the body.
 *   <li>{@code group}: of an APPEND or RESYNC, else 0. {@code count}: of messages, entries or
 *       bytes.
 *   <li>body of MESSAGES: {@link MessageCodec}. Of APPEND: {@link AppendFrame}. Of RESYNC: {@link
 *       ResyncFrame}. Of REFUSED: the refused frame's type (u16), the refused message's type if the
 *       frame was understood (u16, else 0), the newest version that the sender speaks (u16), zero
 *       (u16).
 * </ul>
 */
final class FrameHeader {
  static final int BYTES = 24;

  private static final int TYPE_OFFSET = 0;
  private static final int FLAGS_OFFSET = 2;
  private static final int HEADER_BYTES_OFFSET = 4;
  private static final int PAYLOAD_BYTES_OFFSET = 8;
  private static final int GROUP_OFFSET = 12;
  private static final int COUNT_OFFSET = 16;
  static final int CRC_OFFSET = 20;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private FrameHeader() {}

  static void encode(
      MutableDirectBuffer buffer,
      int at,
      int type,
      int flags,
      int headerBytes,
      int payloadBytes,
      int group,
      int count) {
    buffer.putShort(at + TYPE_OFFSET, (short) type, ORDER);
    buffer.putShort(at + FLAGS_OFFSET, (short) flags, ORDER);
    buffer.putInt(at + HEADER_BYTES_OFFSET, headerBytes, ORDER);
    buffer.putInt(at + PAYLOAD_BYTES_OFFSET, payloadBytes, ORDER);
    buffer.putInt(at + GROUP_OFFSET, group, ORDER);
    buffer.putInt(at + COUNT_OFFSET, count, ORDER);
    buffer.putInt(at + CRC_OFFSET, 0, ORDER);
  }

  static int type(DirectBuffer buffer, int at) {
    return buffer.getShort(at + TYPE_OFFSET, ORDER) & 0xFFFF;
  }

  static int flags(DirectBuffer buffer, int at) {
    return buffer.getShort(at + FLAGS_OFFSET, ORDER) & 0xFFFF;
  }

  static int headerBytes(DirectBuffer buffer, int at) {
    return buffer.getInt(at + HEADER_BYTES_OFFSET, ORDER);
  }

  static int payloadBytes(DirectBuffer buffer, int at) {
    return buffer.getInt(at + PAYLOAD_BYTES_OFFSET, ORDER);
  }

  static int group(DirectBuffer buffer, int at) {
    return buffer.getInt(at + GROUP_OFFSET, ORDER);
  }

  static int count(DirectBuffer buffer, int at) {
    return buffer.getInt(at + COUNT_OFFSET, ORDER);
  }

  static int crc(DirectBuffer buffer, int at) {
    return buffer.getInt(at + CRC_OFFSET, ORDER);
  }

  static void crc(MutableDirectBuffer buffer, int at, int crc) {
    buffer.putInt(at + CRC_OFFSET, crc, ORDER);
  }
}
