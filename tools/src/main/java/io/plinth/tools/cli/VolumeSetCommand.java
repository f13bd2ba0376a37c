package io.plinth.tools.cli;

import io.plinth.target.volume.SettingsChange;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code plinth volume set}. */
@Command(
    name = "set",
    description = "Change settings of a volume. Clients that are attached stay.",
    footer = {
      "",
      "Examples:",
      "  plinth volume set demo --description 'mail of the old server'",
      "  plinth volume set demo --tls required --tls-allow CN=backup,O=Example",
      "  plinth volume set demo --unset tls-allow --unset description"
    })
final class VolumeSetCommand implements Callable<Integer> {
  @Mixin private ClientOptions options;

  @Parameters(index = "0", paramLabel = "VOLUME", description = "The volume.")
  private String volume;

  @Mixin private SettingsOptions settings;

  @Option(
      names = "--unset",
      paramLabel = "KEY",
      description = "Set nothing for description, tls or tls-allow any more. Repeatable.")
  private List<String> unset = List.of();

  @Override
  public Integer call() {
    SettingsChange change;
    try {
      EnumSet<SettingsChange.Key> keys = EnumSet.noneOf(SettingsChange.Key.class);
      unset.forEach(word -> keys.add(SettingsChange.Key.parse(word)));
      change = settings.change(keys);
    } catch (IllegalArgumentException e) {
      throw CliException.usage(e.getMessage(), e);
    }
    if (change.keys().isEmpty()) {
      throw CliException.usage(
          "nothing to set: give --description, --tls, --tls-allow or --unset", null);
    }
    ObjectNode body = Json.object();
    SettingsOptions.put(body, change);
    JsonNode answer = options.client().patch(AdminClient.volume(volume), body);
    options.print(
        answer,
        out ->
            out.println(
                "changed "
                    + String.join(
                        ", ", change.keys().stream().map(SettingsChange.Key::word).toList())
                    + " of "
                    + volume));
    return ExitCodes.OK;
  }
}
