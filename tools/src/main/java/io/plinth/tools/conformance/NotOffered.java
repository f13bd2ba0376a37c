package io.plinth.tools.conformance;

/** The server does not offer what a probe is about, or the probe may not be made. */
final class NotOffered extends RuntimeException {
  private static final long serialVersionUID = 1L;

  NotOffered(String why) {
    super(why);
  }
}
