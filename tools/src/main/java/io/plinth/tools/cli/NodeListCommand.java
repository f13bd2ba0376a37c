package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code plinth node list}. */
@Command(
    name = "list",
    description = {
      "Show the nodes of a cluster: how they are, what is wrong, and what happens next."
    },
    footer = {"", "Examples:", "  plinth node list", "  plinth node list --json"})
final class NodeListCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/nodes");
    options.print(answer, out -> Nodes.print(Nodes.read(answer), out));
    return ExitCodes.OK;
  }
}
