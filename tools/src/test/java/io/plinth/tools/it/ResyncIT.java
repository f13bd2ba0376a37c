package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** A node that was away for longer than what is kept gets what has changed, and not much more. */
class ResyncIT {
  private static final int MIB = 1 << 20;
  private static final int BLOCK = 4096;
  private static final int VOLUME_BYTES = 64 * MIB;

  /** What changes while a node is away: single blocks all over the volume. */
  private static final int CHANGED_BLOCKS = 4096;

  /** How often: more than the quarter of the log that is kept. */
  private static final int ROUNDS = 20;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final byte[] expected = new byte[VOLUME_BYTES];
  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(300)
  void aNodeThatWasAwayForLongGetsWhatHasChanged() throws Exception {
    int leader = start();
    int away = leader == 3 ? 2 : 3;
    byte[] before = expected.clone();
    assertThat(cluster.node(away).terminate()).isZero();
    overwrite();
    cluster.launch(away);
    compare(leader, away, before);
    long transferred = transferredBlocks(away);
    System.out.printf(
        "ResyncIT: %d of %d blocks changed, %d transferred%n",
        CHANGED_BLOCKS, VOLUME_BYTES / BLOCK, transferred);
    // Elections of a busy machine end sessions; what is asserted is what one transfers.
    assertThat(transferred).isBetween((long) CHANGED_BLOCKS, CHANGED_BLOCKS * 13L / 10);
    // And it serves them, too.
    assertThat(
            TestCluster.await(
                30,
                () -> {
                  String _ =
                      cluster.cli(
                          leader, "volume", "move-leader", "demo", "--to", String.valueOf(away));
                  return cluster.leader(away, "demo") == away;
                }))
        .isTrue();
    assertThat(read(away, "demo")).isEqualTo(expected);
  }

  @Test
  @Timeout(300)
  void aNodeThatHasLostItsDirectoryGetsTheCatalogueAndItsVolumes() throws Exception {
    int leader = start();
    int away = leader == 3 ? 2 : 3;
    byte[] before = expected.clone();
    assertThat(cluster.node(away).terminate()).isZero();
    cluster.loseData(away);
    overwrite();
    cluster.launch(away);
    compare(leader, away, before);
  }

  /** Returns the leader of a volume that is full, with a snapshot that all nodes have. */
  private int start() throws Exception {
    cluster =
        new TestCluster(
            servers, directory, 3, "log.segment-size = \"64M\"\nlog.capacity = \"512M\"\n");
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "64M");
    fill();
    String _ = cluster.cli(1, "volume", "snapshot", "create", "demo", "before");
    for (int node = 1; node <= cluster.size(); node++) {
      int asked = node;
      assertThat(TestCluster.await(30, () -> hasSnapshot(asked, "demo@before"))).isTrue();
    }
    assertThat(TestCluster.await(60, () -> cluster.leader(1, "demo") != 0)).isTrue();
    return cluster.leader(1, "demo");
  }

  private void compare(int leader, int away, byte[] before) throws Exception {
    String _ = cluster.node(away).readyLine();
    assertThat(
            TestCluster.await(
                60, () -> status(away).contains("brought up to date since its start: 1")))
        .as("node %s: %s; node %s: %s", away, status(away), leader, status(leader))
        .isTrue();
    String _ = cluster.cli(leader, "volume", "snapshot", "create", "demo", "after");
    assertThat(TestCluster.await(30, () -> hasSnapshot(away, "demo@after"))).isTrue();
    assertThat(read(away, "demo@after")).as("the replica of node %s", away).isEqualTo(expected);
    assertThat(read(away, "demo@before")).as("its snapshot").isEqualTo(before);
  }

  private void fill() throws IOException {
    SplittableRandom random = new SplittableRandom(1);
    random.nextBytes(expected);
    try (Writer writer = new Writer()) {
      for (int at = 0; at < VOLUME_BYTES; at += MIB) {
        writer.write(at, Arrays.copyOfRange(expected, at, at + MIB));
      }
    }
  }

  private void overwrite() throws IOException {
    int stride = VOLUME_BYTES / BLOCK / CHANGED_BLOCKS;
    byte[] block = new byte[BLOCK];
    SplittableRandom random = new SplittableRandom(2);
    try (Writer writer = new Writer()) {
      for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CHANGED_BLOCKS; i++) {
          random.nextBytes(block);
          int at = i * stride * BLOCK;
          writer.write(at, block);
          System.arraycopy(block, 0, expected, at, BLOCK);
        }
      }
    }
  }

  /** Writes through whichever node answers: a busy machine elects now and then. */
  private final class Writer implements AutoCloseable {
    private NbdClient client;
    private int node;

    void write(long at, byte[] data) throws IOException {
      IOException last = null;
      for (int attempt = 0; attempt < 1000; attempt++) {
        try {
          if (client == null) {
            client = NbdClient.connect(cluster.nbd(1 + node++ % cluster.size()), "demo");
          }
          if (client.write(at, data) == 0) {
            return;
          }
        } catch (IOException e) {
          last = e;
          close();
        }
      }
      throw new IOException("nobody answers", last);
    }

    @Override
    public void close() throws IOException {
      if (client != null) {
        client.close();
        client = null;
      }
    }
  }

  /** Returns how many blocks the session has transferred that has brought a node up to date. */
  private long transferredBlocks(int node) throws IOException {
    Pattern line = Pattern.compile("blocks compared, (\\d+) transferred");
    long transferred = 0;
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (file.getFileName().toString().startsWith("node-" + node + "-")) {
          Matcher matcher = line.matcher(Files.readString(file));
          while (matcher.find()) {
            transferred += Long.parseLong(matcher.group(1));
          }
        }
      }
    }
    return transferred;
  }

  private String status(int node) throws IOException, InterruptedException {
    return cluster.cli(node, "cluster", "status");
  }

  private boolean hasSnapshot(int node, String export) throws IOException {
    try (NbdClient client = NbdClient.connect(cluster.nbd(node), export)) {
      return client.sizeBytes() == VOLUME_BYTES;
    } catch (IOException e) {
      return false;
    }
  }

  /** Reads a volume from whoever leads it, a snapshot from the node's own replica. */
  private byte[] read(int node, String export) throws IOException {
    byte[] all = new byte[VOLUME_BYTES];
    byte[] part = new byte[MIB];
    try (NbdClient client = NbdClient.connect(cluster.nbd(node), export)) {
      for (int at = 0; at < VOLUME_BYTES; at += MIB) {
        assertThat(client.read(at, part, MIB)).isZero();
        System.arraycopy(part, 0, all, at, MIB);
      }
    }
    return all;
  }
}
