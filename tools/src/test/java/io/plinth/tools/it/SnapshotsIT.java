package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Snapshots, clones, rollback and resize, as a person and real clients use them. */
class SnapshotsIT {
  private static final int MIB = 1 << 20;
  private static final int EPERM = 1;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aSnapshotUnderLoadHoldsWhatWasAcknowledgedAndOnlyWholeWrites() throws Exception {
    int volumeBytes = 64 * MIB;
    PlinthProcess server = serve("demo=64M");
    StripeLoad load = StripeLoad.start(server.nbd(), "demo", volumeBytes, 3);
    // So many that most stripes were written, some of them more than once.
    assertThat(load.writes().tryAcquire(3000, 120, TimeUnit.SECONDS)).isTrue();
    final long[] before = load.acknowledged();
    server.cli("volume", "snapshot", "create", "demo", "s1");
    final long[] after = load.begun();
    final byte[] underLoad = copyOf(server, "demo@s1");
    // Everything is overwritten twice at least, so that sharing the wrong thing would show.
    assertThat(load.writes().tryAcquire(6000, 120, TimeUnit.SECONDS)).isTrue();
    assertThat(load.stop()).isEmpty();

    assertThat(StripeLoad.judge(ByteBuffer.wrap(underLoad), before, after)).isEmpty();
    Bytes.assertSame("the snapshot later", copyOf(server, "demo@s1"), underLoad);
    byte[] now = copyOf(server, "demo");
    assertThat(StripeLoad.judge(ByteBuffer.wrap(now), load.acknowledged(), load.begun())).isEmpty();

    server.kill();
    PlinthProcess again = serve();
    Bytes.assertSame("the snapshot after kill -9", copyOf(again, "demo@s1"), underLoad);
    Bytes.assertSame("the volume after kill -9", copyOf(again, "demo"), now);
  }

