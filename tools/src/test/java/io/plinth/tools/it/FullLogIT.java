package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** A log without room fails writes and goes on with everything else (guarantee G8). */
class FullLogIT {
  private static final int MIB = 1 << 20;

  private static final int TRIMMED = 60;
  private static final int REWRITTEN = 30;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void writesGetEnospcAndReadsTrimAndDeleteStillWork() throws Exception {
    Path config =
        Files.writeString(
            directory.resolve("plinth.toml"),
            "[log]\nsegment-size = \"64M\"\ncapacity = \"512M\"\n");
    fillAndUse(directory.resolve("data"), "--config", config.toString());
  }

  @Test
  void aFullFileSystemIsAFullLog() throws Exception {
    try (Mount mount = Mount.tmpfs(directory.resolve("mnt"), 300L * MIB)) {
      fillAndUse(mount.path().resolve("data"));
    }
  }

  private void fillAndUse(Path data, String... arguments) throws Exception {
    List<String> withVolumes = new ArrayList<>(List.of(arguments));
    withVolumes.addAll(List.of("--volume", "demo=1G", "--volume", "other=64M"));
    PlinthProcess server = serve(data, withVolumes);
    int written;
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      written = fill(client, 0);
      assertThat(written).as("MiB written before ENOSPC").isBetween(100, 448);
      assertReadable(client, 0, written);
      assertThat(client.call(NbdClient.FLUSH, 0, 0)).isZero();
      assertSpaceComesBack(client, written);
    }
    assertThat(server.volume("demo").get("mappedBytes").asLong())
        .isEqualTo((written - TRIMMED + REWRITTEN) * (long) MIB);
    server.cli("volume", "delete", "other");
    assertThat(server.isAlive()).isTrue();
    assertThat(server.terminate()).isZero();

    PlinthProcess again = serve(data, List.of(arguments));
    try (NbdClient client = NbdClient.connect(again.nbd(), "demo")) {
      assertReadable(client, 0, REWRITTEN);
      assertReadable(client, TRIMMED, written - TRIMMED);
      assertThat(fill(client, written)).as("MiB until it is full again").isPositive();
    }
    assertThat(again.terminate()).isZero();
  }

  /** Without a restart: what was trimmed can be written again, and not much more. */
  private static void assertSpaceComesBack(NbdClient client, int written) throws Exception {
    byte[] buffer = new byte[MIB];
    assertThat(client.call(NbdClient.TRIM, 0, (TRIMMED - 1) * MIB)).isZero();
    assertThat(client.call(NbdClient.WRITE_ZEROES, (TRIMMED - 1L) * MIB, MIB)).isZero();
    assertThat(client.read(0, buffer, MIB)).isZero();
    assertThat(buffer).containsOnly(0);
    for (int i = 0; i < REWRITTEN; i++) {
      assertThat(client.write((long) i * MIB, content(i))).as("MiB %s after the trim", i).isZero();
    }
    assertReadable(client, 0, REWRITTEN);
    assertReadable(client, TRIMMED, written - TRIMMED);
  }

  private PlinthProcess serve(Path data, List<String> arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of("serve", "--data", data.toString()));
    all.addAll(List.of("--nbd", "127.0.0.1:0", "--admin", "127.0.0.1:0"));
    all.addAll(arguments);
    Path log = Files.createTempFile(directory, "server", ".log");
    PlinthProcess server = servers.exactly(log, all.toArray(String[]::new));
    server.readyLine();
    return server;
  }

  /** Writes from a MiB on until the log is full; returns how many MiB were taken. */
  private static int fill(NbdClient client, int first) throws Exception {
    for (int i = first; i < 1024; i++) {
      int error = client.write((long) i * MIB, content(i));
      if (error != 0) {
        assertThat(error).isEqualTo(NbdClient.ENOSPC);
        return i - first;
      }
    }
    throw new AssertionError("1 GiB fits a log of half of that");
  }

  private static void assertReadable(NbdClient client, int first, int count) throws Exception {
    byte[] buffer = new byte[MIB];
    for (int i = first; i < first + count; i++) {
      assertThat(client.read((long) i * MIB, buffer, MIB)).isZero();
      assertThat(buffer).as("MiB %s", i).isEqualTo(content(i));
    }
  }

  private static byte[] content(int number) {
    byte[] bytes = new byte[MIB];
    new SplittableRandom(number).nextBytes(bytes);
    return bytes;
  }
}
