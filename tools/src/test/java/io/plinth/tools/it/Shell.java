package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Runs a client as a person would, ended by timeout(1) when it hangs. */
final class Shell {
  /** What a client did; both its outputs together. */
  record Result(int exitCode, String output) {}

  private Shell() {}

  static Result run(int seconds, String... command) throws IOException {
    return run(seconds, List.of(command));
  }

  static Result run(int seconds, List<String> command) throws IOException {
    Process process = start(seconds, command);
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    try {
      return new Result(process.waitFor(), output);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for " + command);
    }
  }

  /** Runs a client that must succeed; returns its output. */
  static String ok(int seconds, String... command) throws IOException {
    Result result = run(seconds, command);
    assertThat(result.exitCode())
        .as("exit code of %s: %s", String.join(" ", command), result.output())
        .isZero();
    return result.output();
  }

  /** Starts a client that ends by itself or after {@code seconds}. */
  static Process start(int seconds, List<String> command) throws IOException {
    List<String> limited =
        new ArrayList<>(List.of("timeout", "-k", "5", Integer.toString(seconds)));
    limited.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(limited).redirectErrorStream(true);
    builder.redirectInput(new File("/dev/null"));
    builder.environment().merge("PATH", "/usr/sbin:/sbin", (old, more) -> old + ":" + more);
    builder.environment().put("LC_ALL", "C.UTF-8");
    return builder.start();
  }
}
