package io.plinth.target.security;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;

/** What is logged until it is closed. */
final class CapturedLog implements AutoCloseable {
  private final PrintStream before = System.err;
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  CapturedLog() {
    System.setErr(new PrintStream(bytes, true, UTF_8));
  }

  /** Returns the lines since the last time. */
  List<String> take() {
    List<String> lines = bytes.toString(UTF_8).lines().toList();
    bytes.reset();
    return lines;
  }

  @Override
  public void close() {
    System.setErr(before);
  }
}
