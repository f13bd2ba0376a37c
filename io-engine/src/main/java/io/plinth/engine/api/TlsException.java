package io.plinth.engine.api;

/** A TLS session that can't go on; the message says why in one line. */
public final class TlsException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Takes a reason, and what caused it or null. */
  public TlsException(String message, Throwable cause) {
    super(message, cause);
  }
}
