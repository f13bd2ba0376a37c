package io.plinth.target.volume;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** What an acknowledged write has survived: the durability class that a volume's acks need. */
public enum FlushPolicy {
  /**
   * Like a disk with a volatile cache: an ack means appended (survives the death of the process);
   * FLUSH and FUA mean durable.
   */
  FLUSH,
  /** Every ack means durable (survives the loss of power). */
  ALWAYS;

  /**
   * Returns the word used in configuration, on the command line and in JSON: {@code flush} or
   * {@code always}.
   */
  @JsonValue
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Reads the word used in configuration.
   *
   * @throws IllegalArgumentException with a one-line message naming the two words
   */
  public static FlushPolicy parse(String text) {
    for (FlushPolicy policy : values()) {
      if (policy.word().equals(text)) {
        return policy;
      }
    }
    throw new IllegalArgumentException(
        "bad flush policy \"" + text + "\": expected \"flush\" or \"always\"");
  }
}
