package io.plinth.bench.load;

/** The load can't be run, or the server did something wrong; the message is for people. */
public final class LoadException extends Exception {
  private static final long serialVersionUID = 1;

  LoadException(String message) {
    super(message);
  }

  LoadException(String message, Throwable cause) {
    super(message, cause);
  }
}
