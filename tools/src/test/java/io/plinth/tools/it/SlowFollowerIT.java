package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** Of three nodes one answers 50 ms late: no write waits for it. */
class SlowFollowerIT {
  private static final int DELAY_MS = 50;
  private static final int TURNS = 5;
  private static final int WRITES = 5000;
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 1024;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(180)
  void writesDoNotWaitForOneSlowNode() throws Exception {
    cluster = new TestCluster(servers, directory, 3);
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "64M");
    int[] leader = new int[1];
    assertThat(
            TestCluster.await(
                30,
                () -> {
                  leader[0] = cluster.leader(1, "demo");
                  return leader[0] != 0;
                }))
        .isTrue();
    int slow = leader[0] % 3 + 1;
    List<Long> healthyUs = new ArrayList<>();
    List<Long> slowedUs = new ArrayList<>();
    try (NbdClient client = NbdClient.connect(cluster.nbd(leader[0]), "demo")) {
      long _ = p99Us(client);
      for (int turn = 0; turn < TURNS; turn++) {
        cluster.awaitLevel("demo");
        healthyUs.add(p99Us(client));
        cluster.delay(slow, DELAY_MS);
        slowedUs.add(p99Us(client));
        cluster.delay(slow, 0);
      }
      assertThat(cluster.leader(leader[0], "demo")).as("the lead stays").isEqualTo(leader[0]);
    }
    System.out.printf(
        "SlowFollowerIT: p99 of a write, us: %s healthy, %s with one node %d ms late; medians %d and %d%n",
        healthyUs, slowedUs, DELAY_MS, median(healthyUs), median(slowedUs));
    assertThat(median(slowedUs))
        .as("us; who waits for the slow node waits for %s ms", 2 * DELAY_MS)
        .isLessThan(TimeUnit.MILLISECONDS.toMicros(DELAY_MS) / 2);
  }

  private static long p99Us(NbdClient client) throws IOException {
    byte[] data = new byte[BLOCK];
    long[] tookNs = new long[WRITES];
    for (int i = 0; i < WRITES; i++) {
      long start = System.nanoTime();
      assertThat(client.write((long) (i % BLOCKS) * BLOCK, data)).isZero();
      tookNs[i] = System.nanoTime() - start;
    }
    Arrays.sort(tookNs);
    return TimeUnit.NANOSECONDS.toMicros(tookNs[WRITES / 100 * 99]);
  }

  private static long median(List<Long> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }
}
