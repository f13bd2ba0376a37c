package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** The text's rules for strings. */
final class Strings {
  private Strings() {}

  /** Returns what is wrong with a string, or null. */
  static String problem(ByteBuffer bytes) {
    if (bytes.remaining() > Nbd.MAX_STRING) {
      return "has " + bytes.remaining() + " bytes";
    }
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(bytes.duplicate()).toString();
      return text.indexOf('\0') < 0 ? null : "has a NUL";
    } catch (CharacterCodingException _) {
      return "is not UTF-8";
    }
  }

  static String decode(ByteBuffer bytes) {
    return StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
  }
}
