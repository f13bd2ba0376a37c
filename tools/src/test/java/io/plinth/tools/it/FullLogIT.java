package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.tools.nbd.Nbd;
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

  @Test
  void aFullExt4OnALoopDeviceIsAFullLog() throws Exception {
    try (Mount mount = Mount.ext4(directory.resolve("mnt"), 400L * MIB)) {
      fillAndUse(mount.path().resolve("data"));
    }
  }

  @Test
  void snapshotsFillAnExt4AndTheirDeletionMakesRoom() throws Exception {
    try (Mount mount = Mount.ext4(directory.resolve("mnt"), 700L * MIB)) {
      Path data = mount.path().resolve("data");
      PlinthProcess server = serve(data, List.of("--volume", "demo=64M"));
      int snapshots = 0;
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        while (overwrite(client, snapshots)) {
          server.cli("volume", "snapshot", "create", "demo", "s" + snapshots++);
          assertThat(snapshots).as("snapshots of 64 MiB in 700 MiB").isLessThan(12);
        }
        assertThat(snapshots).isGreaterThan(3);
        for (int i = 0; i < snapshots; i++) {
          assertSnapshot(server, i);
        }
        server.cli("volume", "snapshot", "delete", "demo", "s0");
        server.cli("volume", "snapshot", "delete", "demo", "s1");
        assertThat(overwrite(client, 100)).as("after two snapshots were deleted").isTrue();
        assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
      }
      server.kill();
      server = serve(data, List.of());
      for (int i = 2; i < snapshots; i++) {
        assertSnapshot(server, i);
        server.cli("volume", "snapshot", "delete", "demo", "s" + i);
      }
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        assertContent(client, 100);
        for (int i = 0; i < 10; i++) {
          assertThat(overwrite(client, i)).as("overwritten once more, without snapshots").isTrue();
        }
        assertContent(client, 9);
      }
      assertThat(server.terminate()).isZero();
    }
  }

  /** Writes all of a volume of 64 MiB; false when the log is full. */
  private static boolean overwrite(NbdClient client, int version) throws Exception {
    for (int i = 0; i < 64; i++) {
      int error = client.write((long) i * MIB, content(version * 64 + i));
      if (error != 0) {
        assertThat(error).isEqualTo(Nbd.ENOSPC);
        return false;
      }
    }
    return true;
  }

  private static void assertSnapshot(PlinthProcess server, int number) throws Exception {
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo@s" + number)) {
      assertContent(client, number);
    }
  }

  private static void assertContent(NbdClient client, int version) throws Exception {
    byte[] buffer = new byte[MIB];
    for (int i = 0; i < 64; i++) {
      assertThat(client.read((long) i * MIB, buffer, MIB)).isZero();
      Bytes.assertSame("MiB " + i + " of " + version, buffer, content(version * 64 + i));
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
      assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
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
    assertThat(client.call(Nbd.TRIM, 0, (TRIMMED - 1) * MIB)).isZero();
    assertThat(client.call(Nbd.WRITE_ZEROES, (TRIMMED - 1L) * MIB, MIB)).isZero();
    assertThat(client.read(0, buffer, MIB)).isZero();
    Bytes.assertZero("what was trimmed", buffer);
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
        assertThat(error).isEqualTo(Nbd.ENOSPC);
        return i - first;
      }
    }
    throw new AssertionError("1 GiB fits a log of half of that");
  }

  private static void assertReadable(NbdClient client, int first, int count) throws Exception {
    byte[] buffer = new byte[MIB];
    for (int i = first; i < first + count; i++) {
      assertThat(client.read((long) i * MIB, buffer, MIB)).isZero();
      Bytes.assertSame("MiB " + i, buffer, content(i));
    }
  }

  private static byte[] content(int number) {
    byte[] bytes = new byte[MIB];
    new SplittableRandom(number).nextBytes(bytes);
    return bytes;
  }
}
