package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth node remove}. */
@Command(
    name = "remove",
    description = {
      "Do without a node from now on. One that has replicas is refused, unless it is lost: then they are",
      "rebuilt on other nodes at once."
    },
    footer = {"", "Examples:", "  plinth node remove 3", "  plinth node remove 3 --lost --wait"})
final class NodeRemoveCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NODE", description = "The node's number.")
  private int node;

  @Option(names = "--lost", description = "It will not come back, though it has replicas.")
  private boolean lost;

  @Mixin private DrainWait wait;

  @Override
  public Integer call() {
    wait.check();
    ObjectNode body = Json.object();
    body.put("lost", lost);
    int code = Nodes.change(options, node, "remove", body, "node " + node + " is removed");
    return code == ExitCodes.OK ? wait.await(options, node) : code;
  }
}
