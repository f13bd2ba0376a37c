package io.plinth.target.security;

import java.util.Locale;

/** What clients have to show of themselves in a handshake with certificates. */
public enum VerifyClients {
  /** Nothing; they are not asked. */
  OFF,
  /** A certificate, if they have one; a bad one ends the handshake. */
  OPTIONAL,
  /** A certificate that the authority has signed. */
  REQUIRED;

  /** Returns the word used in configuration and on the command line. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Reads that word.
   *
   * @throws IllegalArgumentException with a one-line message that names the three
   */
  public static VerifyClients parse(String text) {
    for (VerifyClients value : values()) {
      if (value.word().equals(text)) {
        return value;
      }
    }
    throw new IllegalArgumentException(
        "expected \"off\", \"optional\" or \"required\", not \"" + text + "\"");
  }
}
