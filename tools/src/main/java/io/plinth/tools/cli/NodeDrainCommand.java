package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth node drain}. */
@Command(
    name = "drain",
    description = {
      "Move all replicas and leads of a node to other nodes, one replica of a volume at a time. Clients go on.",
      "What can't move, and why, is told. 'node undrain' turns it back at any time."
    },
    footer = {
      "",
      "Examples:",
      "  plinth node drain 3 --dry-run",
      "  plinth node drain 3 --wait --timeout 600"
    })
final class NodeDrainCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NODE", description = "The node's number.")
  private int node;

  @Option(names = "--dry-run", description = "Only tell what would be moved.")
  private boolean dryRun;

  @Mixin private DrainWait wait;

  @Override
  public Integer call() {
    wait.check();
    ObjectNode body = Json.object();
    body.put("dryRun", dryRun);
    String done = "node " + node + (dryRun ? " would be drained" : " is being drained");
    int code = Nodes.change(options, node, "drain", body, done);
    return dryRun ? code : wait.await(options, node);
  }
}
