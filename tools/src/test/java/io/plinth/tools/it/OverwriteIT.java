package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Random blocks written over and over in a log that has little more space than the volume: the
 * cleaner keeps up, appends less than three blocks for each one written, and nothing is lost.
 */
class OverwriteIT {
  private static final int BLOCK = 4096;
  private static final int DEPTH = 32;
  private static final int CAPACITY_MIB = 4096;
  private static final int VOLUME_MIB = CAPACITY_MIB * 7 / 10;
  private static final int BLOCKS = VOLUME_MIB * 256;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final int[] versions = new int[BLOCKS];
  private final SplittableRandom random = new SplittableRandom(20);
  private final byte[] buffer = new byte[BLOCK];

  @Test
  @Timeout(1500)
  void aVolumeOfSeventyPercentOfTheLogIsOverwrittenSeveralTimes() throws Exception {
    // 20 times takes minutes; twice is past the point where every segment was cleaned.
    int times = Integer.getInteger("plinth.overwrites", 2);
    PlinthProcess server = start();
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      long[] first = overwrite(client, BLOCKS, true);
      long[] withoutCleaner = overwrite(client, BLOCKS / 16, false);
      JsonNode before = log(server);
      long[] last = first;
      for (int i = 0; i < times; i++) {
        last = overwrite(client, BLOCKS, false);
      }
      JsonNode after = log(server);
      double amplification =
          grown(before, after, "appendedBytes") / grown(before, after, "writtenBytes");
      System.out.printf(
          "OverwriteIT: %d times %d MiB in a log of %d MiB: appended %.2f times, of which %.2f were moved; segments cleaned %d,"
              + " p99 filling %d us, overwriting without the cleaner %d us, with it %d us%n",
          times,
          VOLUME_MIB,
          CAPACITY_MIB,
          amplification,
          BLOCK * grown(before, after, "movedBlocks") / grown(before, after, "writtenBytes"),
          after.get("cleanedSegments").asLong(),
          p99Us(first),
          p99Us(withoutCleaner),
          p99Us(last));
      assertThat(after.get("cleanedSegments").asLong()).isPositive();
      assertThat(amplification).as("blocks appended for each block written").isLessThan(3.0);
      verify(client);
    }
    server.kill();
    try (NbdClient client = NbdClient.connect(start().nbd(), "demo")) {
      verify(client);
    }
  }

  private PlinthProcess start() throws Exception {
    Path config =
        Files.writeString(
            directory.resolve("plinth.toml"), "[log]\ncapacity = \"" + CAPACITY_MIB + "M\"\n");
    return servers.serve(
        directory.resolve("data"),
        "--config",
        config.toString(),
        "--volume",
        "demo=" + VOLUME_MIB + "M");
  }

  private static JsonNode log(PlinthProcess server) throws Exception {
    return server.status().at("/logs/0");
  }

  private static double grown(JsonNode before, JsonNode after, String name) {
    return after.get(name).asLong() - before.get(name).asLong();
  }

  /** Writes blocks with many requests in flight; returns how long each took, in nanoseconds. */
  private long[] overwrite(NbdClient client, int count, boolean inOrder) throws Exception {
    long[] sentNs = new long[count];
    long[] took = new long[count];
    int answered = 0;
    for (int i = 0; i < count; i++) {
      int block = inOrder ? i : random.nextInt(BLOCKS);
      versions[block]++;
      fill(block, versions[block]);
      sentNs[i] = System.nanoTime();
      client.sendWrite(0, i, (long) block * BLOCK, buffer, BLOCK);
      if (i - answered == DEPTH - 1) {
        client.flushOutput();
        // Half of them at a time, as a client does that is woken for several replies.
        for (int half = 0; half < DEPTH / 2; half++) {
          take(client, sentNs, took);
          answered++;
        }
      }
    }
    client.flushOutput();
    for (; answered < count; answered++) {
      take(client, sentNs, took);
    }
    return took;
  }

  private static void take(NbdClient client, long[] sentNs, long[] took) throws Exception {
    NbdClient.Reply reply = client.readReply();
    assertThat(reply.error()).isZero();
    took[(int) reply.cookie()] = System.nanoTime() - sentNs[(int) reply.cookie()];
  }

  private static long p99Us(long[] took) {
    long[] sorted = took.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 100 * 99] / 1000;
  }

  private void fill(int block, int version) {
    ByteBuffer content = ByteBuffer.wrap(buffer).order(ByteOrder.LITTLE_ENDIAN);
    long stamp = (long) block << 32 | version;
    while (content.hasRemaining()) {
      content.putLong(stamp);
      stamp = stamp * 0x5851F42D4C957F2DL + 1;
    }
  }

  /** Requests in flight for one block are applied in the order in which they were sent. */
  private void verify(NbdClient client) throws Exception {
    int step = 256;
    byte[] data = new byte[step * BLOCK];
    for (int first = 0; first < BLOCKS; first += step) {
      assertThat(client.read((long) first * BLOCK, data, data.length)).isZero();
      for (int i = 0; i < step; i++) {
        fill(first + i, versions[first + i]);
        boolean same = Arrays.equals(data, i * BLOCK, (i + 1) * BLOCK, buffer, 0, BLOCK);
        assertThat(same).as("block %s is what was written last", first + i).isTrue();
      }
    }
  }
}
