package io.plinth.tools.cli;

import io.plinth.target.admin.NodesInfo;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code plinth node show}. */
@Command(
    name = "show",
    description = {"Show how one node of a cluster is."},
    footer = {"", "Examples:", "  plinth node show 3"})
final class NodeShowCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NODE", description = "The node's number.")
  private int node;

  @Override
  public Integer call() {
    NodesInfo.NodeState state = Nodes.find(Nodes.read(options.client().get("/v1/nodes")), node);
    options.print(
        Json.tree(state),
        out -> {
          Table table = new Table("ll", "state", state.state());
          table.row("replicas", Integer.toString(state.replicas()));
          state.words().forEach(line -> table.row("", line));
          table.print(out);
        });
    return ExitCodes.OK;
  }
}
