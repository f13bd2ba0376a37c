package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What a server refuses to start with: exit code 2 and one line that says why. */
class RefusalsIT {
  private static final int SUPERBLOCK_BYTES = 4096;
  private static final int SUPERBLOCK_VERSION = 8;
  private static final int SUPERBLOCK_CRC = 4092;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void aDataDirectoryInUseByAnotherProcess() throws Exception {
    PlinthProcess first = servers.serve(data(), "--volume", "demo=64M");
    assertThat(refusal("--volume", "demo=64M"))
        .isEqualTo(
            "plinth: data directory %s is in use by another server (process %d)",
            data(), first.pid());
    assertThat(first.isAlive()).isTrue();
  }

  @Test
  void aDataDirectoryOfAnotherFormatVersion() throws Exception {
    assertThat(servers.serve(data(), "--volume", "demo=64M").terminate()).isZero();
    Path superblock = data().resolve("log-0/superblock");
    ByteBuffer copies =
        ByteBuffer.wrap(Files.readAllBytes(superblock)).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(copies.capacity()).isEqualTo(2 * SUPERBLOCK_BYTES);
    for (int at = 0; at < copies.capacity(); at += SUPERBLOCK_BYTES) {
      copies.putInt(at + SUPERBLOCK_VERSION, 2);
      CRC32C crc = new CRC32C();
      crc.update(copies.array(), at, SUPERBLOCK_CRC);
      copies.putInt(at + SUPERBLOCK_CRC, (int) crc.getValue());
    }
    Files.write(superblock, copies.array());
    assertThat(refusal())
        .isEqualTo(
            "plinth: %s: format version 2; this program reads version 3", data().resolve("log-0"));
  }

