package io.plinth.tools.conformance;

import java.io.IOException;

/** The time for an answer is over. */
final class NoAnswerException extends IOException {
  private static final long serialVersionUID = 1L;

  NoAnswerException(String what) {
    super(what);
  }
}
