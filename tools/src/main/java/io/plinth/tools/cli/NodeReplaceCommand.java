package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth node replace}. */
@Command(
    name = "replace",
    description = {
      "Let one node have the replicas of another, which may be dead. Volumes that both have go to any other."
    },
    footer = {"", "Examples:", "  plinth node replace 3 4 --wait"})
final class NodeReplaceCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "OLD", description = "The node that goes.")
  private int node;

  @Parameters(index = "1", paramLabel = "NEW", description = "The node that takes its place.")
  private int replacement;

  @Option(names = "--dry-run", description = "Only tell what would be moved.")
  private boolean dryRun;

  @Mixin private DrainWait wait;

  @Override
  public Integer call() {
    wait.check();
    ObjectNode body = Json.object();
    body.put("replacement", replacement);
    body.put("dryRun", dryRun);
    String done =
        "node "
            + node
            + (dryRun ? " would be replaced by " : " is being replaced by ")
            + replacement;
    int code = Nodes.change(options, node, "drain", body, done);
    return dryRun ? code : wait.await(options, node);
  }
}
