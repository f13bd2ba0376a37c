package io.plinth.tools.attach;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Writes one generic netlink request. Numbers are in the machine's byte order; everything begins at
 * a multiple of four bytes ({@code netlink(7)}, {@code linux/netlink.h}, {@code
 * linux/genetlink.h}).
 *
 * <pre>
 * | length 32 | family 16 | flags 16 | sequence 32 | port 32 |   nlmsghdr
 * | command 8 | version 8 | 0 16 |                              genlmsghdr
 * | length 16 | type 16 | value, padded |                       nlattr, any number of them
 * </pre>
 */
final class NetlinkWriter {
  static final int HEADER_BYTES = 16;
  static final int COMMAND_HEADER_BYTES = 4;
  static final int ATTRIBUTE_HEADER_BYTES = 4;
  static final int FLAG_NESTED = 0x8000;

  private static final int CAPACITY_BYTES = 64 * 1024;
  private static final int FLAG_REQUEST = 1;
  private static final int FLAG_ACKNOWLEDGE = 4;

  private final ByteBuffer buffer =
      ByteBuffer.allocate(CAPACITY_BYTES).order(ByteOrder.nativeOrder());

  NetlinkWriter(int family, int sequence, int command, int version) {
    buffer.putInt(0).putShort((short) family).putShort((short) (FLAG_REQUEST | FLAG_ACKNOWLEDGE));
    buffer.putInt(sequence).putInt(0);
    buffer.put((byte) command).put((byte) version).putShort((short) 0);
  }

  void putInt(int type, int value) {
    int start = begin(type);
    buffer.putInt(value);
    end(start);
  }

  void putLong(int type, long value) {
    int start = begin(type);
    buffer.putLong(value);
    end(start);
  }

  /** Writes a string and the zero that ends it. */
  void putString(int type, String value) {
    int start = begin(type);
    buffer.put(value.getBytes(StandardCharsets.UTF_8)).put((byte) 0);
    end(start);
  }

  /** Writes an attribute whose value is attributes. */
  void putNested(int type, Consumer<NetlinkWriter> content) {
    int start = begin(type | FLAG_NESTED);
    content.accept(this);
    end(start);
  }

  private int begin(int type) {
    int start = buffer.position();
    buffer.putShort((short) 0).putShort((short) type);
    return start;
  }

  /** The length does not count the padding. */
  private void end(int start) {
    buffer.putShort(start, (short) (buffer.position() - start));
    while (buffer.position() % 4 != 0) {
      buffer.put((byte) 0);
    }
  }

  /** Returns the whole message. */
  byte[] message() {
    buffer.putInt(0, buffer.position());
    byte[] message = new byte[buffer.position()];
    buffer.get(0, message);
    return message;
  }
}
