package io.plinth.target.volume;

/** Pages of an index that were stored make no sense; the message says which. */
final class IndexException extends Exception {
  private static final long serialVersionUID = 1L;

  IndexException(String message) {
    super(message);
  }
}
