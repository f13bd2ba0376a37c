package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** An index that is several times as large as the memory that it may take. */
class IndexMemoryIT {
  private static final int BLOCK = 4096;

  /**
   * Blocks that one page of the index covers: each block that is used here is in one of its own.
   */
  private static final int LEAF_BLOCKS = 448;

  private static final int BLOCKS = 10_000;
  private static final int DEPTH = 32;
  private static final long MIB = 1 << 20;
  private static final long LIMIT_BYTES = 16 * MIB;

  /** What was just read for somebody, pages above the leaves, and a byte for each block in use. */
  private static final long BESIDE_BYTES = 6 * MIB;

  private static final long SETTLE_NS = TimeUnit.SECONDS.toNanos(20);

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final byte[] block = new byte[BLOCK];
  private final byte[] found = new byte[BLOCK];
  private final int[] versions = new int[BLOCKS];
  private final SplittableRandom random = new SplittableRandom(16);

  @Test
  @Timeout(300)
  void anIndexLargerThanItsMemoryIsReadWhenItIsNeeded() throws Exception {
    Path config = directory.resolve("plinth.toml");
    Files.writeString(config, "cores = 1\nlog.index-memory = \"16M\"\n");
    PlinthProcess server = serve(config);
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      write(client, BLOCKS, false);
      assertWithinLimit(server, "written");
      checkAll(client);
      assertWithinLimit(server, "read");
    }
    for (int round = 1; round <= 2; round++) {
      server.kill();
      server = serve(config);
      assertWithinLimit(server, "start " + round);
      try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
        checkAll(client);
        write(client, BLOCKS / 2, true);
        checkAll(client);
        assertWithinLimit(server, "overwritten " + round);
      }
    }
  }

  private PlinthProcess serve(Path config) throws Exception {
    return servers.serve(
        directory.resolve("data"), "--config", config.toString(), "--volume", "demo=18G");
  }

  /** The limit is a target, that is reached some time after pages were changed. */
  private static void assertWithinLimit(PlinthProcess server, String when) throws Exception {
    long giveUpNs = System.nanoTime() + SETTLE_NS;
    JsonNode log = server.status().at("/logs/0");
    while (log.at("/indexBytes").asLong() > LIMIT_BYTES + BESIDE_BYTES
        && System.nanoTime() < giveUpNs) {
      log = server.status().at("/logs/0");
    }
    System.out.printf(
        "IndexMemoryIT: %s: index %.1f MiB, not in memory %.1f MiB, dropped %d, read again %d, anonymous %d MiB%n",
        when,
        (double) log.at("/indexBytes").asLong() / MIB,
        (double) log.at("/indexDroppedBytes").asLong() / MIB,
        log.at("/indexDrops").asLong(),
        log.at("/indexReads").asLong(),
        server.anonymousBytes() / MIB);
    assertThat(log.at("/indexBytes").asLong())
        .as(when)
        .isLessThanOrEqualTo(LIMIT_BYTES + BESIDE_BYTES);
    assertThat(log.at("/indexDroppedBytes").asLong())
        .as(when)
        .isGreaterThan((long) BLOCKS * BLOCK - LIMIT_BYTES - BESIDE_BYTES);
    assertThat(log.at("/indexReadFailures").asLong()).isZero();
  }

  private void write(NbdClient client, int count, boolean anywhere) throws Exception {
    int answered = 0;
    for (int i = 0; i < count; i++) {
      int number = anywhere ? random.nextInt(BLOCKS) : i;
      versions[number]++;
      content(number);
      client.sendWrite(0, i, offset(number), block, BLOCK);
      if (i - answered == DEPTH - 1) {
        client.flushOutput();
        for (; answered <= i; answered++) {
          assertThat(client.readReply().error()).isZero();
        }
      }
    }
    client.flushOutput();
    for (; answered < count; answered++) {
      assertThat(client.readReply().error()).isZero();
    }
  }

  private void checkAll(NbdClient client) throws Exception {
    long startNs = System.nanoTime();
    for (int i = 0; i < BLOCKS; i++) {
      // A step that has no divisor in common with the count comes by all of them.
      int number = (int) (i * 3001L % BLOCKS);
      content(number);
      assertThat(client.read(offset(number), found, BLOCK)).isZero();
      Bytes.assertSame("block " + number, found, block);
    }
    System.out.printf(
        "IndexMemoryIT: %d us for each read%n",
        TimeUnit.NANOSECONDS.toMicros(System.nanoTime() - startNs) / BLOCKS);
  }

  private static long offset(int number) {
    return (long) number * LEAF_BLOCKS * BLOCK;
  }

  private void content(int number) {
    ByteBuffer.wrap(block).putInt(0, number).putInt(4, versions[number]).putInt(BLOCK - 4, ~number);
  }
}
