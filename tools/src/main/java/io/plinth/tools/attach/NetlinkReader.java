package io.plinth.tools.attach;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Reads what the kernel sends, see {@link NetlinkWriter}. What is cut off or malformed ends it. */
final class NetlinkReader {
  /** The type of acknowledgements and errors. */
  static final int TYPE_ERROR = 2;

  private static final int TYPE_MASK = 0x3fff;

  /**
   * A message.
   *
   * @param type the family, or {@link #TYPE_ERROR}
   * @param body what follows the header
   */
  record Message(int type, int sequence, ByteBuffer body) {
    /** Returns the negated errno of a message of type error, 0 for an acknowledgement. */
    int error() {
      return body.remaining() < Integer.BYTES ? -1 : body.getInt(0);
    }

    /** Returns the command of a message of a family; -1 when it has none. */
    int command() {
      return body.remaining() < NetlinkWriter.COMMAND_HEADER_BYTES ? -1 : body.get(0) & 0xff;
    }

    List<Attribute> attributes() {
      int header = NetlinkWriter.COMMAND_HEADER_BYTES;
      return body.remaining() < header
          ? List.of()
          : NetlinkReader.attributes(part(body, header, body.remaining() - header));
    }
  }

  /** An attribute: number, string or attributes, as its type tells who knows it. */
  record Attribute(int type, ByteBuffer value) {
    /** Returns a number of one, two or four bytes; -1 for any other length. */
    int number() {
      return switch (value.remaining()) {
        case 1 -> value.get(0) & 0xff;
        case 2 -> value.getShort(0) & 0xffff;
        case 4 -> value.getInt(0);
        default -> -1;
      };
    }

    String string() {
      String text = StandardCharsets.UTF_8.decode(value.duplicate()).toString();
      int end = text.indexOf('\0');
      return end < 0 ? text : text.substring(0, end);
    }

    List<Attribute> nested() {
      return attributes(value);
    }
  }

  private NetlinkReader() {}

  /** Returns the messages in what was received. */
  static List<Message> messages(byte[] bytes, int length) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, length).order(ByteOrder.nativeOrder());
    List<Message> messages = new ArrayList<>();
    int header = NetlinkWriter.HEADER_BYTES;
    for (int at = 0; at + header <= length; ) {
      int size = buffer.getInt(at);
      if (size < header || size > length - at) {
        break;
      }
      messages.add(
          new Message(
              buffer.getShort(at + 4) & 0xffff,
              buffer.getInt(at + 8),
              part(buffer, at + header, size - header)));
      at += padded(size);
    }
    return messages;
  }

  private static List<Attribute> attributes(ByteBuffer buffer) {
    List<Attribute> attributes = new ArrayList<>();
    int header = NetlinkWriter.ATTRIBUTE_HEADER_BYTES;
    int length = buffer.remaining();
    for (int at = 0; at + header <= length; ) {
      int size = buffer.getShort(at) & 0xffff;
      if (size < header || size > length - at) {
        break;
      }
      attributes.add(
          new Attribute(
              buffer.getShort(at + 2) & TYPE_MASK, part(buffer, at + header, size - header)));
      at += padded(size);
    }
    return attributes;
  }

  private static ByteBuffer part(ByteBuffer buffer, int index, int length) {
    return buffer.slice(index, length).order(ByteOrder.nativeOrder());
  }

  private static int padded(int size) {
    return size + 3 & ~3;
  }
}
