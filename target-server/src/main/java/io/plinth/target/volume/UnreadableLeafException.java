package io.plinth.target.volume;

/** A page of an index that was dropped can't be read again, at start; the message says which. */
final class UnreadableLeafException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  UnreadableLeafException(String message) {
    super(message);
  }
}