  @Test
  void aDataDirectoryBelowAFile() throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "not a folder");
    assertThat(refusalOf(servers.exactly(log(), serve(file.resolve("data")))))
        .startsWith("plinth: can't create data directory " + file.resolve("data") + ": ");
  }

  @Test
  void aDataDirectoryWithoutPermission() throws Exception {
    Path data = Files.createDirectory(data());
    try (Forbidden forbidden = Forbidden.directory(data)) {
      assertThat(refusalOf(servers.through(forbidden.command(), log(), serve(data))))
          .isEqualTo("plinth: can't use data directory %s: no permission", data);
    }
    assertThat(data).isEmptyDirectory();
  }

  @Test
  void aDataDirectoryBelowAFolderWithoutPermission() throws Exception {
    Path folder = Files.createDirectory(directory.resolve("folder"));
    Path data = folder.resolve("data");
    try (Forbidden forbidden = Forbidden.directory(folder)) {
      assertThat(refusalOf(servers.through(forbidden.command(), log(), serve(data))))
          .isEqualTo("plinth: can't create data directory %s: no permission", data);
    }
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void aDataDirectoryOnAReadOnlyFileSystem() throws Exception {
    try (Mount mount = Mount.tmpfs(directory.resolve("mnt"), 4 << 20)) {
      Path data = Files.createDirectories(mount.path().resolve("data"));
      mount.remount("ro");
      assertThat(refusalOf(servers.exactly(log(), serve(data))))
          .startsWith("plinth: can't use data directory " + data + ": ")
          .endsWith("Read-only file system");
    }
  }

  @Test
  void aFullDisk() throws Exception {
    try (Mount mount = Mount.tmpfs(directory.resolve("mnt"), 32 << 20)) {
      Path data = mount.path().resolve("data");
      assertThat(refusalOf(servers.exactly(log(), serve(data))))
          .startsWith("plinth: ")
          .endsWith("the file system is full");
    }
  }

  @Test
  void aDiskWithoutASingleFreeBlock() throws Exception {
    try (Mount mount = Mount.tmpfs(directory.resolve("mnt"), 4 << 20)) {
      Path data = Files.createDirectories(mount.path().resolve("data"));
      Shell.run(20, "dd", "if=/dev/zero", "of=" + mount.path().resolve("fill"), "bs=4096");
      assertThat(refusalOf(servers.exactly(log(), serve(data))))
          .startsWith("plinth: ")
          .endsWith("the file system is full");
    }
  }

  @Test
  void aFileSystemThatCannotAllocateAhead() throws Exception {
    try (Mount mount = Mount.ext2(directory.resolve("mnt"), 200L << 20)) {
      Path data = mount.path().resolve("data");
      assertThat(refusalOf(servers.exactly(log(), serve(data))))
          .isEqualTo(
              "plinth: can't use data directory %s: its file system can't allocate the space of files"
                  + " ahead (fallocate); ext4, xfs, btrfs and tmpfs can",
              data);
    }
  }

  /** The log has been recovered by then, which a server that starts has a line about. */
  @Test
  void aPortInUse() throws Exception {
    recoverableData();
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String address = "127.0.0.1:" + other.getLocalPort();
      assertThat(refusal("--nbd", address))
          .isEqualTo(
              "plinth: can't listen on %s: the address is in use by another process", address);
    }
  }

  @Test
  void anAdminPortInUse() throws Exception {
    recoverableData();
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String address = "127.0.0.1:" + other.getLocalPort();
      assertThat(refusal("--admin", address))
          .isEqualTo(
              "plinth: admin address %s is in use: stop the other server, or choose another address"
                  + " with --admin or 'admin.listen'",
              address);
    }
  }

  @Test
  void aBadSize() throws Exception {
    assertThat(refusal("--volume", "demo=12x")).startsWith("plinth: bad size \"12x\": expected ");
    assertThat(refusal("--volume", "demo=1000"))
        .startsWith("plinth: bad volume size 1000: expected a multiple of 512 bytes");
    assertThat(data()).doesNotExist();
  }

  @Test
  void aBadVolumeName() throws Exception {
    assertThat(refusal("--volume", "-demo=1G"))
        .startsWith("plinth: bad volume name \"-demo\": expected 1 to 63 letters");
    assertThat(refusal("--volume", "a/b=1G")).startsWith("plinth: bad volume name \"a/b\": ");
    assertThat(data()).doesNotExist();
  }

  @Test
  void anotherSizeForAnExistingVolume() throws Exception {
    assertThat(servers.serve(data(), "--volume", "demo=64M").terminate()).isZero();
    assertThat(refusal("--volume", "demo=128M"))
        .isEqualTo(
            "plinth: volume demo exists with size 64M, not 128M: give its real size, or leave it"
                + " out to serve it as it is");
    PlinthProcess again = servers.serve(data(), "--volume", "demo=64M");
    assertThat(again.volume("demo").get("sizeBytes").asLong()).isEqualTo(64L << 20);
  }

  @Test
  void anUnknownKeyOfTheConfiguration() throws Exception {
    Path config =
        Files.writeString(
            directory.resolve("plinth.toml"), "cores = 1\n\n[nbd]\nlissten = [\"127.0.0.1:0\"]\n");
    assertThat(refusal("--config", config.toString()))
        .isEqualTo("plinth: plinth.toml:4: unknown key 'nbd.lissten'; did you mean 'nbd.listen'?");
    assertThat(data()).doesNotExist();
  }

  /** Leaves a log with records behind, as a server that was killed does. */
  private void recoverableData() throws IOException, InterruptedException {
    PlinthProcess server = servers.serve(data(), "--volume", "demo=64M");
    assertThat(server.log()).as("what recovery found").contains("[INFO]", "log-0: new");
    server.kill();
  }

  private Path log() {
    return directory.resolve("refused.log");
  }

  private Path data() {
    return directory.resolve("data");
  }

  private String refusal(String... arguments) throws IOException, InterruptedException {
    return refusalOf(servers.launch(data(), arguments));
  }

  private static String[] serve(Path data) {
    return new String[] {
      "serve", "--data", data.toString(), "--nbd", "127.0.0.1:0", "--admin", "127.0.0.1:0"
    };
  }

  /** Returns the only line on standard error. */
  private static String refusalOf(PlinthProcess server) throws InterruptedException {
    int exitCode = server.awaitExit();
    List<String> lines = server.log().lines().toList();
    assertThat(lines).as("error output:\n%s", server.log()).hasSize(1);
    assertThat(exitCode).as("exit code with: %s", lines).isEqualTo(2);
    assertThat(server.output()).as("standard output").isEmpty();
    return lines.getFirst();
  }
}
