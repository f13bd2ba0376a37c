package io.plinth.tools.cli;

import io.plinth.target.admin.Sizes;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume create}. */
@Command(
    name = "create",
    description = "Create a volume. It has no space of its own until it is written to.",
    footer = {
      "",
      "Examples:",
      "  plinth volume create demo 1G",
      "  plinth volume create ledger 64GiB --flush-policy always --replicas 3",
      "  plinth volume create mail 100G --description 'mail of all' --tls required"
    })
final class VolumeCreateCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(
      index = "0",
      paramLabel = "NAME",
      description = "1 to 63 letters, digits, '.', '_', '-'.")
  private String name;

  @Parameters(
      index = "1",
      paramLabel = "SIZE",
      description =
          "Bytes, or with a unit K, M, G, T (powers of 1024); a multiple of 512, 4K to 64T.")
  private String size;

  @Option(
      names = "--flush-policy",
      paramLabel = "POLICY",
      defaultValue = "flush",
      description =
          "flush: like a disk with a volatile cache; always: every acknowledged write is durable"
              + " (default: ${DEFAULT-VALUE}).")
  private String flushPolicy;

  @Option(
      names = "--replicas",
      paramLabel = "N",
      description =
          "On how many nodes of the cluster: 1, 3 or 5 (default: 3, or fewer if there are no more).")
  private Integer replicas;

  @Mixin private SettingsOptions settings;

  @Override
  public Integer call() {
    VolumeSpec spec;
    SettingsChange change;
    try {
      change = settings.change(Set.of());
      spec =
          VolumeSpec.parse(
              name + "=" + size,
              FlushPolicy.parse(flushPolicy),
              change.applyTo(VolumeSettings.DEFAULT));
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    ObjectNode body = Json.object();
    body.put("name", spec.name());
    body.put("size", spec.sizeBytes());
    body.put("flushPolicy", spec.flushPolicy().word());
    if (replicas != null) {
      body.put("replicas", replicas);
    }
    SettingsOptions.put(body, change);
    JsonNode answer = options.client().post("/v1/volumes", body);
    VolumeInfo created = Json.convert(answer, VolumeInfo.class);
    options.print(
        answer,
        out -> out.println("created " + created.name() + ", " + Sizes.format(created.sizeBytes())));
    return ExitCodes.OK;
  }
}
