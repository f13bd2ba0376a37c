package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** A volume is restored as it was at a time or a position of the log. */
class RestoreIT {
  private static final int MIB = 1 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aVolumeIsRestoredAsItWasBeforeTheAccident() throws Exception {
    PlinthProcess server = serve("");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      write(client, 0, 1);
      write(client, 40, 2);
      long position = history(server).get("position").longValue();
      assertThat(client.call(Nbd.TRIM, 0, 20 * MIB)).isZero();
      server.cli("volume", "snapshot", "create", "demo", "s");
      write(client, 10, 3);
      Instant time = aMomentThatIsOver();
      write(client, 0, 4);
      write(client, 40, 5);

      assertThat(server.cli("volume", "restore-at", "demo", Long.toString(position), "first"))
          .isEqualTo("created first, 64 MiB, as demo was at position " + position);
      assertThat(server.cli("volume", "restore-at", "demo", time.toString(), "second"))
          .startsWith("created second, 64 MiB, as demo was at 2");
      write(client, 40, 6);
    }
    for (int i = 0; i < 2; i++) {
      assertContent(server, "first", 0, 1);
      assertContent(server, "first", 40, 2);
      assertContent(server, "second", 0, 0);
      assertContent(server, "second", 10, 3);
      assertContent(server, "second", 40, 2);
      assertContent(server, "demo", 0, 4);
      assertContent(server, "demo", 40, 6);
      server.kill();
      server = serve("");
    }
    assertRefusals(server);
    server.cli("volume", "delete", "demo", "--force");
    assertContent(server, "first", 40, 2);
    assertThat(server.terminate()).isZero();
  }

  private static void assertRefusals(PlinthProcess server) throws Exception {
    assertFails(server.tryCli("volume", "restore-at", "none", "1", "x"), "no volume none");
    assertFails(
        server.tryCli("volume", "restore-at", "demo", "1", "first"), "first exists already");
    assertFails(
        server.tryCli("volume", "restore-at", "demo", "99999999", "x"),
        "position 99999999 is beyond the end of the log");
    assertFails(
        server.tryCli("volume", "restore-at", "demo", "2100-01-01T00:00:00Z", "x"),
        "2100-01-01T00:00:00Z has not come yet");
    assertFails(
        server.tryCli("volume", "restore-at", "demo", "2001-01-01T00:00:00Z", "x"),
        "can't restore volume demo: the log goes back to position ");
  }

  @Test
  void aRetentionKeepsTheLogOfAVolumeThatIsOverwritten() throws Exception {
    // A log of eight segments, of which six are filled; without a retention most of them are freed.
    PlinthProcess server = serve("[log]\ncapacity = \"1G\"\nretention = \"1h\"\n");
    long position;
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      write(client, 0, 1);
      position = history(server).get("position").longValue();
      for (int i = 2; i < 20; i++) {
        write(client, 0, i);
        write(client, 32, i);
      }
      assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
    }
    server.kill();
    server = serve("[log]\ncapacity = \"1G\"\nretention = \"1h\"\n");
    server.cli("volume", "restore-at", "demo", Long.toString(position), "old");
    assertContent(server, "old", 0, 1);
    assertContent(server, "old", 32, 0);
    assertThat(server.volume("demo").get("snapshots").intValue()).as("visible ones").isZero();
    // A full log comes before its history.
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      for (int i = 20; i < 60; i++) {
        write(client, 0, i);
        write(client, 32, i);
      }
    }
    assertThat(server.log()).contains("history is given up before its time");
    assertContent(server, "old", 0, 1);
    assertContent(server, "demo", 0, 59);
  }

  /** What is written in the millisecond of a time is part of it, and so must not follow in it. */
  private static Instant aMomentThatIsOver() {
    long now = System.currentTimeMillis();
    while (System.currentTimeMillis() <= now) {
      Thread.onSpinWait();
    }
    return Instant.ofEpochMilli(now);
  }

  private PlinthProcess serve(String config) throws Exception {
    Path file = Files.writeString(directory.resolve("plinth.toml"), config);
    return servers.serve(
        directory.resolve("data"), "--config", file.toString(), "--volume", "demo=64M");
  }

  private static JsonNode history(PlinthProcess server) throws Exception {
    return server.volume("demo").get("history");
  }

  /** Writes 20 MiB of a byte at a MiB. */
  private static void write(NbdClient client, int atMib, int value) throws Exception {
    for (int i = atMib; i < atMib + 20; i++) {
      assertThat(client.write((long) i * MIB, content(value))).isZero();
    }
  }

  private static void assertContent(PlinthProcess server, String volume, int atMib, int value)
      throws Exception {
    byte[] found = new byte[MIB];
    try (NbdClient client = NbdClient.connect(server.nbd(), volume)) {
      assertThat(client.read((long) atMib * MIB, found, MIB)).isZero();
      Bytes.assertSame(volume + " at " + atMib + " MiB", found, content(value));
    }
  }

  private static byte[] content(int value) {
    byte[] bytes = new byte[MIB];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  private static void assertFails(Shell.Result result, String message) {
    assertThat(result.exitCode()).as(result.output()).isEqualTo(1);
    assertThat(List.of(result.output())).allMatch(line -> line.contains(message), message);
  }
}
