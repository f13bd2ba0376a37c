package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A backup is brought up to date with nothing but stock tools: libnbd's, qemu's and dd. */
class IncrementalBackupIT {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 64 * 256;
  private static final long SEED = 11;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private record Extent(long offset, long length) {}

  @Test
  @Timeout(180)
  void onlyWhatTheBitmapNamesHasToBeCopied() throws Exception {
    PlinthProcess server =
        servers.serve(directory.resolve("data"), "--volume", "demo=" + BLOCKS * BLOCK / 1024 + "K");
    SplittableRandom random = new SplittableRandom(SEED);
    byte[] content = new byte[BLOCKS * BLOCK];
    random.nextBytes(content);
    Path image = Files.write(directory.resolve("image"), content);
    Shell.ok(60, "nbdcopy", image.toString(), server.uri("demo"));
    server.cli("volume", "snapshot", "create", "demo", "monday");
    Path backup = directory.resolve("backup");
    Shell.ok(60, "nbdcopy", server.uri("demo@monday"), backup.toString());

    Set<Long> changed = change(server, random);
    server.cli("volume", "snapshot", "create", "demo", "tuesday");
    List<Extent> dirty = bitmap(server, "demo@tuesday");
    assertThat(blocks(dirty)).isEqualTo(changed);
    assertThat(qemuBitmap(server, "demo@tuesday")).isEqualTo(dirty);

    try (LoopDevice device =
        new LoopDevice(120, directory.resolve("fuse"), server.uri("demo@tuesday"))) {
      for (Extent extent : dirty) {
        copy(device.path(), backup, extent);
      }
    }
    Shell.ok(
        60,
        "qemu-img",
        "compare",
        "-f",
        "raw",
        "-F",
        "raw",
        backup.toString(),
        server.uri("demo@tuesday"));
    server.kill();
    PlinthProcess again = servers.serve(directory.resolve("data"));
    assertThat(bitmap(again, "demo@tuesday")).as("after kill -9").isEqualTo(dirty);
  }

  /** Writes one block of a hundred, and trims a few; returns which. */
  private static Set<Long> change(PlinthProcess server, SplittableRandom random) throws Exception {
    Set<Long> changed = new TreeSet<>();
    byte[] block = new byte[BLOCK];
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      for (int i = 0; i < BLOCKS / 100; i++) {
        long number = random.nextInt(BLOCKS);
        changed.add(number);
        random.nextBytes(block);
        assertThat(client.write(number * BLOCK, block)).isZero();
      }
    }
    Shell.ok(20, "qemu-io", "-f", "raw", "-c", "discard 1M 64k", server.uri("demo"));
    for (long number = 256; number < 256 + 16; number++) {
      changed.add(number);
    }
    return changed;
  }

  private static Set<Long> blocks(List<Extent> extents) {
    Set<Long> blocks = new TreeSet<>();
    for (Extent extent : extents) {
      for (long at = 0; at < extent.length(); at += BLOCK) {
        blocks.add((extent.offset() + at) / BLOCK);
      }
    }
    return blocks;
  }

  private static List<Extent> bitmap(PlinthProcess server, String export) throws Exception {
    String json =
        Shell.ok(20, "nbdinfo", "--json", "--map=qemu:dirty-bitmap:monday", server.uri(export));
    List<Extent> extents = new ArrayList<>();
    for (JsonNode extent : JsonMapper.shared().readTree(json)) {
      if (extent.get("type").asInt() == 1) {
        add(extents, extent.get("offset").asLong(), extent.get("length").asLong());
      }
    }
    return extents;
  }

  /** What qemu makes of it: with x-dirty-bitmap, dirty extents are those without data. */
  private static List<Extent> qemuBitmap(PlinthProcess server, String export) throws Exception {
    String json =
        Shell.ok(
            20,
            "qemu-img",
            "map",
            "--output=json",
            "--image-opts",
            "driver=nbd,server.type=inet,server.host=127.0.0.1,server.port="
                + server.nbd().getPort()
                + ",export="
                + export
                + ",x-dirty-bitmap=qemu:dirty-bitmap:monday");
    List<Extent> extents = new ArrayList<>();
    for (JsonNode extent : JsonMapper.shared().readTree(json)) {
      if (!extent.get("data").asBoolean()) {
        add(extents, extent.get("start").asLong(), extent.get("length").asLong());
      }
    }
    return extents;
  }

  /** Neighbours may be told apart: they count as one. */
  private static void add(List<Extent> extents, long offset, long length) {
    Extent last = extents.isEmpty() ? null : extents.getLast();
    if (last != null && last.offset() + last.length() == offset) {
      extents.set(extents.size() - 1, new Extent(last.offset(), last.length() + length));
    } else {
      extents.add(new Extent(offset, length));
    }
  }

  private static void copy(String from, Path to, Extent extent) throws Exception {
    Shell.ok(
        20,
        "dd",
        "if=" + from,
        "of=" + to,
        "bs=" + BLOCK,
        "skip=" + extent.offset() / BLOCK,
        "seek=" + extent.offset() / BLOCK,
        "count=" + extent.length() / BLOCK,
        "conv=notrunc",
        "status=none");
  }
}
