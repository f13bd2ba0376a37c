package io.plinth.engine.core;

/**
 * The operating system does not let the engine work; the message says what is missing and what to
 * do, in one line.
 */
public final class DriverException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Creates an exception with a message for a person. */
  public DriverException(String message, Throwable cause) {
    super(message, cause);
  }
}
