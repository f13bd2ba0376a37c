package io.plinth.target.admin;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sizes in bytes as people write and read them. Units are powers of 1024: {@code K}, {@code M},
 * {@code G}, {@code T}, {@code P}, also written {@code KiB} and so on; {@code KB} and its like are
 * refused because they mean two things.
 */
public final class Sizes {
  private static final String UNITS = "KMGTP";
  private static final Pattern SYNTAX = Pattern.compile("([0-9]{1,19})(?:([KMGTP])(I?B)?|B)?");
  private static final Pattern AMBIGUOUS = Pattern.compile("([0-9]{1,19})([KMGTP])B");

  private Sizes() {}

  /**
   * Reads a size such as {@code 512}, {@code 4K}, {@code 1g} or {@code 64GiB}.
   *
   * @return bytes
   * @throws IllegalArgumentException with a one-line message that quotes {@code text} and says what
   *     was expected
   */
  public static long parse(String text) {
    String upper = text.strip().toUpperCase(Locale.ROOT);
    Matcher ambiguous = AMBIGUOUS.matcher(upper);
    if (ambiguous.matches()) {
      String number = ambiguous.group(1);
      String unit = ambiguous.group(2);
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "bad size \"%s\": write %s%s or %s%siB for powers of 1024",
              text,
              number,
              unit,
              number,
              unit));
    }
    Matcher matcher = SYNTAX.matcher(upper);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "bad size \""
              + text
              + "\": expected whole bytes with an optional unit K, M, G, T or P (powers of 1024),"
              + " such as 512, 4K, 1G or 64GiB");
    }
    try {
      long number = Long.parseLong(matcher.group(1));
      return matcher.group(2) == null
          ? number
          : Math.multiplyExact(number, factor(matcher.group(2).charAt(0)));
    } catch (ArithmeticException | NumberFormatException e) {
      throw new IllegalArgumentException(
          "bad size \"" + text + "\": more than 8191P, the largest that fits", e);
    }
  }

  /**
   * Writes a size for people: at most one decimal, {@code 512 B}, {@code 1.5 GiB}.
   *
   * @param bytes zero or more
   */
  public static String format(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    int exponent = Math.min((63 - Long.numberOfLeadingZeros(bytes)) / 10, UNITS.length());
    double value = bytes / (double) (1L << (10 * exponent));
    // 1023.96 KiB would print as 1024.0 KiB.
    if (value >= 1023.95 && exponent < UNITS.length()) {
      value /= 1024;
      exponent++;
    }
    String number = String.format(Locale.ROOT, "%.1f", value);
    if (number.endsWith(".0")) {
      number = number.substring(0, number.length() - 2);
    }
    return number + " " + UNITS.charAt(exponent - 1) + "iB";
  }

  /**
   * Writes a size exactly, in the shortest form that {@link #parse} reads back to the same number:
   * {@code 1536}, {@code 1G}.
   *
   * @param bytes zero or more
   */
  public static String formatExact(long bytes) {
    int exponent = 0;
    long value = bytes;
    while (value != 0 && value % 1024 == 0 && exponent < UNITS.length()) {
      value /= 1024;
      exponent++;
    }
    return exponent == 0
        ? Long.toString(value)
        : value + String.valueOf(UNITS.charAt(exponent - 1));
  }

  private static long factor(char unit) {
    return 1L << (10 * (UNITS.indexOf(unit) + 1));
  }
}
