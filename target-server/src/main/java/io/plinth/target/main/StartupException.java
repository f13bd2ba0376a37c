package io.plinth.target.main;

/**
 * The server refuses to start. The message is the one clear line that the person at the terminal
 * sees; the process then ends with exit code 2.
 */
public final class StartupException extends Exception {
  private static final long serialVersionUID = 1L;

  /** A refusal told by {@code message}. */
  public StartupException(String message) {
    super(message);
  }

  /** A refusal told by {@code message}; the cause is shown only when debugging. */
  public StartupException(String message, Throwable cause) {
    super(message, cause);
  }
}
