package io.plinth.target.admin;

/** The admin API could not listen. The message is one line for a person. */
public final class AdminBindException extends Exception {
  private static final long serialVersionUID = 1L;

  /** A failure told by {@code message}. */
  public AdminBindException(String message, Throwable cause) {
    super(message, cause);
  }
}
