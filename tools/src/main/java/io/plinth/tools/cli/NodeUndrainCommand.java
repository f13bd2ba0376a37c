package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code plinth node undrain}. */
@Command(
    name = "undrain",
    description = {
      "Take a node back into service that is being drained, or was drained or removed. What has moved stays",
      "where it is."
    },
    footer = {"", "Examples:", "  plinth node undrain 3"})
final class NodeUndrainCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NODE", description = "The node's number.")
  private int node;

  @Override
  public Integer call() {
    String done = "node " + node + " is in service";
    return Nodes.change(options, node, "undrain", Json.object(), done);
  }
}
