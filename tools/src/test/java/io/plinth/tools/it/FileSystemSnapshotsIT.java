package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * Snapshots of a volume whose file system is being written to: to the file system each is a loss of
 * power, which its own log must get over, with all files that were fsync'ed.
 */
@Tag("long")
class FileSystemSnapshotsIT {
  private static final int ROUNDS = 100;
  private static final int FILES = 64;
  private static final int MAX_FILE_BYTES = 128 << 10;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  @Test
  @Timeout(900)
  void xfsRecoversInEveryClone() throws Exception {
    long seed = Long.getLong("plinth.seed", System.nanoTime());
    String replay = "replay with -Dit.test=FileSystemSnapshotsIT -Dplinth.seed=" + seed;
    System.out.println("FileSystemSnapshotsIT: " + replay);
    SplittableRandom random = new SplittableRandom(seed);
    PlinthProcess server = servers.serve(directory.resolve("data"), "--volume", "demo=512M");
    long files = 0;
    long written = 0;
    try (LoopDevice loop = new LoopDevice(880, directory.resolve("fuse"), server.uri("demo"))) {
      Shell.ok(60, "mkfs.xfs", "-q", "-f", loop.path());
      try (Mount mount = Mount.device(directory.resolve("mnt"), loop.path(), "defaults");
          Writer writer = new Writer(mount.path(), random.split())) {
        for (int round = 1; round <= ROUNDS; round++) {
          int enough = random.nextInt(1, 24);
          assertThat(writer.written().tryAcquire(enough, 60, TimeUnit.SECONDS)).as(replay).isTrue();
          written += enough;
          Map<String, Long> before = writer.synced();
          server.api("POST", "/v1/volumes/demo/snapshots", "{\"name\":\"s\"}");
          Map<String, Long> after = writer.synced();
          server.api("POST", "/v1/volumes", "{\"name\":\"copy\",\"clone-of\":\"demo@s\"}");
          before.entrySet().retainAll(after.entrySet());
          files += before.size();
          check(server, before, "round " + round + "; " + replay);
          server.api("DELETE", "/v1/volumes/copy?force=true", "");
          server.api("DELETE", "/v1/volumes/demo/snapshots/s", "");
        }
        System.out.printf(
            "FileSystemSnapshotsIT: %d clones mounted, %d files looked at, %d written meanwhile%n",
            ROUNDS, files, written);
      }
    }
    assertThat(files).isGreaterThan(ROUNDS);
    assertThat(server.terminate()).isZero();
  }

  private void check(PlinthProcess server, Map<String, Long> files, String what) throws Exception {
    Path folder = directory.resolve("clone");
    try (LoopDevice loop =
        new LoopDevice(120, directory.resolve("clone-fuse"), server.uri("copy"))) {
      // Both have the same identity.
      try (Mount mount = Mount.device(folder, loop.path(), "nouuid")) {
        for (Map.Entry<String, Long> file : files.entrySet()) {
          Path path = mount.path().resolve(file.getKey());
          assertThat(path).as(what).exists();
          Bytes.assertSame(
              path.getFileName() + " in " + what,
              Files.readAllBytes(path),
              content(file.getValue()));
        }
      }
      Shell.Result repair = Shell.run(60, "xfs_repair", "-n", loop.path());
      assertThat(repair.exitCode()).as("xfs_repair in %s: %s", what, repair.output()).isZero();
    }
  }

  private static byte[] content(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] bytes = new byte[random.nextInt(1, MAX_FILE_BYTES)];
    random.nextBytes(bytes);
    return bytes;
  }

  /** Writes, replaces and deletes files; knows which are there for certain. */
  private static final class Writer implements AutoCloseable {
    private final Path folder;
    private final SplittableRandom random;
    private final Map<String, Long> synced = new HashMap<>();
    private final CompletableFuture<Void> ended;
    private volatile boolean stopping;
    private final Semaphore written = new Semaphore(0);

    Writer(Path folder, SplittableRandom random) {
      this.folder = folder;
      this.random = random;
      // Not in the common pool, which tells of the ends of processes.
      ended = CompletableFuture.runAsync(this::run, task -> new Thread(task, "writer").start());
    }

    /** Returns the files that were synced and not touched since, with what is in them. */
    Map<String, Long> synced() {
      synchronized (synced) {
        return new HashMap<>(synced);
      }
    }

    /** Has a permit for each file that was written and synced. */
    Semaphore written() {
      return written;
    }

    private void run() {
      try {
        while (!stopping) {
          step();
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private void step() throws IOException {
      String name = "file-" + random.nextInt(FILES);
      Path path = folder.resolve(name);
      synchronized (synced) {
        synced.remove(name);
      }
      if (random.nextInt(4) == 0) {
        Files.deleteIfExists(path);
        return;
      }
      long seed = random.nextLong();
      try (FileChannel file =
          FileChannel.open(
              path,
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE,
              StandardOpenOption.TRUNCATE_EXISTING)) {
        ByteBuffer bytes = ByteBuffer.wrap(content(seed));
        while (bytes.hasRemaining()) {
          int _ = file.write(bytes);
        }
        file.force(true);
      }
      synchronized (synced) {
        synced.put(name, seed);
      }
      written.release();
    }

    @Override
    public void close() {
      stopping = true;
      ended.join();
    }
  }
}
