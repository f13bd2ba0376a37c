package io.plinth.tools.cli;

import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.NodesInfo;
import io.plinth.target.admin.Sizes;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code plinth status}. */
@Command(
    name = "status",
    description =
        "Show what the running server is, where it listens, how full its logs are, what recovery found and"
            + " whether its cores stall.",
    footer = {"", "Examples:", "  plinth status", "  plinth status --admin 127.0.0.1:10810 --json"})
final class StatusCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/node");
    NodeInfo node = Json.convert(answer, NodeInfo.class);
    options.print(
        answer,
        out -> {
          print(node, out);
          explain(out);
        });
    return ExitCodes.OK;
  }

  /** Says which nodes of the cluster are not well, why, and what happens next. */
  private void explain(PrintWriter out) {
    NodesInfo nodes = Nodes.ask(options);
    if (nodes != null) {
      nodes.nodes().stream()
          .filter(one -> !one.words().isEmpty())
          .forEach(one ->
              out.println(
                  "node "
                      + one.node()
                      + " is "
                      + one.state()
                      + ": "
                      + String.join("; ", one.words())));
      nodes.moves().forEach(line -> out.println("moves: " + line));
    }
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
    for (NodeInfo.LogInfo log : node.logs()) {
      table.row("log-" + log.log() + " segments", segments(log));
      if (log.indexDrops() > 0 || log.indexDroppedBytes() > 0) {
        table.row("log-" + log.log() + " index", indexPages(log));
      }
      table.row("log-" + log.log() + " appended", appended(log));
      table.row("log-" + log.log() + " cleaning", cleaning(log));
      table.row("log-" + log.log() + " waits", waits(log));
    }
    table.row("recovery", node.recovery());
    for (NodeInfo.DutyCycle cycle : node.dutyCycles()) {
      table.row(
          "core " + cycle.core(),
          "stalls over 10 ms: " + cycle.stalls() + ", longest cycle " + cycle.longestUs() + " us");
    }
    table.print(out);
  }

  private static String segments(NodeInfo.LogInfo log) {
    long bytesInUse = (long) log.segmentsInUse() * log.segmentBytes();
    return log.segmentsInUse()
        + " in use, "
        + log.segmentsSpare()
        + " spare, "
        + log.segmentsAvailable()
        + " available; "
        + Sizes.format(log.liveBytes())
        + " live of "
        + Sizes.format(bytesInUse)
        + "; index "
        + Sizes.format(log.indexBytes());
  }

  private static String indexPages(NodeInfo.LogInfo log) {
    return Sizes.format(log.indexDroppedBytes())
        + " not in memory; pages dropped: "
        + log.indexDrops()
        + ", read again: "
        + log.indexReads()
        + (log.indexReadFailures() > 0 ? ", could not be read: " + log.indexReadFailures() : "");
  }

  private static String appended(NodeInfo.LogInfo log) {
    String text =
        Sizes.format(log.appendedBytes())
            + " for "
            + Sizes.format(log.writtenBytes())
            + " written by clients";
    return log.writtenBytes() == 0
        ? text
        : String.format(
            Locale.ROOT,
            "%s (%.2f times)",
            text,
            (double) log.appendedBytes() / log.writtenBytes());
  }

  private static String cleaning(NodeInfo.LogInfo log) {
    return "checkpoints: "
        + log.checkpoints()
        + ", segments cleaned: "
        + log.cleanedSegments()
        + ", blocks moved: "
        + log.movedBlocks();
  }

  private static String waits(NodeInfo.LogInfo log) {
    return "for memory: " + log.memoryWaits() + ", for segments: " + log.segmentWaits();
  }
}
