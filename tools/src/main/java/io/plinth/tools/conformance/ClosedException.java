package io.plinth.tools.conformance;

import java.io.IOException;

/** The server has closed the connection, or reset it. */
final class ClosedException extends IOException {
  private static final long serialVersionUID = 1L;

  ClosedException() {
    super("connection closed");
  }
}
