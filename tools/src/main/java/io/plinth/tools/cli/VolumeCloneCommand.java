package io.plinth.tools.cli;

import io.plinth.target.admin.CloneSpec;
import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.volume.FlushPolicy;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume clone}. */
@Command(
    name = "clone",
    description = {
      "Create a volume with the content of another one, or of a snapshot. It is there at once,",
      "shares what neither has changed since, and either can be deleted without the other."
    },
    footer = {
      "",
      "Examples:",
      "  plinth volume clone demo copy",
      "  plinth volume clone demo@monday monday-again --flush-policy always"
    })
final class VolumeCloneCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(
      index = "0",
      paramLabel = "SOURCE[@SNAPSHOT]",
      description = "A volume as it is now, or one of its snapshots.")
  private String source;

  @Parameters(
      index = "1",
      paramLabel = "NEW",
      description = "The new volume's name: 1 to 63 letters, digits, '.', '_', '-'.")
  private String name;

  @Option(
      names = "--flush-policy",
      paramLabel = "POLICY",
      description = "flush or always (default: that of the source).")
  private String flushPolicy;

  @Override
  public Integer call() {
    CloneSpec spec;
    try {
      spec = new CloneSpec(name, source, Optional.ofNullable(flushPolicy).map(FlushPolicy::parse));
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    ObjectNode body = Json.object();
    body.put("name", spec.name());
    body.put("clone-of", spec.source());
    spec.flushPolicy().ifPresent(policy -> body.put("flushPolicy", policy.word()));
    JsonNode answer = options.client().post("/v1/volumes", body);
    VolumeInfo created = Json.convert(answer, VolumeInfo.class);
    options.print(
        answer,
        out ->
            out.println(
                "created "
                    + created.name()
                    + ", "
                    + Sizes.format(created.sizeBytes())
                    + ", from "
                    + source));
    return ExitCodes.OK;
  }
}
