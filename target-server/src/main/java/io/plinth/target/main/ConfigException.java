package io.plinth.target.main;

/**
 * A configuration that cannot be used. The message is one line, with file and line number where
 * there is one.
 */
public final class ConfigException extends Exception {
  private static final long serialVersionUID = 1L;

  /** A fault told by {@code message}. */
  public ConfigException(String message) {
    super(message);
  }

  /** A fault told by {@code message}; the cause is shown only when debugging. */
  public ConfigException(String message, Throwable cause) {
    super(message, cause);
  }
}
