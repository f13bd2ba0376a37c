package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume snapshot delete}. */
@Command(
    name = "delete",
    description = "Delete a snapshot. What nothing else refers to becomes free in the background.",
    footer = {
      "",
      "Examples:",
      "  plinth volume snapshot delete demo monday",
      "  plinth volume snapshot delete demo monday --force"
    })
final class SnapshotDeleteCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Parameters(index = "1", paramLabel = "SNAPSHOT", description = "The snapshot.")
  private String snapshot;

  @Option(
      names = "--force",
      description = "Disconnect its clients first; without it they keep the snapshot.")
  private boolean force;

  @Override
  public Integer call() {
    String path = AdminClient.volume(volume, "snapshots", snapshot);
    JsonNode answer = options.client().delete(path + (force ? "?force=true" : ""));
    options.print(answer, out -> out.println("deleted " + volume + "@" + snapshot));
    return ExitCodes.OK;
  }
}
