package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** The clients of libnbd and qemu. */
class ClientsIT {
  private static final int MIB = 1 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void nbdinfoShowsTheVolumeAndWhatItCan() throws Exception {
    PlinthProcess server = serve("demo=1G");
    assertThat(Shell.ok(20, "nbdinfo", server.uri("demo")))
        .contains("export-size: 1073741824", "base:allocation", "can_multi_conn: true")
        .contains("can_flush: true", "can_fua: true", "can_trim: true", "can_zero: true")
        .contains("can_fast_zero: true", "can_cache: true", "can_df: true", "is_read_only: false")
        .contains("block_size_minimum: 512", "block_size_preferred: 4096");
  }

  @Test
  void nbdinfoListsAllVolumes() throws Exception {
    PlinthProcess server =
        servers.serve(directory.resolve("data"), "--volume", "demo=1G", "--volume", "other=64M");
    assertThat(Shell.ok(20, "nbdinfo", "--list", server.uri("")))
        .contains("export=\"demo\":", "export-size: 1073741824")
        .contains("export=\"other\":", "export-size: 67108864");
  }

  @Test
  void nbdinfoMapShowsWhatWasWrittenAndWhatWasTrimmed() throws Exception {
    PlinthProcess server = serve("demo=1G");
    assertThat(map(server)).containsExactly("0 1073741824 3 hole,zero");
    Shell.ok(
        20,
        "qemu-io",
        "-f",
        "raw",
        "-c",
        "write -P 0xaa 1M 2M",
        "-c",
        "discard 2M 64k",
        "-c",
        "flush",
        server.uri("demo"));
    assertThat(map(server))
        .containsExactly(
            "0 1048576 3 hole,zero",
            "1048576 1048576 0 data",
            "2097152 65536 3 hole,zero",
            "2162688 983040 0 data",
            "3145728 1070596096 3 hole,zero");
  }

  @Test
  void theEmptyExportNameSelectsTheOnlyVolume() throws Exception {
    PlinthProcess server = serve("demo=1G");
    assertThat(Shell.ok(20, "nbdinfo", "--size", server.uri(""))).isEqualTo("1073741824");
  }

  @Test
  void theEmptyExportNameSelectsTheVolumeNamedAsDefault() throws Exception {
    Path config =
        Files.writeString(directory.resolve("plinth.toml"), "[nbd]\ndefault-export = \"other\"\n");
    PlinthProcess server =
        servers.serve(
            directory.resolve("data"),
            "--config",
            config.toString(),
            "--volume",
            "demo=1G",
            "--volume",
            "other=64M");
    assertThat(Shell.ok(20, "nbdinfo", "--size", server.uri(""))).isEqualTo("67108864");
  }

  @Test
  void anUnknownExportIsRefusedAndTheServerGoesOn() throws Exception {
    PlinthProcess server = serve("demo=1G");
    assertThat(Shell.run(20, "nbdinfo", "--size", server.uri("nothing")).exitCode()).isNotZero();
    assertThat(Shell.ok(20, "nbdinfo", "--size", server.uri("demo"))).isEqualTo("1073741824");
  }

  @Test
  void theUnixSocketServesTheSameVolume() throws Exception {
    Path socket = directory.resolve("s");
    PlinthProcess server =
        servers.serve(
            directory.resolve("data"), "--volume", "demo=64M", "--nbd-unix", socket.toString());
    String unix = "nbd+unix:///demo?socket=" + socket;
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "write -P 0x5c 512 3M", server.uri("demo"));
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "read -P 0x5c 512 3M", unix);
    Shell.ok(60, "qemu-img", "compare", "-f", "raw", "-F", "raw", unix, server.uri("demo"));
  }

  @Test
  void nbdcopyOfOneGibibyteInAndOutOverFourConnectionsKeepsTheHash() throws Exception {
    PlinthProcess server = serve("demo=1G");
    Path in = directory.resolve("in");
    Path out = directory.resolve("out");
    String hash = writeRandom(in, 1024);
    Shell.ok(120, "nbdcopy", "--connections=4", "--flush", in.toString(), server.uri("demo"));
    Files.delete(in);
    Shell.ok(120, "nbdcopy", "--connections=4", server.uri("demo"), out.toString());
    assertThat(hash(out)).isEqualTo(hash);
    assertThat(server.volume("demo").get("mappedBytes").asLong()).isEqualTo(1L << 30);
  }

  @Test
  void qemuImgConvertsAnImageOntoItAndFindsThemEqual() throws Exception {
    PlinthProcess server = serve("demo=256M");
    Path raw = directory.resolve("raw");
    Path image = directory.resolve("image.qcow2");
    writeRandom(raw, 48);
    Shell.ok(20, "truncate", "-s", "256M", raw.toString());
    Shell.ok(
        60, "qemu-img", "convert", "-O", "qcow2", "-f", "raw", raw.toString(), image.toString());
    Shell.ok(
        60,
        "qemu-img",
        "convert",
        "-n",
        "-f",
        "qcow2",
        "-O",
        "raw",
        image.toString(),
        server.uri("demo"));
    assertThat(
            Shell.ok(
                60,
                "qemu-img",
                "compare",
                "-f",
                "qcow2",
                "-F",
                "raw",
                image.toString(),
                server.uri("demo")))
        .contains("Images are identical");
    assertThat(server.volume("demo").get("mappedBytes").asLong()).isBetween(48L * MIB, 64L * MIB);
  }

  private PlinthProcess serve(String volume) throws IOException, InterruptedException {
    return servers.serve(directory.resolve("data"), "--volume", volume);
  }

  private static String[] map(PlinthProcess server) throws IOException, InterruptedException {
    return Shell.ok(20, "nbdinfo", "--map", server.uri("demo"))
        .lines()
        .map(line -> line.strip().replaceAll(" +", " "))
        .toArray(String[]::new);
  }

  private static String writeRandom(Path file, int mebibytes)
      throws IOException, NoSuchAlgorithmException {
    SplittableRandom random = new SplittableRandom(20260101);
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    byte[] chunk = new byte[MIB];
    try (OutputStream out = new DigestOutputStream(Files.newOutputStream(file), digest)) {
      for (int i = 0; i < mebibytes; i++) {
        random.nextBytes(chunk);
        out.write(chunk);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static String hash(Path file) throws IOException, NoSuchAlgorithmException {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    byte[] chunk = new byte[MIB];
    try (InputStream in = Files.newInputStream(file)) {
      for (int count = in.read(chunk); count >= 0; count = in.read(chunk)) {
        digest.update(chunk, 0, count);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
