package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.SnapshotInfo;
import java.io.PrintWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume snapshot list}. */
@Command(
    name = "list",
    description = {
      "List the snapshots of a volume, the oldest first. MAPPED is shared with others; UNIQUE is what",
      "deleting this snapshot alone gives back."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume snapshot list demo",
      "  plinth volume snapshot list demo --json"
    })
final class SnapshotListCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get(AdminClient.volume(volume, "snapshots") + "?space=true");
    options.print(answer, out -> print(answer.path("snapshots"), out));
    return ExitCodes.OK;
  }

  private void print(JsonNode snapshots, PrintWriter out) {
    if (snapshots.isEmpty()) {
      out.println("volume " + volume + " has no snapshots");
      return;
    }
    Table table = new Table("llrrrr", "NAME", "CREATED", "SIZE", "MAPPED", "UNIQUE", "CLIENTS");
    for (JsonNode node : snapshots) {
      SnapshotInfo snapshot = Json.convert(node, SnapshotInfo.class);
      table.row(
          snapshot.name(),
          Instant.ofEpochMilli(snapshot.createdMs()).truncatedTo(ChronoUnit.SECONDS).toString(),
          Sizes.format(snapshot.sizeBytes()),
          Sizes.format(snapshot.mappedBytes()),
          snapshot.space() == null ? "?" : Sizes.format(snapshot.space().uniqueBytes()),
          Integer.toString(snapshot.connections()));
    }
    table.print(out);
  }
}
