package io.plinth.tools.cli;

import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.Sizes;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code plinth status}. */
@Command(
    name = "status",
    description =
        "Show what the running server is, where it listens, what recovery found and whether its cores stall.",
    footer = {"", "Examples:", "  plinth status", "  plinth status --admin 127.0.0.1:10810 --json"})
final class StatusCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/node");
    NodeInfo node = Json.convert(answer, NodeInfo.class);
    options.print(answer, out -> print(node, out));
    return ExitCodes.OK;
  }

  private static void print(NodeInfo node, PrintWriter out) {
    Table table = new Table("ll", "state", node.state().word());
    table.row("version", node.version());
    table.row("node id", node.nodeId());
    table.row("data directory", node.dataDir());
    table.row("process", Long.toString(node.processId()));
    table.row("cores", Integer.toString(node.cores()));
    table.row("up", Durations.uptime(node.uptimeMs()));
    for (NodeInfo.Listener listener : node.listeners()) {
      table.row(listener.protocol(), listener.address());
    }
    table.row(
        "log", Sizes.format(node.logUsedBytes()) + " of " + Sizes.format(node.logCapacityBytes()));
    table.row("recovery", node.recovery());
    for (NodeInfo.DutyCycle cycle : node.dutyCycles()) {
      table.row(
          "core " + cycle.core(),
          "stalls over 10 ms: " + cycle.stalls() + ", longest cycle " + cycle.longestUs() + " us");
    }
    table.print(out);
  }
}
