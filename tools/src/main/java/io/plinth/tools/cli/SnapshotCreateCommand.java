package io.plinth.tools.cli;

import io.plinth.target.admin.VolumeSpec;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume snapshot create}. */
@Command(
    name = "create",
    description = {
      "Take a snapshot of a volume while clients go on. It holds every write that was acknowledged",
      "before, and of each other write all or nothing."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume snapshot create demo monday",
      "  plinth volume snapshot create demo monday --json"
    })
final class SnapshotCreateCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Parameters(
      index = "1",
      paramLabel = "SNAPSHOT",
      description = "Its name: 1 to 63 letters, digits, '.', '_', '-'.")
  private String snapshot;

  @Override
  public Integer call() {
    try {
      VolumeSpec.checkSnapshotName(snapshot);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    ObjectNode body = Json.object();
    body.put("name", snapshot);
    JsonNode answer = options.client().post(AdminClient.volume(volume, "snapshots"), body);
    options.print(answer, out -> out.println("took snapshot " + volume + "@" + snapshot));
    return ExitCodes.OK;
  }
}
