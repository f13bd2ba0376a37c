package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** {@code plinth scrub status}. */
@Command(
    name = "status",
    description = {
      "Show how far the search for rotten blocks is, and which were found and are still there.",
      "With --wait the exit code is 1 when any were found."
    },
    footer = {"", "Examples:", "  plinth scrub status", "  plinth scrub status --json"})
final class ScrubStatusCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Option(names = "--wait", description = "Show how far it is, and end when it has ended.")
  private boolean wait;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/scrub");
    if (wait) {
      return ScrubWait.run(options, answer);
    }
    options.print(answer, out -> ScrubTable.print(ScrubTable.read(answer), out));
    return ExitCodes.OK;
  }
}
