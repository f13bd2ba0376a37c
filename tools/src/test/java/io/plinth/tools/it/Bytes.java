package io.plinth.tools.it;

import java.util.Arrays;

/** Comparisons of content whose failure is one line, however large the content is. */
final class Bytes {
  private Bytes() {}

  /** Fails with the first byte that differs. */
  static void assertSame(String what, byte[] found, byte[] expected) {
    int at = Arrays.mismatch(found, expected);
    if (at >= 0) {
      throw new AssertionError(
          what + ": byte " + at + " is " + at(found, at) + ", expected " + at(expected, at));
    }
  }

  static void assertZero(String what, byte[] found) {
    assertSame(what, found, new byte[found.length]);
  }

  private static String at(byte[] bytes, int index) {
    return index < bytes.length ? Integer.toString(bytes[index] & 0xff) : "missing";
  }
}
