package io.plinth.log.recovery;

/**
 * A log can't be opened without losing data or because it is not ours; the message is one line for
 * a person.
 */
public final class RecoveryException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Creates an exception. */
  public RecoveryException(String message) {
    super(message);
  }
}
