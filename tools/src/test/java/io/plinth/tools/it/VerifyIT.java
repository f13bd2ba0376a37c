package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A person proves that replicas are equal, and is told where they are not. */
class VerifyIT {
  private static final int MIB = 1 << 20;
  private static final int BLOCK = 4096;
  private static final int VOLUME_BYTES = 32 * MIB;
  private static final int RANGE_BYTES = 448 * BLOCK;

  /** Blocks that something happens to: of different ranges. */
  private static final int FORGED = 1000;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(300)
  void replicasAreEqualUntilOneHoldsSomethingElse() throws Exception {
    cluster = new TestCluster(servers, directory, 3, "log.scrub-rate = 0\n");
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "32M");
    assertThat(TestCluster.await(60, () -> cluster.leader(1, "demo") != 0)).isTrue();
    fill();
    String _ = cluster.cli(1, "volume", "snapshot", "create", "demo", "s");
    verifyWhileAClientWrites();

    int other = cluster.leader(1, "demo") == 3 ? 2 : 3;
    assertThat(cluster.node(other).terminate()).isZero();
    Shell.Result alone = cluster.node(1).tryCli("volume", "verify", "demo");
    assertThat(alone.exitCode()).as(alone.output()).isEqualTo(1);
    assertThat(alone.output()).contains("node " + other + " is not verified: it does not answer");

    long _ = Rot.forge(data(other), pattern(FORGED));
    cluster.launch(other);
    String _ = cluster.node(other).readyLine();
    Shell.Result found = verify(other);
    assertThat(found.exitCode()).as(found.output()).isEqualTo(1);
    int range = FORGED * BLOCK / RANGE_BYTES * RANGE_BYTES;
    assertThat(found.output())
        .contains("different: 1 ranges, damaged blocks: 0")
        .contains(
            "differs on node " + other + ": demo@s offset " + range + " length " + RANGE_BYTES);
    System.out.println("VerifyIT: " + found.output().strip().replace("\n", "\nVerifyIT: "));
  }

  private void verifyWhileAClientWrites() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    AtomicInteger written = new AtomicInteger();
    Thread writer = Thread.ofPlatform().start(() -> write(stop, written));
    try {
      assertThat(TestCluster.await(30, () -> written.get() > 100)).isTrue();
      for (int node = 1; node <= cluster.size(); node++) {
        int before = written.get();
        Shell.Result equal = cluster.node(node).tryCli("volume", "verify", "demo", "--json");
        assertThat(equal.exitCode()).as(equal.output()).isZero();
        JsonNode result = JsonMapper.shared().readTree(equal.output().lines().toList().getLast());
        assertThat(result.get("state").stringValue()).isEqualTo("equal");
        assertThat(result.get("readBytes").longValue()).isGreaterThanOrEqualTo(VOLUME_BYTES);
        assertThat(written.get()).as("a client writes meanwhile").isGreaterThan(before);
        System.out.printf(
            "VerifyIT: equal: %s ranges, %s bytes, %s ms, %d writes meanwhile%n",
            result.get("ranges"),
            result.get("readBytes"),
            result.get("elapsedMs"),
            written.get() - before);
      }
    } finally {
      stop.set(true);
      writer.join();
    }
  }

  /** Overwrites blocks of the second half; who is disconnected by an election connects again. */
  private void write(AtomicBoolean stop, AtomicInteger written) {
    SplittableRandom random = new SplittableRandom(2);
    byte[] block = new byte[BLOCK];
    while (!stop.get()) {
      try (NbdClient client = NbdClient.connect(cluster.nbd(1), "demo")) {
        while (!stop.get()) {
          random.nextBytes(block);
          long at = VOLUME_BYTES / 2 + (long) random.nextInt(VOLUME_BYTES / 2 / BLOCK) * BLOCK;
          if (client.write(at, block) == 0) {
            int _ = written.incrementAndGet();
          }
        }
      } catch (IOException e) {
        // Connects again.
      }
    }
  }

  /** Compares until the node takes part: it has just been started. */
  private Shell.Result verify(int node) throws IOException, InterruptedException {
    Shell.Result[] result = new Shell.Result[1];
    assertThat(
            TestCluster.await(
                60,
                () -> {
                  result[0] = cluster.node(node).tryCli("volume", "verify", "demo");
                  return result[0].output().contains("different:");
                }))
        .as("%s", result[0])
        .isTrue();
    return result[0];
  }

  private void fill() throws IOException {
    try (NbdClient client = NbdClient.connect(cluster.nbd(1), "demo")) {
      for (int i = 0; i < VOLUME_BYTES / BLOCK; i++) {
        assertThat(client.write((long) i * BLOCK, pattern(i))).isZero();
      }
    }
  }

  private Path data(int node) {
    return directory.resolve("node-" + node).resolve("data");
  }

  private static byte[] pattern(int number) {
    byte[] block = new byte[BLOCK];
    new SplittableRandom(number).nextBytes(block);
    return block;
  }
}
