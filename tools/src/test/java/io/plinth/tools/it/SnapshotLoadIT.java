package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Writers hardly notice that a snapshot is taken, although each leaf has to be copied after it. */
class SnapshotLoadIT {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 64 << 10;
  private static final int DEPTH = 32;
  private static final int SNAPSHOTS = 9;
  private static final int MOST_WRITES = 1 << 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final SplittableRandom random = new SplittableRandom(9);
  private final byte[] buffer = new byte[BLOCK];
  private final long[] sentNs = new long[MOST_WRITES + DEPTH];
  private final long[] took = new long[MOST_WRITES];

  @Test
  void theSlowestWritesOfTheSecondAfterASnapshotAreLikeThoseOfTheSecondBefore() throws Exception {
    PlinthProcess server =
        servers.serve(directory.resolve("data"), "--volume", "demo=" + BLOCKS / 256 + "M");
    double[] ratios = new double[SNAPSHOTS];
    try (NbdClient client = NbdClient.connect(server.nbd(), "demo")) {
      random.nextBytes(buffer);
      for (int i = 0; i < 3; i++) {
        long _ = secondOfWrites(client);
      }
      for (int i = 0; i < SNAPSHOTS; i++) {
        long before = secondOfWrites(client);
        AtomicReference<Exception> failure = new AtomicReference<>();
        String body = "{\"name\":\"s" + i + "\"}";
        Thread snapshot =
            new Thread(
                () -> {
                  try {
                    server.api("POST", "/v1/volumes/demo/snapshots", body);
                  } catch (IOException | InterruptedException e) {
                    failure.set(e);
                  }
                },
                "snapshot");
        snapshot.start();
        long after = secondOfWrites(client);
        snapshot.join();
        assertThat(failure.get()).isNull();
        ratios[i] = after / (double) before;
        System.out.printf(
            Locale.ROOT,
            "SnapshotLoadIT: p99.9 %d us before, %d us after%n",
            TimeUnit.NANOSECONDS.toMicros(before),
            TimeUnit.NANOSECONDS.toMicros(after));
      }
    }
    assertThat(server.volume("demo").get("snapshots").asInt()).isEqualTo(SNAPSHOTS);
    // One second alone may have a stall of the disk in it.
    Arrays.sort(ratios);
    assertThat(ratios[SNAPSHOTS / 2]).as("p99.9 after by that before, median").isLessThan(2.0);
  }

  /** Writes random blocks for a second, many at a time; returns the p99.9 in nanoseconds. */
  private long secondOfWrites(NbdClient client) throws IOException {
    long endNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
    int sent = 0;
    int answered = 0;
    while (answered < MOST_WRITES && (sent < DEPTH || System.nanoTime() < endNs)) {
      while (sent - answered < DEPTH) {
        sentNs[sent] = System.nanoTime();
        client.sendWrite(0, sent++, (long) random.nextInt(BLOCKS) * BLOCK, buffer, BLOCK);
      }
      client.flushOutput();
      answered = take(client, answered, Math.min(DEPTH / 2, MOST_WRITES - answered));
    }
    answered = take(client, answered, Math.min(sent, MOST_WRITES) - answered);
    assertThat(answered).as("writes in a second").isGreaterThan(1000);
    Arrays.sort(took, 0, answered);
    return took[answered - 1 - answered / 1000];
  }

  private int take(NbdClient client, int answered, int count) throws IOException {
    for (int i = answered; i < answered + count; i++) {
      NbdClient.Reply reply = client.readReply();
      assertThat(reply.error()).isZero();
      took[i] = System.nanoTime() - sentNs[(int) reply.cookie()];
    }
    return answered + count;
  }
}
