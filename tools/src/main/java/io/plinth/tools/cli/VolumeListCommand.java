package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume list}. */
@Command(
    name = "list",
    description = "List all volumes. MAPPED is what has space, shared with others or not.",
    footer = {"", "Examples:", "  plinth volume list", "  plinth volume list --json"})
final class VolumeListCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Override
  public Integer call() {
    JsonNode answer = options.client().get("/v1/volumes");
    options.print(answer, out -> print(answer.path("volumes"), out));
    return ExitCodes.OK;
  }

  private static void print(JsonNode volumes, PrintWriter out) {
    if (volumes.isEmpty()) {
      out.println("no volumes; create one with 'plinth volume create NAME SIZE'");
      return;
    }
    Table table =
        new Table("lrrrrll", "NAME", "SIZE", "MAPPED", "SNAPSHOTS", "CLIENTS", "POLICY", "CORE");
    for (JsonNode node : volumes) {
      VolumeInfo volume = Json.convert(node, VolumeInfo.class);
      table.row(
          volume.name(),
          Sizes.format(volume.sizeBytes()),
          volume.mappedBytes() == null ? "-" : Sizes.format(volume.mappedBytes()),
          Integer.toString(volume.snapshots()),
          Integer.toString(volume.connections()),
          volume.flushPolicy().word(),
          Integer.toString(volume.core()));
    }
    table.print(out);
  }
}
