package io.plinth.target.security;

/**
 * Certificates or keys that can't be used; the message names the file and says why, in one line.
 */
public final class TlsFilesException extends Exception {
  private static final long serialVersionUID = 1L;

  TlsFilesException(String message, Throwable cause) {
    super(message, cause);
  }
}
