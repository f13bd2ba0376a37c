package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;

/** {@code plinth volume delete}. */
@Command(
    name = "delete",
    description = "Delete a volume with all its data and snapshots.",
    footer = {
      "",
      "Examples:",
      "  plinth volume delete demo",
      "  plinth volume delete demo --force"
    })
final class VolumeDeleteCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "NAME", description = "The volume.")
  private String name;

  @Option(
      names = "--force",
      description =
          "Disconnect attached clients first, and delete its snapshots too; without it a volume that"
              + " has any stays.")
  private boolean force;

  @Override
  public Integer call() {
    String path = AdminClient.volume(name) + (force ? "?force=true" : "");
    JsonNode answer = options.client().delete(path);
    options.print(answer, out -> out.println("deleted " + name));
    return ExitCodes.OK;
  }
}
