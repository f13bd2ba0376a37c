package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.MAX_STRING_BYTES;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_INVALID;
import static io.plinth.target.nbd.NbdProtocol.REP_ERR_TOO_BIG;
import static java.nio.ByteOrder.BIG_ENDIAN;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.agrona.DirectBuffer;

/**
 * Which export a client asked for, and what it wants to know about it.
 *
 * @param name the export; empty for the default one
 * @param infoMask bit n: information type n was asked for
 * @param error type of the error reply, or zero
 * @param problem what is wrong when {@code error} is not zero
 */
record ExportQuery(String name, int infoMask, int error, String problem) {

  /**
   * Parses the data of INFO and GO:
   *
   * <pre>
   *   | name length 4 | name | number of information requests 2 | type 2 | ... |
   * </pre>
   */
  static ExportQuery parseInfo(DirectBuffer buffer, int data, int length) {
    if (length < 6) {
      return invalid("option data too short");
    }
    long nameBytes = buffer.getInt(data, BIG_ENDIAN) & 0xffffffffL;
    if (nameBytes > length - 6) {
      return invalid("name longer than the option");
    }
    int counter = data + 4 + (int) nameBytes;
    int requests = buffer.getShort(counter, BIG_ENDIAN) & 0xffff;
    if (6 + nameBytes + 2L * requests != length) {
      return invalid("length of the option and number of information requests disagree");
    }
    int mask = 0;
    for (int i = 0; i < requests; i++) {
      int type = buffer.getShort(counter + 2 + 2 * i, BIG_ENDIAN) & 0xffff;
      // Unknown types are ignored.
      mask |= type < Integer.SIZE ? 1 << type : 0;
    }
    return named(buffer, data + 4, (int) nameBytes, mask);
  }

  /** Parses the data of EXPORT_NAME, which is the name. */
  static ExportQuery parseName(DirectBuffer buffer, int data, int length) {
    return named(buffer, data, length, 0);
  }

  boolean asksFor(int infoType) {
    return (infoMask & (1 << infoType)) != 0;
  }

  private static ExportQuery named(DirectBuffer buffer, int at, int nameBytes, int mask) {
    if (nameBytes > MAX_STRING_BYTES) {
      return new ExportQuery("", 0, REP_ERR_TOO_BIG, "name of more than 4096 bytes");
    }
    String name = decode(buffer, at, nameBytes);
    return name == null ? invalid("name is not UTF-8") : new ExportQuery(name, mask, 0, "");
  }

  private static ExportQuery invalid(String problem) {
    return new ExportQuery("", 0, REP_ERR_INVALID, problem);
  }

  /** Returns a string of the protocol, or null when it is not UTF-8 or contains NUL. */
  static String decode(DirectBuffer buffer, int at, int length) {
    byte[] bytes = new byte[length];
    buffer.getBytes(at, bytes);
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return text.indexOf('\0') < 0 ? text : null;
    } catch (CharacterCodingException e) {
      return null;
    }
  }
}
