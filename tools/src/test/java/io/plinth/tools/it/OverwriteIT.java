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
  private static final int CAPACITY_MIB = 8192;
  private static final int VOLUME_MIB = CAPACITY_MIB * 7 / 10;
  private static final int BLOCKS = VOLUME_MIB * 256;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final int[] versions = new int[BLOCKS];
  private final SplittableRandom random = new SplittableRandom(20);
  private final byte[] buffer = new byte[BLOCK];

  @Test
  @Timeout(3000)
  void aVolumeOfSeventyPercentOfTheLogIsOverwrittenSeveralTimes() throws Exception {
    // 20 times takes many minutes; twice is past the point where every segment was cleaned.
    int times = Integer.getInteger("plinth.overwrites", 2);
    final long[] withoutCleaner = overwrittenWithRoom();
    Arrays.fill(versions, 0);
    PlinthProcess server = start(directory.resolve("data"), CAPACITY_MIB);
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      long[] _ = overwrite(client, BLOCKS, true);
      JsonNode last = log(server);
      for (int i = 1; i <= times; i++) {
        JsonNode before = last;
        long[] took = overwrite(client, BLOCKS, false);
        last = log(server);
        double amplification =
            grown(before, last, "appendedBytes") / grown(before, last, "writtenBytes");
        System.out.printf(
            "OverwriteIT: %d MiB in a log of %d MiB, time %d: appended %.2f times, of which %.2f were moved; segments cleaned %.0f,"
                + " p99 %d us, without the cleaner %d us%n",
            VOLUME_MIB,
            CAPACITY_MIB,
            i,
            amplification,
            BLOCK * grown(before, last, "movedBlocks") / grown(before, last, "writtenBytes"),
            grown(before, last, "cleanedSegments"),
            p99Us(took),
            p99Us(withoutCleaner));
        assertThat(amplification).as("blocks appended for each block written").isLessThan(3.0);
      }
      assertThat(last.get("cleanedSegments").asLong()).isPositive();
      verify(client);
    }
    server.kill();
    try (NbdClient client =
        NbdClient.connect(start(directory.resolve("data"), CAPACITY_MIB).nbd(), "demo")) {
      verify(client);
    }
  }

  /** Returns how long writes take in a log that need not be cleaned, nanoseconds each. */
  private long[] overwrittenWithRoom() throws Exception {
    PlinthProcess server = start(directory.resolve("roomy"), 4 * CAPACITY_MIB);
    long[] took;
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      long[] _ = overwrite(client, BLOCKS, true);
      took = overwrite(client, BLOCKS, false);
      // A few are cleaned while the server idles and is asked for this.
      assertThat(log(server).get("cleanedSegments").asLong()).isLessThan(10);
    }
    server.kill();
    Shell.ok(60, "rm", "-r", directory.resolve("roomy").toString());
    return took;
  }

  private PlinthProcess start(Path data, int capacityMib) throws Exception {
    Path config =
        Files.writeString(
            directory.resolve("plinth.toml"), "[log]\ncapacity = \"" + capacityMib + "M\"\n");
    return servers.serve(
        data, "--config", config.toString(), "--volume", "demo=" + VOLUME_MIB + "M");
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
