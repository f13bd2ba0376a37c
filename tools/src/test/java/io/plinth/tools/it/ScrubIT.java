package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A person who looks for rotten blocks finds them, and gets rid of them. */
class ScrubIT {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 64;
  private static final int DAMAGED = 17;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aRottenBlockIsFoundByAScrubUntilNobodyHasItAnyMore() throws Exception {
    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      for (int i = 0; i < BLOCKS; i++) {
        assertThat(client.write((long) i * BLOCK, pattern(i))).isZero();
      }
    }
    server.cli("volume", "snapshot", "create", "demo", "s");
    assertThat(server.cli("scrub", "start", "--wait"))
        .containsPattern("log-0 last +completed .* nothing damaged");
    assertThat(server.terminate()).isZero();
    long place = Rot.flip(data(), pattern(DAMAGED));

    server = serve();
    String line = "log-0 +0 +" + place + " +does not match its checksum +";
    Shell.Result found = server.tryCli("scrub", "start", "--wait");
    assertThat(found.exitCode()).as(found.output()).isEqualTo(1);
    assertThat(found.output())
        .containsPattern("log-0 last +completed .* damaged blocks: 1\n")
        .containsPattern(line + "demo block 17, demo@s block 17$");
    assertThat(server.log())
        .containsPattern("log-0 segment 0 offset " + place + " does not match its checksum");

    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      byte[] data = new byte[BLOCK];
      assertThat(client.read((long) DAMAGED * BLOCK, data, BLOCK)).isEqualTo(Nbd.EIO);
      assertThat(client.write((long) DAMAGED * BLOCK, pattern(1000))).isZero();
      assertThat(client.read((long) DAMAGED * BLOCK, data, BLOCK)).isZero();
    }
    // It is still the snapshot's.
    assertThat(server.cli("scrub", "status")).containsPattern(line + "demo@s block 17$");
    assertThat(server.tryCli("scrub", "start", "--wait").exitCode()).isEqualTo(1);
    server.cli("volume", "snapshot", "delete", "demo", "s");
    assertThat(server.cli("scrub", "start", "--wait"))
        .containsPattern("log-0 last +completed .* nothing damaged")
        .doesNotContain("does not match");
    assertThat(server.log().lines().filter(text -> text.contains("offset " + place + " does not")))
        .as("told once by the scrub and once by the read")
        .hasSize(2);
    assertThat(server.terminate()).isZero();
  }

  @Test
  void aScrubIsStoppedAndSwitchedOff() throws Exception {
    Path config = directory.resolve("plinth.toml");
    Files.writeString(config, "[log]\nscrub-rate = \"64K\"\nscrub-interval = \"1d\"\n");
    PlinthProcess server =
        servers.serve(data(), "--config", config.toString(), "--volume", "demo=64M");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      for (int i = 0; i < BLOCKS; i++) {
        assertThat(client.write((long) i * BLOCK, pattern(i))).isZero();
      }
    }
    JsonNode idle = json(server.cli("scrub", "status", "--json"));
    assertThat(idle.get("state").stringValue()).isEqualTo("idle");
    assertThat(idle.at("/logs/0/bytesPerSecond").intValue()).isEqualTo(64 << 10);
    assertThat(idle.at("/logs/0/intervalS").intValue()).isEqualTo(86_400);
    JsonNode running = json(server.cli("scrub", "start", "--json"));
    assertThat(running.get("state").stringValue()).isEqualTo("running");
    assertThat(running.at("/logs/0/current/bytesTotal").intValue()).isGreaterThan(BLOCKS * BLOCK);
    JsonNode stopped = json(server.cli("scrub", "stop", "--json"));
    assertThat(stopped.get("state").stringValue()).isEqualTo("idle");
    assertThat(stopped.at("/logs/0/last/complete").booleanValue()).isFalse();
    assertThat(server.terminate()).isZero();

    Files.writeString(config, "[log]\nscrub-rate = 0\n");
    server = servers.serve(data(), "--config", config.toString());
    Shell.Result refused = server.tryCli("scrub", "start");
    assertThat(refused.exitCode()).isEqualTo(1);
    assertThat(refused.output()).contains("scrubs are switched off: log.scrub-rate is 0");
    assertThat(json(server.cli("scrub", "status", "--json")).get("state").stringValue())
        .isEqualTo("off");
    assertThat(server.terminate()).isZero();
  }

  @Test
  void aVolumeTellsWhatItsDeletionWouldGiveBack() throws Exception {
    PlinthProcess server = serve();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      assertThat(client.write(0, new byte[256 * BLOCK])).isZero();
      server.cli("volume", "snapshot", "create", "demo", "s");
      assertThat(client.write(0, new byte[64 * BLOCK])).isZero();
    }
    server.cli("volume", "clone", "demo", "copy");
    JsonNode demo = server.volume("demo");
    assertThat(demo.get("mappedBytes").intValue()).isEqualTo(256 * BLOCK);
    assertThat(demo.at("/space/uniqueBytes").intValue()).isZero();
    assertThat(demo.at("/space/sharedBytes").intValue()).isEqualTo(256 * BLOCK);
    assertThat(demo.at("/space/exact").booleanValue()).isTrue();
    server.cli("volume", "delete", "copy");
    assertThat(server.cli("volume", "show", "demo"))
        .containsPattern("mapped +1 MiB ")
        .containsPattern("unique +256 KiB ")
        .containsPattern("shared +768 KiB ");
    assertThat(server.cli("volume", "snapshot", "list", "demo"))
        .containsPattern("s +[0-9TZ:-]+ +64 MiB +1 MiB +256 KiB +0");
    assertThat(server.terminate()).isZero();
    Shell.Result inspected =
        Shell.run(
            60,
            "env",
            "PLINTH_NO_BUILD=1",
            PlinthProcess.root().resolve("scripts/plinth").toString(),
            "inspect",
            data().toString(),
            "--json");
    assertThat(inspected.exitCode()).as(inspected.output()).isZero();
    JsonNode trees = json(inspected.output()).at("/logs/0/volumes");
    assertThat(trees.get(0).get("uniqueBytes").intValue()).isEqualTo(64 * BLOCK);
    assertThat(trees.get(1).get("uniqueBytes").intValue()).isEqualTo(64 * BLOCK);
  }

  private PlinthProcess serve() throws Exception {
    return servers.serve(data(), "--volume", "demo=64M");
  }

  private Path data() {
    return directory.resolve("data");
  }

  private static JsonNode json(String text) {
    return JsonMapper.shared().readTree(text);
  }

  private static byte[] pattern(int number) {
    byte[] block = new byte[BLOCK];
    new SplittableRandom(number).nextBytes(block);
    return block;
  }
}
