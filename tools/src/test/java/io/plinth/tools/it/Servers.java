package io.plinth.tools.it;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * The servers of one test, or of a class when the field is static and says so: ended after it, and
 * their logs shown when a test failed.
 */
final class Servers implements AfterEachCallback, AfterAllCallback {
  private final boolean ofClass;
  private final List<PlinthProcess> started = new ArrayList<>();
  private String javaOptions = "";

  Servers() {
    this(false);
  }

  private Servers(boolean ofClass) {
    this.ofClass = ofClass;
  }

  /** Returns servers that live until the last test of the class has ended. */
  static Servers ofClass() {
    return new Servers(true);
  }

  /** Sets options of the Java machine for the servers started from now on. */
  void javaOptions(String options) {
    javaOptions = options;
  }

  /** Starts {@code plinth serve} over a data directory and waits until it is ready. */
  PlinthProcess serve(Path data, String... arguments) throws IOException, InterruptedException {
    PlinthProcess server = launch(data, arguments);
    server.readyLine();
    return server;
  }

  /** Starts {@code plinth serve} over a data directory. */
  PlinthProcess launch(Path data, String... arguments) throws IOException {
    List<String> all = new ArrayList<>(List.of("--data", data.toString()));
    all.addAll(List.of(arguments));
    return add(PlinthProcess.serve(log(data), javaOptions, all));
  }

  /** Starts {@code plinth} with exactly these arguments. */
  PlinthProcess exactly(Path log, String... arguments) throws IOException {
    return through(List.of(), log, arguments);
  }

  /** Starts {@code plinth} with exactly these arguments, by a command that runs another one. */
  PlinthProcess through(List<String> command, Path log, String... arguments) throws IOException {
    return add(PlinthProcess.start(log, javaOptions, command, List.of(arguments)));
  }

  private Path log(Path data) {
    return data.resolveSibling(data.getFileName() + "-" + started.size() + ".log");
  }

  private PlinthProcess add(PlinthProcess server) {
    started.add(server);
    return server;
  }

  @Override
  public void afterAll(ExtensionContext context) throws InterruptedException {
    killAll();
  }

  private void killAll() throws InterruptedException {
    for (PlinthProcess server : started) {
      if (server.isAlive()) {
        server.kill();
      }
    }
  }

  @Override
  public void afterEach(ExtensionContext context) throws InterruptedException {
    if (!ofClass) {
      killAll();
    }
    if (context.getExecutionException().isPresent()) {
      for (PlinthProcess server : started) {
        List<String> lines = server.log().lines().toList();
        System.err.println(context.getDisplayName() + ": server " + server.pid() + " wrote:");
        lines
            .subList(Math.max(0, lines.size() - 40), lines.size())
            .forEach(line -> System.err.println("  " + line));
      }
    }
  }
}
