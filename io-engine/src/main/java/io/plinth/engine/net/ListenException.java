package io.plinth.engine.net;

/** A listener can't be made; the message is one line for a person. */
public final class ListenException extends Exception {
  private static final long serialVersionUID = 1L;

  ListenException(String message, Throwable cause) {
    super(message, cause);
  }
}
