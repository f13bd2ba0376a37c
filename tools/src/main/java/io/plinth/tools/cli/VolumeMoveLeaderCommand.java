package io.plinth.tools.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume move-leader}. */
@Command(
    name = "move-leader",
    description = {
      "Let another node of the cluster lead a volume: one that has a replica of it and all that was",
      "written. Clients go on; their requests wait for a moment."
    },
    footer = {"", "Examples:", "  plinth volume move-leader demo --to 2"})
final class VolumeMoveLeaderCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Option(names = "--to", required = true, paramLabel = "NODE", description = "The node's number.")
  private int node;

  @Override
  public Integer call() {
    ObjectNode body = Json.object();
    body.put("node", node);
    JsonNode answer = options.client().post(AdminClient.volume(volume, "leader"), body);
    options.print(answer, out -> out.println("node " + node + " leads " + volume));
    return ExitCodes.OK;
  }
}
