package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume rollback}. */
@Command(
    name = "rollback",
    description = {
      "Let a volume be what it was at a snapshot, its size included. What was written since is gone;",
      "take a snapshot before to keep it. All snapshots stay, also newer ones."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume rollback demo monday",
      "  plinth volume rollback demo monday --force"
    })
final class VolumeRollbackCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Parameters(index = "1", paramLabel = "SNAPSHOT", description = "One of its snapshots.")
  private String snapshot;

  @Option(
      names = "--force",
      description = "Disconnect attached clients first; without it they keep the volume.")
  private boolean force;

  @Override
  public Integer call() {
    ObjectNode body = Json.object();
    body.put("snapshot", snapshot);
    body.put("force", force);
    JsonNode answer = options.client().post(AdminClient.volume(volume, "rollback"), body);
    VolumeInfo now = Json.convert(answer, VolumeInfo.class);
    options.print(
        answer,
        out ->
            out.println(
                "rolled "
                    + volume
                    + " back to "
                    + snapshot
                    + ", "
                    + Sizes.format(now.sizeBytes())));
    return ExitCodes.OK;
  }
}
