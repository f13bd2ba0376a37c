package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code plinth scrub stop}. */
@Command(
    name = "stop",
    description = "End the search for rotten blocks before its time. The next one begins anew.",
    footer = {"", "Examples:", "  plinth scrub stop", "  plinth scrub stop --json"})
final class ScrubStopCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().delete("/v1/scrub");
    options.print(answer, out -> ScrubTable.print(ScrubTable.read(answer), out));
    return ExitCodes.OK;
  }
}
