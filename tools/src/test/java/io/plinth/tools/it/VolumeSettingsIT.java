package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Settings of volumes, as a person changes them and clients see them. */
class VolumeSettingsIT {
  private static final String DESCRIPTION = "mail, old \u00e9t\u00e9";

  @RegisterExtension final Servers servers = new Servers();

  private TlsKeys keys;

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private PlinthProcess serve(String... arguments) throws Exception {
    return servers.serve(directory.resolve("data"), arguments);
  }

  private PlinthProcess serveWithKeys(String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(arguments));
    if (keys == null) {
      keys = new TlsKeys(directory.resolve("keys"));
    }
    all.addAll(List.of("--tls-psk", keys.pskFile("alice").toString()));
    return serve(all.toArray(new String[0]));
  }

  /** Asks as alice: a volume that names who may attach is for them only. */
  private JsonNode info(PlinthProcess server, String volume) throws Exception {
    return JsonMapper.shared()
        .readTree(Shell.ok(20, "nbdinfo", "--json", uri(server, volume)))
        .at("/exports/0");
  }

  private String uri(PlinthProcess server, String volume) throws Exception {
    return keys.pskUri(server, volume, "alice", "alice");
  }

  private void assertSettings(PlinthProcess server) throws Exception {
    JsonNode demo = server.volume("demo");
    assertThat(demo.get("description").stringValue()).isEqualTo(DESCRIPTION);
    assertThat(demo.get("tls").stringValue()).isEqualTo("allowed");
    assertThat(demo.get("tls-allow")).hasSize(64);
    assertThat(demo.at("/tls-allow/62").stringValue()).isEqualTo(name(62));
    assertThat(demo.at("/tls-allow/63").stringValue()).isEqualTo("psk:alice");
    assertThat(info(server, "demo").get("description").stringValue()).isEqualTo(DESCRIPTION);
    assertThat(info(server, "demo@s1").get("description").stringValue()).isEqualTo(DESCRIPTION);
    JsonNode copy = server.volume("copy");
    assertThat(copy.get("description").isNull()).isTrue();
    assertThat(copy.get("tls").stringValue()).isEqualTo("allowed");
    assertThat(copy.get("tls-allow")).isEqualTo(demo.get("tls-allow"));
    assertThat(info(server, "copy").has("description")).isFalse();
    assertThat(server.volume("made").get("description").stringValue()).isEqualTo("made with it");
    assertThat(Shell.ok(20, "nbdinfo", "--list", uri(server, "")))
        .contains("description: " + DESCRIPTION, "description: made with it");
  }

  /** As long as a name may be, so that all of them take several blocks of the log. */
  private static String name(int i) {
    String prefix = "CN=client-" + i + "-";
    return prefix + "x".repeat(512 - prefix.length());
  }

  @Test
  void settingsAreSeenByClientsAndSurviveAKillAndACheckpoint() throws Exception {
    PlinthProcess server = serveWithKeys("--volume", "demo=64M");
    assertThat(info(server, "demo").has("description")).isFalse();
    List<String> set =
        new ArrayList<>(
            List.of("volume", "set", "demo", "--description", DESCRIPTION, "--tls", "allowed"));
    for (int i = 0; i < 63; i++) {
      set.addAll(List.of("--tls-allow", name(i)));
    }
    set.addAll(List.of("--tls-allow", "psk:alice"));
    assertThat(server.cli(set.toArray(new String[0])))
        .isEqualTo("changed description, tls, tls-allow of demo");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    server.cli("volume", "clone", "demo@s1", "copy");
    server.cli("volume", "create", "made", "1M", "--description", "made with it");
    assertSettings(server);
    server.kill();
    server = serveWithKeys();
    assertSettings(server);
    // An orderly stop leaves a checkpoint, and nothing to replay.
    assertThat(server.terminate()).isZero();
    server = serveWithKeys();
    assertSettings(server);

    server.cli("volume", "set", "demo", "--unset", "description", "--unset", "tls-allow");
    server.kill();
    server = serveWithKeys();
    assertThat(info(server, "demo").has("description")).isFalse();
    assertThat(server.volume("demo").get("tls-allow")).isEmpty();
    assertThat(server.volume("demo").get("tls").stringValue()).isEqualTo("allowed");
  }

  @Test
  void theConfigurationFileSetsThemWhenTheVolumeIsCreatedOnly() throws Exception {
    Path file = directory.resolve("plinth.toml");
    String text =
        """
        [[volume]]
        name = "demo"
        size = "64M"
        description = "FIRST"
        tls = "allowed"
        tls-allow = ["CN=backup,O=Example", "psk:alice"]
        """;
    Files.writeString(file, text);
    PlinthProcess server = serveWithKeys("--config", file.toString());
    assertThat(info(server, "demo").get("description").stringValue()).isEqualTo("FIRST");
    assertThat(server.volume("demo").get("tls-allow")).hasSize(2);
    assertThat(server.terminate()).isZero();
    Files.writeString(file, text.replace("FIRST", "second"));
    server = serveWithKeys("--config", file.toString());
    assertThat(info(server, "demo").get("description").stringValue()).isEqualTo("FIRST");
  }
}
