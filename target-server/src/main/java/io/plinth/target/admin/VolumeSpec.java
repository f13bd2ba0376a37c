package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * What is asked for when a volume is created. The one place where names and sizes of volumes are
 * judged; an instance is always valid.
 *
 * @param name 1 to 63 letters, digits, dots, underscores and dashes, the first a letter or digit
 * @param sizeBytes a multiple of {@link #SECTOR_BYTES} from {@link #MINIMUM_BYTES} to {@link
 *     #MAXIMUM_BYTES}
 * @param flushPolicy what its acks mean
 * @param settings what can be changed later
 */
public record VolumeSpec(
    String name, long sizeBytes, FlushPolicy flushPolicy, VolumeSettings settings) {
  /** The smallest unit that a client can address, in bytes. */
  public static final int SECTOR_BYTES = 512;

  /** The smallest volume: one block. */
  public static final long MINIMUM_BYTES = Volume.MINIMUM_BYTES;

  /** The largest volume: 64 TiB. */
  public static final long MAXIMUM_BYTES = Volume.MAXIMUM_BYTES;

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");

  /**
   * Checks everything.
   *
   * @throws IllegalArgumentException with a one-line message that quotes the bad value and says
   *     what was expected
   */
  public VolumeSpec {
    checkName(name);
    checkSize(sizeBytes);
    Objects.requireNonNull(flushPolicy, "flushPolicy");
    Objects.requireNonNull(settings, "settings");
  }

  /**
   * Reads {@code NAME=SIZE}, as on the command line.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static VolumeSpec parse(String text, FlushPolicy flushPolicy, VolumeSettings settings) {
    int equals = text.indexOf('=');
    if (equals < 0) {
      throw new IllegalArgumentException(
          "bad volume \"" + text + "\": expected NAME=SIZE, such as demo=1G");
    }
    String name = text.substring(0, equals);
    checkName(name);
    return new VolumeSpec(name, Sizes.parse(text.substring(equals + 1)), flushPolicy, settings);
  }

  /**
   * Judges a name alone.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static void checkName(String name) {
    checkName("volume", name);
  }

  /**
   * Judges the name of a snapshot, for which the rule is the same.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static void checkSnapshotName(String name) {
    checkName("snapshot", name);
  }

  private static void checkName(String what, String name) {
    if (name == null || !NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "bad "
              + what
              + " name "
              + quoted(name)
              + ": expected 1 to 63 letters, digits, '.', '_' or '-', starting with a letter or digit");
    }
  }

  /**
   * Judges a size alone.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static void checkSize(long sizeBytes) {
    if (sizeBytes < MINIMUM_BYTES || sizeBytes > MAXIMUM_BYTES || sizeBytes % SECTOR_BYTES != 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "bad volume size %d: expected a multiple of %d bytes, at least %s and at most %s",
              sizeBytes,
              SECTOR_BYTES,
              Sizes.formatExact(MINIMUM_BYTES),
              Sizes.formatExact(MAXIMUM_BYTES)));
    }
  }

  /** Quotes what a stranger sent, shortened and without control characters. */
  static String quoted(String text) {
    if (text == null) {
      return "\"\"";
    }
    StringBuilder result = new StringBuilder("\"");
    int length = Math.min(text.length(), 80);
    for (int i = 0; i < length; i++) {
      char c = text.charAt(i);
      result.append(c < ' ' || c == 0x7f ? '?' : c);
    }
    return result.append(text.length() > length ? "...\"" : "\"").toString();
  }
}
