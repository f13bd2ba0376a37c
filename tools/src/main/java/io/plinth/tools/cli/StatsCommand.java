package io.plinth.tools.cli;

import io.plinth.target.admin.OperationStats;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeStats;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth stats}. */
@Command(
    name = "stats",
    description =
        "Show how many operations each volume has done since the server started, and how long they took.",
    footer = {
      "",
      "Examples:",
      "  plinth stats",
      "  plinth stats demo",
      "  plinth stats demo --json"
    })
final class StatsCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "VOLUME",
      description = "One volume; all when left out.")
  private String volume;

  @Override
  public Integer call() {
    List<VolumeStats> all = new ArrayList<>();
    JsonNode answer;
    if (volume == null) {
      answer = options.client().get("/v1/stats");
      answer.path("volumes").forEach(node -> all.add(Json.convert(node, VolumeStats.class)));
    } else {
      answer = options.client().get("/v1/stats/" + AdminClient.segment(volume));
      all.add(Json.convert(answer, VolumeStats.class));
    }
    options.print(answer, out -> print(all, out));
    return ExitCodes.OK;
  }

  private static void print(List<VolumeStats> all, PrintWriter out) {
    if (all.isEmpty()) {
      out.println("no volumes");
    }
    String separator = "";
    for (VolumeStats stats : all) {
      out.print(separator);
      separator = System.lineSeparator();
      if (stats.operations().stream().allMatch(operation -> operation.count() == 0)) {
        out.println(stats.name() + ": no operations since the server started");
        continue;
      }
      out.println(stats.name());
      table(stats).print(out);
    }
  }

  private static Table table(VolumeStats stats) {
    Table table =
        new Table(
            "lrrrrrrrr",
            "  OPERATION",
            "COUNT",
            "ERRORS",
            "BYTES",
            "P50",
            "P90",
            "P99",
            "P99.9",
            "MAX");
    for (OperationStats operation : stats.operations()) {
      if (operation.count() > 0) {
        table.row(
            "  " + operation.operation(),
            Long.toString(operation.count()),
            Long.toString(operation.errors()),
            Sizes.format(operation.bytes()),
            Durations.latency(operation.p50Ns()),
            Durations.latency(operation.p90Ns()),
            Durations.latency(operation.p99Ns()),
            Durations.latency(operation.p999Ns()),
            Durations.latency(operation.maxNs()));
      }
    }
    return table;
  }
}
