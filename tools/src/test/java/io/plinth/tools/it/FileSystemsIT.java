package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** File systems on a volume, through nbdfuse and a loop device. */
@Timeout(180)
class FileSystemsIT {
  private static final long MIB = 1 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  void ext4() throws Exception {
    check("mkfs.ext4 -q -F", "fsck.ext4 -f -n");
  }

  @Test
  void xfs() throws Exception {
    check("mkfs.xfs -q -f", "xfs_repair -n");
  }

  @Test
  void btrfs() throws Exception {
    check("mkfs.btrfs -q -f", "btrfs check --readonly");
  }

  private void check(String makeFileSystem, String checkFileSystem) throws Exception {
    PlinthProcess server = servers.serve(directory.resolve("data"), "--volume", "demo=512M");
    try (LoopDevice loop = new LoopDevice(170, directory.resolve("fuse"), server.uri("demo"))) {
      Shell.ok(60, with(makeFileSystem, loop.path()));
      String before;
      try (Mount mount = Mount.device(directory.resolve("mnt"), loop.path(), "defaults")) {
        copySourcesTo(mount.path().resolve("sources"));
        before = hashes(mount.path());
      }
      Shell.ok(60, with(checkFileSystem, loop.path()));
      try (Mount mount = Mount.device(directory.resolve("mnt"), loop.path(), "defaults")) {
        assertThat(before.lines().count()).isGreaterThan(100);
        assertThat(hashes(mount.path())).isEqualTo(before);
        assertSpaceComesBack(server, mount);
      }
      Shell.ok(60, with(checkFileSystem, loop.path()));
    }
    assertThat(server.terminate()).isZero();
  }

  private static void assertSpaceComesBack(PlinthProcess server, Mount mount) throws Exception {
    Path large = mount.path().resolve("large");
    Shell.ok(60, "dd", "if=/dev/urandom", "of=" + large, "bs=1M", "count=64", "conv=fsync");
    final long full = mapped(server);
    Files.delete(large);
    assertThat(full).isGreaterThan(64 * MIB);
    // xfs leaves out what it is still writing down as free, so once is not always enough.
    int tries = 0;
    do {
      Shell.ok(60, "sync", "-f", mount.path().toString());
      Shell.ok(60, "fstrim", mount.path().toString());
    } while (mapped(server) >= full - 60 * MIB && ++tries < 5);
    assertThat(mapped(server)).isLessThan(full - 60 * MIB);
  }

  private static long mapped(PlinthProcess server) throws Exception {
    return server.volume("demo").get("mappedBytes").asLong();
  }

  private static void copySourcesTo(Path target) throws IOException {
    Files.createDirectories(target);
    String root = PlinthProcess.root().toString();
    Shell.ok(
        60,
        "sh",
        "-c",
        "cd \"$1\" && tar -c --exclude=target --exclude=.git . | tar -x -C \"$2\"",
        "copy",
        root,
        target.toString());
  }

  private static String hashes(Path top) throws IOException {
    return Shell.ok(
        60,
        "sh",
        "-c",
        "cd \"$1/sources\" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum",
        "hashes",
        top.toString());
  }

  private static String[] with(String command, String device) {
    List<String> words = new ArrayList<>(Arrays.asList(command.split(" ")));
    words.add(device);
    return words.toArray(String[]::new);
  }
}
