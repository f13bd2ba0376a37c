package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs the project's scripts as a person would, in processes of their own. */
final class Script {
  private Script() {}

  /** Returns the top of the source tree. */
  static Path root() {
    return Path.of(System.getProperty("plinth.root"));
  }

  static Process start(
      Path directory, Map<String, String> environment, Path output, List<String> command)
      throws IOException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
    builder.environment().putAll(environment);
    builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
    builder.redirectOutput(output.resolveSibling(output.getFileName() + ".out").toFile());
    builder.redirectError(output.resolveSibling(output.getFileName() + ".err").toFile());
    return builder.start();
  }

  static Run await(Process process, Path output) throws IOException, InterruptedException {
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    return new Run(
        process.exitValue(),
        Files.readString(output.resolveSibling(output.getFileName() + ".out")),
        Files.readString(output.resolveSibling(output.getFileName() + ".err")));
  }

  static Run run(Path directory, Map<String, String> environment, Path output, List<String> command)
      throws IOException, InterruptedException {
    return await(start(directory, environment, output, command), output);
  }
}
