package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeSpec;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume resize}. */
@Command(
    name = "resize",
    description = "Grow or shrink a volume. Clients see the new size when they attach again.",
    footer = {
      "",
      "Examples:",
      "  plinth volume resize demo 2G",
      "  plinth volume resize demo 512M --force"
    })
final class VolumeResizeCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Parameters(
      index = "1",
      paramLabel = "SIZE",
      description =
          "Bytes, or with a unit K, M, G, T (powers of 1024); a multiple of 512, 4K to 64T.")
  private String size;

  @Option(
      names = "--force",
      description = "Cut off data beyond the new end; without it a volume with data there stays.")
  private boolean force;

  @Override
  public Integer call() {
    ObjectNode body = Json.object();
    try {
      long sizeBytes = Sizes.parse(size);
      VolumeSpec.checkSize(sizeBytes);
      body.put("size", sizeBytes);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    body.put("force", force);
    JsonNode answer = options.client().post(AdminClient.volume(volume, "resize"), body);
    VolumeInfo now = Json.convert(answer, VolumeInfo.class);
    options.print(
        answer, out -> out.println("resized " + volume + " to " + Sizes.format(now.sizeBytes())));
    return ExitCodes.OK;
  }
}
