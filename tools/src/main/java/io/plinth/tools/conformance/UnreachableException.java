package io.plinth.tools.conformance;

import java.io.IOException;

/** There is no connection to the server to be had. */
final class UnreachableException extends IOException {
  private static final long serialVersionUID = 1L;

  UnreachableException(IOException cause) {
    super(CheckRun.told(cause), cause);
  }

  UnreachableException(NbdUri uri, IOException cause) {
    super("cannot reach " + uri.text() + ": " + CheckRun.told(cause), cause);
  }
}