  @Test
  void nbdinfoShowsASnapshotAsAReadOnlyExport() throws Exception {
    PlinthProcess server = serve("demo=1G");
    write(server, "demo", 0xaa, "1M", "1M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 0xbb, "3M", "1M");
    server.cli("volume", "resize", "demo", "2G");
    assertThat(Shell.ok(20, "nbdinfo", server.uri("demo@s1")))
        .contains("export-size: 1073741824", "is_read_only: true", "can_multi_conn: true")
        .contains("can_trim: false", "can_zero: false", "base:allocation");
    assertThat(Shell.ok(20, "nbdinfo", server.uri("demo")))
        .contains("export-size: 2147483648", "is_read_only: false");
    assertThat(map(server, "demo@s1"))
        .containsExactly(
            "0 1048576 3 hole,zero", "1048576 1048576 0 data", "2097152 1071644672 3 hole,zero");
    assertThat(Shell.run(20, "nbdinfo", server.uri("demo@none")).exitCode()).isNotZero();
    assertThat(Shell.run(20, "nbdinfo", server.uri("none@s1")).exitCode()).isNotZero();
  }

  @Test
  void aSnapshotTakesNoWrites() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "0", "1M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo@s1")) {
      assertThat(client.write(0, new byte[4096])).isEqualTo(EPERM);
      assertThat(client.call(Nbd.TRIM, 0, 4096)).isEqualTo(EPERM);
      assertThat(client.call(Nbd.WRITE_ZEROES, 0, 4096)).isEqualTo(EPERM);
      assertThat(client.call(Nbd.FLUSH, 0, 0)).isZero();
    }
    assertThat(qemuIo(server, "demo@s1", "write -P 1 0 4k").exitCode()).isNotZero();
    assertPattern(server, "demo@s1", 0xaa, "0", "1M");
  }

  @Test
  void aCloneIsWrittenToWithoutItsOriginChanging() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "0", "8M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 0xbb, "4M", "4M");
    assertThat(server.cli("volume", "clone", "demo@s1", "old"))
        .isEqualTo("created old, 64 MiB, from demo@s1");
    server.cli("volume", "clone", "demo", "new", "--flush-policy", "always");
    write(server, "old", 0x11, "2M", "4M");
    write(server, "new", 0x22, "6M", "4M");

    assertClones(server);
    assertThat(server.volume("new").get("flushPolicy").stringValue()).isEqualTo("always");
    assertThat(server.volume("new").get("mappedBytes").longValue()).isEqualTo(10L * MIB);
    assertFails(server.tryCli("volume", "clone", "demo@none", "x"), "demo has no snapshot none");
    assertFails(server.tryCli("volume", "clone", "demo", "old"), "old exists already");

    server.kill();
    server = serve();
    assertClones(server);

    // What a clone is made of stays when its origin goes.
    server.cli("volume", "snapshot", "delete", "demo", "s1");
    server.cli("volume", "delete", "demo");
    assertPattern(server, "old", 0xaa, "0", "2M");
    assertPattern(server, "old", 0x11, "2M", "4M");
    assertThat(server.terminate()).isZero();
    server = serve();
    assertPattern(server, "old", 0xaa, "6M", "2M");
    assertPattern(server, "new", 0xbb, "4M", "2M");
    assertPattern(server, "new", 0x22, "6M", "4M");
    assertThat(list(server)).containsExactly("new", "old");
  }

  private void assertClones(PlinthProcess server) throws Exception {
    assertPattern(server, "demo", 0xaa, "0", "4M");
    assertPattern(server, "demo", 0xbb, "4M", "4M");
    assertPattern(server, "demo", 0, "8M", "56M");
    assertPattern(server, "demo@s1", 0xaa, "0", "8M");
    assertPattern(server, "old", 0xaa, "0", "2M");
    assertPattern(server, "old", 0x11, "2M", "4M");
    assertPattern(server, "old", 0xaa, "6M", "2M");
    assertPattern(server, "new", 0xaa, "0", "4M");
    assertPattern(server, "new", 0xbb, "4M", "2M");
    assertPattern(server, "new", 0x22, "6M", "4M");
  }

  @Test
  void aRollbackIsRefusedWhileClientsAreAttachedAndForcedAllTheSame() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "0", "8M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 0xbb, "4M", "8M");
    server.cli("volume", "snapshot", "create", "demo", "s2");
    assertThat(qemuIo(server, "demo", "discard 0 2M").exitCode()).isZero();
    server.cli("volume", "resize", "demo", "128M");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      assertThat(client.sizeBytes()).isEqualTo(128 * MIB);
      assertFails(
          server.tryCli("volume", "rollback", "demo", "s1"), "demo is in use by 1 connections");
      assertThat(client.write(0, new byte[4096])).as("the client goes on").isZero();
      assertThat(server.cli("volume", "rollback", "demo", "s1", "--force"))
          .isEqualTo("rolled demo back to s1, 64 MiB");
      assertThat(client.drainToEnd()).as("disconnected").isZero();
    }
    assertPattern(server, "demo", 0xaa, "0", "8M");
    assertPattern(server, "demo", 0, "8M", "56M");
    assertFails(server.tryCli("volume", "rollback", "demo", "none"), "demo has no snapshot none");

    // Newer snapshots are still there, and forwards again is possible.
    server.kill();
    server = serve();
    assertThat(Shell.ok(20, "nbdinfo", "--size", server.uri("demo"))).isEqualTo("67108864");
    assertPattern(server, "demo", 0xaa, "0", "8M");
    assertPattern(server, "demo", 0, "8M", "56M");
    server.cli("volume", "rollback", "demo", "s2");
    assertPattern(server, "demo", 0xaa, "0", "4M");
    assertPattern(server, "demo", 0xbb, "4M", "8M");
    assertPattern(server, "demo", 0, "12M", "52M");
  }

  @Test
  void aVolumeGrowsAndShrinksAndDoesNotLoseDataUnlessForced() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "60M", "4M");
    assertThat(server.cli("volume", "resize", "demo", "8G")).isEqualTo("resized demo to 8 GiB");
    write(server, "demo", 0xbb, "6G", "1M");
    assertFails(
        server.tryCli("volume", "resize", "demo", "4G"), "demo has data beyond 4294967296 bytes");
    assertThat(qemuIo(server, "demo", "discard 6G 1M").exitCode()).isZero();
    server.cli("volume", "resize", "demo", "4G");
    assertFails(
        server.tryCli("volume", "resize", "demo", "65009664", "--force"),
        "bad volume size 65009664: a volume shrinks to multiples of 4096 bytes only");
    assertThat(server.cli("volume", "resize", "demo", "62M", "--force"))
        .isEqualTo("resized demo to 62 MiB");
    server.kill();
    server = serve();
    assertThat(Shell.ok(20, "nbdinfo", "--size", server.uri("demo"))).isEqualTo("65011712");
    assertPattern(server, "demo", 0xaa, "60M", "2M");
    assertThat(server.volume("demo").get("mappedBytes").longValue()).isEqualTo(2L * MIB);
    server.cli("volume", "resize", "demo", "64M");
    assertPattern(server, "demo", 0, "62M", "2M");
    assertFails(server.tryCli("volume", "resize", "none", "64M"), "there is no volume none");
  }

  @Test
  void aClientOfAShrunkVolumeIsToldSo() throws Exception {
    PlinthProcess server = serve("demo=64M");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      server.cli("volume", "resize", "demo", "32M");
      assertThat(client.write(48L * MIB, new byte[4096])).isEqualTo(Nbd.ENOSPC);
      assertThat(client.read(48L * MIB, new byte[4096], 4096)).isEqualTo(Nbd.EINVAL);
      assertThat(client.write(16L * MIB, new byte[4096])).isZero();
    }
  }

  @Test
  void aVolumeWithSnapshotsIsDeletedOnlyByForce() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "0", "8M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    server.cli("volume", "snapshot", "create", "demo", "s2");
    assertFails(server.tryCli("volume", "snapshot", "create", "demo", "s2"), "snapshot s2 already");
    assertFails(server.tryCli("volume", "delete", "demo"), "demo has 2 snapshots");
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo@s2")) {
      assertFails(
          server.tryCli("volume", "snapshot", "delete", "demo", "s2"),
          "s2 is in use by 1 connections");
      JsonNode snapshots = snapshots(server);
      assertThat(snapshots).hasSize(2);
      assertThat(snapshots.get(1).get("connections").intValue()).isEqualTo(1);
      assertThat(snapshots.get(0).get("mappedBytes").longValue()).isEqualTo(8L * MIB);
      assertThat(System.currentTimeMillis() - snapshots.get(0).get("createdMs").longValue())
          .as("age of the snapshot")
          .isBetween(0L, TimeUnit.MINUTES.toMillis(10));
      server.cli("volume", "snapshot", "delete", "demo", "s2", "--force");
      assertThat(client.drainToEnd()).as("disconnected").isZero();
    }
    server.kill();
    server = serve();
    assertThat(snapshots(server)).hasSize(1);
    assertThat(server.volume("demo").get("snapshots").intValue()).isEqualTo(1);
    assertFails(server.tryCli("volume", "delete", "demo"), "demo has 1 snapshots");
    server.cli("volume", "delete", "demo", "--force");
    PlinthProcess gone = server;
    assertThatThrownBy(() -> NbdClient.connect(gone.nbd(), "demo@s1").close())
        .isInstanceOf(IOException.class);
    server.kill();
    assertThat(list(serve())).isEmpty();
  }

  @Test
  void whatHasChangedMakesAnOldCopyTheNewOne() throws Exception {
    PlinthProcess server = serve("demo=256M");
    write(server, "demo", 0xaa, "0", "8M");
    write(server, "demo", 0xab, "100M", "64k");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    assertThat(server.cli("volume", "diff", "demo", "s1")).isEqualTo("nothing has changed");
    final byte[] old = copyOf(server, "demo@s1");
    write(server, "demo", 0xbb, "1M", "512k");
    assertThat(qemuIo(server, "demo", "discard 1536k 256k").exitCode()).isZero();
    // Parts of blocks at both ends: the whole blocks count.
    write(server, "demo", 0xcc, "3073k", "6k");
    write(server, "demo", 0xdd, "255M", "1M");
    // Trimmed already, or never written: nothing changes.
    assertThat(qemuIo(server, "demo", "discard 200M 1M").exitCode()).isZero();
    server.cli("volume", "snapshot", "create", "demo", "s2");
    assertThat(qemuIo(server, "demo", "discard 0 256M").exitCode()).isZero();
    server.cli("volume", "resize", "demo", "32M");

    assertThat(server.cli("volume", "diff", "demo", "s1", "s2"))
        .isEqualTo(
            """
            OFFSET     LENGTH  KIND
              1048576     524288  data
              1572864     262144  zero
              3145728       8192  data
            267386880    1048576  data\
            """);
    JsonNode extents = json(server, "volume", "diff", "demo", "s1", "s2", "--json").get("extents");
    Path file = Files.write(directory.resolve("backup"), old);
    for (JsonNode extent : extents) {
      patch(server, "demo@s2", file, extent);
    }
    Bytes.assertSame("the backup", Files.readAllBytes(file), copyOf(server, "demo@s2"));
    assertThat(server.cli("volume", "diff", "demo", "s1"))
        .as("everything trimmed, and cut off at 32 MiB")
        .isEqualTo("OFFSET    LENGTH  KIND\n       0   8388608  zero");
    assertFails(server.tryCli("volume", "diff", "demo", "s3"), "demo has no snapshot s3");

    server.kill();
    server = serve();
    assertThat(json(server, "volume", "diff", "demo", "s1", "s2", "--json").get("extents"))
        .isEqualTo(extents);
  }

  private static void patch(PlinthProcess server, String export, Path file, JsonNode extent)
      throws Exception {
    long offset = extent.get("offset").longValue();
    byte[] bytes = new byte[extent.get("length").intValue()];
    if (extent.get("kind").stringValue().equals("data")) {
      try (NbdClient client = NbdClient.connect(server.nbd(), export)) {
        assertThat(client.read(offset, bytes, bytes.length)).isZero();
      }
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      assertThat(channel.write(ByteBuffer.wrap(bytes), offset)).isEqualTo(bytes.length);
    }
  }

  @Test
  void everythingIsThereAfterAnOrderlyStopAndAKill() throws Exception {
    PlinthProcess server = serve("demo=64M");
    write(server, "demo", 0xaa, "0", "8M");
    server.cli("volume", "snapshot", "create", "demo", "s1");
    write(server, "demo", 0xbb, "0", "4M");
    // An orderly stop writes a checkpoint; what follows is replayed on top of it.
    assertThat(server.terminate()).isZero();
    server = serve();
    server.cli("volume", "clone", "demo@s1", "copy");
    server.cli("volume", "snapshot", "create", "copy", "s1");
    write(server, "copy", 0xcc, "6M", "4M");
    write(server, "demo", 0xdd, "2M", "4M");
    server.cli("volume", "snapshot", "create", "demo", "s2");
    server.cli("volume", "snapshot", "delete", "demo", "s1");
    server.kill();
    server = serve();
    for (int i = 0; i < 2; i++) {
      assertPattern(server, "demo", 0xbb, "0", "2M");
      assertPattern(server, "demo@s2", 0xdd, "2M", "4M");
      assertPattern(server, "demo@s2", 0xaa, "6M", "2M");
      assertPattern(server, "copy", 0xaa, "0", "6M");
      assertPattern(server, "copy", 0xcc, "6M", "4M");
      assertPattern(server, "copy@s1", 0xaa, "0", "8M");
      assertThat(server.volume("copy").get("snapshots").intValue()).isEqualTo(1);
      assertThat(server.status().at("/logs/0/segmentsInUse").intValue()).isPositive();
      assertThat(server.status().at("/logs/0/liveBytes").longValue()).isGreaterThan(16L * MIB);
      assertThat(server.terminate()).isZero();
      server = serve();
    }
  }

  private PlinthProcess serve(String... volumes) throws IOException, InterruptedException {
    String[] arguments =
        List.of(volumes).stream()
            .flatMap(volume -> List.of("--volume", volume).stream())
            .toArray(String[]::new);
    return servers.serve(directory.resolve("data"), arguments);
  }

  private static void write(
      PlinthProcess server, String export, int pattern, String offset, String length)
      throws Exception {
    Shell.Result result =
        qemuIo(
            server,
            export,
            "write -P 0x" + Integer.toHexString(pattern) + " " + offset + " " + length);
    assertThat(result.exitCode()).as(result.output()).isZero();
  }

  private static void assertPattern(
      PlinthProcess server, String export, int pattern, String offset, String length)
      throws Exception {
    Shell.Result result =
        Shell.run(
            60,
            "qemu-io",
            "-r",
            "-f",
            "raw",
            "-c",
            "read -P 0x" + Integer.toHexString(pattern) + " " + offset + " " + length,
            server.uri(export));
    assertThat(result.output()).doesNotContain("Pattern verification failed");
    assertThat(result.exitCode()).as(result.output()).isZero();
  }

  private static Shell.Result qemuIo(PlinthProcess server, String export, String command)
      throws Exception {
    return Shell.run(60, "qemu-io", "-f", "raw", "-c", command, server.uri(export));
  }

  private byte[] copyOf(PlinthProcess server, String export) throws Exception {
    Path file = directory.resolve("copy");
    Files.deleteIfExists(file);
    Shell.ok(120, "nbdcopy", server.uri(export), file.toString());
    return Files.readAllBytes(file);
  }

  private static String[] map(PlinthProcess server, String export) throws Exception {
    return Shell.ok(20, "nbdinfo", "--map", server.uri(export))
        .lines()
        .map(line -> line.strip().replaceAll(" +", " "))
        .toArray(String[]::new);
  }

  private static JsonNode snapshots(PlinthProcess server) throws Exception {
    return json(server, "volume", "snapshot", "list", "demo", "--json").get("snapshots");
  }

  private static List<String> list(PlinthProcess server) throws Exception {
    return json(server, "volume", "list", "--json")
        .get("volumes")
        .valueStream()
        .map(volume -> volume.get("name").stringValue())
        .toList();
  }

  private static JsonNode json(PlinthProcess server, String... arguments) throws Exception {
    return JsonMapper.shared().readTree(server.cli(arguments));
  }

  private static void assertFails(Shell.Result result, String message) {
    assertThat(result.exitCode()).isEqualTo(1);
    assertThat(result.output().lines()).hasSize(1);
    assertThat(result.output()).startsWith("plinth: ").contains(message);
  }
}
