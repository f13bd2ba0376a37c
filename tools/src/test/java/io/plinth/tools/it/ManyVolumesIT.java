package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** A thousand volumes on three nodes: what they take while nobody uses them, and a start of all. */
@Tag("long")
class ManyVolumesIT {
  private static final int VOLUMES = 1000;
  private static final int NODES = 3;
  private static final int IDLE_S = 10;

  /** Beats between nodes, whatever the number of volumes. */
  private static final double IDLE_BYTES_PER_SECOND = 20_000;

  private static final double IDLE_PROCESSORS = 0.25;

  /** DESIGN section 11: 64 KiB for each idle volume. */
  private static final double KIB_PER_VOLUME = 64;

  private static final int SERVING_S = 60;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(400)
  void idleVolumesTakeLittleAndAllAreServedSoonAfterAStart() throws Exception {
    servers.javaOptions(PlinthProcess.TRACK_MEMORY);
    cluster = new TestCluster(servers, directory, NODES);
    cluster.up();
    long[] before = anonymousBytes();
    long startNs = System.nanoTime();
    create();
    final double createdS = secondsSince(startNs);
    checkAll();
    idle();
    long[] after = anonymousBytes();
    for (int node = 0; node < NODES; node++) {
      double each = (after[node] - before[node]) / 1024.0 / VOLUMES;
      System.out.printf(
          "ManyVolumesIT: node %d: %d MiB of anonymous memory besides compilers, %.1f KiB for each volume%n",
          node + 1, after[node] >> 20, each);
      assertThat(each).as("KiB for each volume").isLessThan(KIB_PER_VOLUME);
    }
    for (int node = 1; node <= NODES; node++) {
      cluster.node(node).kill();
    }
    startNs = System.nanoTime();
    cluster.up();
    final double upS = secondsSince(startNs);
    checkAll();
    double servingS = secondsSince(startNs);
    System.out.printf(
        "ManyVolumesIT: %d volumes created in %.1f s; after kill -9 of all, nodes ready in %.1f s,"
            + " a block of each volume read in %.1f s%n",
        VOLUMES, createdS, upS, servingS);
    assertThat(servingS).isLessThan(SERVING_S);
  }

  private void create() throws Exception {
    int leader =
        JsonMapper.shared()
            .readTree(cluster.cli(1, "cluster", "status", "--json"))
            .get("leader")
            .intValue();
    for (int i = 0; i < VOLUMES; i++) {
      String spec = "{\"name\": \"v" + i + "\", \"size\": \"1G\"}";
      cluster.node(leader).api("POST", "/v1/volumes", spec);
    }
  }

  /** Reads a block of each volume through some node. */
  private void checkAll() throws Exception {
    byte[] data = new byte[4096];
    for (int i = 0; i < VOLUMES; i++) {
      int node = 1 + i % NODES;
      String volume = "v" + i;
      boolean done =
          TestCluster.await(
              30,
              () -> {
                try (NbdClient client = NbdClient.connect(cluster.nbd(node), volume, 4000)) {
                  return client.read(0, data, data.length) == 0;
                } catch (IOException e) {
                  return false;
                }
              });
      assertThat(done).as("volume %s is served by node %s", volume, node).isTrue();
    }
  }

  private void idle() throws Exception {
    // What clients have woken goes to rest.
    boolean _ = new CountDownLatch(1).await(3, TimeUnit.SECONDS);
    final long bytes = cluster.peerBytes();
    Duration[] cpu = cpu();
    long startNs = System.nanoTime();
    boolean _ = new CountDownLatch(1).await(IDLE_S, TimeUnit.SECONDS);
    double seconds = secondsSince(startNs);
    double rate = (cluster.peerBytes() - bytes) / seconds;
    Duration[] later = cpu();
    System.out.printf("ManyVolumesIT: idle: %.0f bytes a second between nodes%n", rate);
    assertThat(rate).isLessThan(IDLE_BYTES_PER_SECOND);
    for (int node = 0; node < NODES; node++) {
      double used = later[node].minus(cpu[node]).toMillis() / 1000.0 / seconds;
      System.out.printf("ManyVolumesIT: node %d: %.1f %% of a processor%n", node + 1, 100 * used);
      assertThat(used).isLessThan(IDLE_PROCESSORS);
    }
  }

  private Duration[] cpu() {
    Duration[] used = new Duration[NODES];
    for (int node = 1; node <= NODES; node++) {
      used[node - 1] =
          ProcessHandle.of(cluster.node(node).pid())
              .orElseThrow()
              .info()
              .totalCpuDuration()
              .orElseThrow();
    }
    return used;
  }

  private long[] anonymousBytes() throws IOException {
    long[] bytes = new long[NODES];
    for (int node = 1; node <= NODES; node++) {
      bytes[node - 1] = cluster.node(node).anonymousBytesWithoutCompilers();
    }
    return bytes;
  }

  private static double secondsSince(long startNs) {
    return (System.nanoTime() - startNs) / 1e9;
  }
}
