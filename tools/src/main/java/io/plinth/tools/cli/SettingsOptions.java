package io.plinth.tools.cli;

import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The settings of a volume, as options. */
final class SettingsOptions {
  @Option(
      names = "--description",
      paramLabel = "TEXT",
      description = "What it is for; clients that list volumes see it. At most 1024 bytes.")
  private String description;

  @Option(
      names = "--tls",
      paramLabel = "MODE",
      description =
          "Whether clients encrypt: off, allowed or required. Unset: as the server has it.")
  private String tls;

  @Option(
      names = "--tls-allow",
      paramLabel = "DN",
      description = {
        "Distinguished name of a client that may attach with TLS, such as CN=backup,O=Example.",
        "Repeatable; replaces those before. Unset: every client whose certificate is good."
      })
  private List<String> tlsAllow = List.of();

  /**
   * Returns what is given.
   *
   * @param unset what is to be unset besides
   */
  SettingsChange change(Set<SettingsChange.Key> unset) {
    EnumSet<SettingsChange.Key> keys = EnumSet.noneOf(SettingsChange.Key.class);
    if (description != null) {
      keys.add(SettingsChange.Key.DESCRIPTION);
    }
    if (tls != null) {
      keys.add(SettingsChange.Key.TLS);
    }
    if (!tlsAllow.isEmpty()) {
      keys.add(SettingsChange.Key.TLS_ALLOW);
    }
    for (SettingsChange.Key key : unset) {
      if (!keys.add(key)) {
        throw CliException.usage(
            "--unset " + key.word() + " and --" + key.word() + " exclude each other", null);
      }
    }
    return new SettingsChange(
        keys,
        new VolumeSettings(
            description == null ? "" : description,
            Optional.ofNullable(tls).map(TlsMode::parse),
            tlsAllow));
  }

  /** Adds a change to the body of a request. */
  static void put(ObjectNode body, SettingsChange change) {
    VolumeSettings values = change.values();
    for (SettingsChange.Key key : change.keys()) {
      switch (key) {
        case DESCRIPTION -> body.put(key.word(), values.description());
        case TLS -> body.put(key.word(), values.tls().map(TlsMode::word).orElse(null));
        case TLS_ALLOW -> {
          ArrayNode names = body.putArray(key.word());
          values.tlsAllow().forEach(names::add);
        }
      }
    }
  }
}
