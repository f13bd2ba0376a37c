package io.plinth.target.volume;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;
import java.util.Optional;

/** Whether clients of a volume may, must or can't encrypt their connection. */
public enum TlsMode {
  /** Clients are served without TLS only. */
  OFF(1),
  /** Clients are served with TLS and without. */
  ALLOWED(2),
  /** Clients are served with TLS only. */
  REQUIRED(3);

  private final int code;

  TlsMode(int code) {
    this.code = code;
  }

  /** Returns the number in encoded settings; zero is for none. */
  int code() {
    return code;
  }

  /** Returns the mode of a number in encoded settings. */
  static Optional<TlsMode> ofCode(int code) {
    for (TlsMode mode : values()) {
      if (mode.code == code) {
        return Optional.of(mode);
      }
    }
    if (code != 0) {
      throw new IllegalArgumentException("unknown TLS mode " + code);
    }
    return Optional.empty();
  }

  /** Returns the word used in configuration, on the command line and in JSON. */
  @JsonValue
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Reads the word used in configuration.
   *
   * @throws IllegalArgumentException with a one-line message naming the three words
   */
  public static TlsMode parse(String text) {
    for (TlsMode mode : values()) {
      if (mode.word().equals(text)) {
        return mode;
      }
    }
    throw new IllegalArgumentException(
        "bad TLS mode \"" + text + "\": expected \"off\", \"allowed\" or \"required\"");
  }
}
