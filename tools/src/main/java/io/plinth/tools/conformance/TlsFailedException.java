package io.plinth.tools.conformance;

import java.io.IOException;

/** TLS does not come about: a matter of certificates and settings more often than of the server. */
final class TlsFailedException extends IOException {
  private static final long serialVersionUID = 1L;

  TlsFailedException(String what, Throwable cause) {
    super(what, cause);
  }
}
