package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;

/** {@code plinth scrub start}. */
@Command(
    name = "start",
    description = {
      "Begin to look for rotten blocks; where that is at work already it goes on.",
      "With --wait the exit code is 1 when any were found."
    },
    footer = {
      "",
      "Examples:",
      "  plinth scrub start",
      "  plinth scrub start --wait",
      "  plinth scrub start --wait --json"
    })
final class ScrubStartCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Option(names = "--wait", description = "Show how far it is, and end when it has ended.")
  private boolean wait;

  @Override
  public Integer call() {
    JsonNode answer = options.client().post("/v1/scrub", Json.object());
    if (wait) {
      return ScrubWait.run(options, answer);
    }
    options.print(answer, out -> ScrubTable.print(ScrubTable.read(answer), out));
    return ExitCodes.OK;
  }
}
