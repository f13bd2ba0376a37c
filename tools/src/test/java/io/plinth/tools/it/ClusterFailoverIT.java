package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * A cluster of real processes goes on when nodes die, stand still or are cut off (G1 to G4, G9).
 */
class ClusterFailoverIT {
  private static final int ROUNDS = Integer.getInteger("plinth.cluster.rounds", 9);
  private static final int PAUSE_MS = Integer.getInteger("plinth.cluster.pauseMs", 5000);
  private static final int VOLUME_BYTES = 64 << 20;
  private static final int CONNECTIONS = 4;

  /** A node that does not answer begins nothing any more after 2 s and what it takes to notice. */
  private static final int TIMEOUT_MS = 4000;

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final long seed = Long.getLong("plinth.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final WriteLedger ledger = new WriteLedger(VOLUME_BYTES / WriteLedger.SECTOR);
  private TestCluster cluster;

  private enum Fault {
    KILL,
    PAUSE,
    PARTITION
  }

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  private void start() throws Exception {
    System.out.println(
        "ClusterFailoverIT: replay with -Dit.test=ClusterFailoverIT -Dplinth.seed=" + seed);
    cluster = new TestCluster(servers, directory, 3);
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "64M");
  }

  private List<InetSocketAddress> addresses() {
    return List.of(cluster.nbd(1), cluster.nbd(2), cluster.nbd(3));
  }

  private FailoverLoad load() {
    return new FailoverLoad(addresses(), "demo", CONNECTIONS, ledger, random.split(), TIMEOUT_MS);
  }

  @Test
  @Timeout(1500)
  void itGoesOnWhateverBecomesOfOneNode() throws Exception {
    start();
    Map<String, List<Long>> gaps = new TreeMap<>();
    for (int round = 1; round <= ROUNDS; round++) {
      Fault fault = Fault.values()[(round - 1) % Fault.values().length];
      int leader = anyLeader();
      int node = random.nextInt(3) == 0 ? random.nextInt(1, 4) : leader;
      FailoverLoad load = load();
      await(load, 500);
      cluster.awaitLevel("demo");
      long _ = load.longestGapNs();
      begin(fault, node);
      long before = load.acknowledged();
      await(load, before + 200);
      long gapMs = TimeUnit.NANOSECONDS.toMillis(load.longestGapNs());
      String what = fault + (node == leader ? " of the leader" : " of another");
      gaps.computeIfAbsent(what, key -> new ArrayList<>()).add(gapMs);
      end(fault, node);
      long after = load.acknowledged();
      await(load, after + 500);
      System.out.printf(
          "round %d: %s (node %d): %d ms without an answer; %d writes, %d moves%n",
          round, what, node, gapMs, load.acknowledged(), load.moves());
      load.finish();
      verify("round " + round);
    }
    gaps.forEach((what, list) ->
        System.out.println(what + ", ms without an answer: " + list.stream().sorted().toList()));
    for (long gap : gaps.getOrDefault("KILL of the leader", List.of())) {
      assertThat(gap)
          .as("ms without an answer when a leader is killed, of all: %s", gaps)
          .isLessThan(5000);
    }
  }

  @Test
  @Timeout(240)
  void whatWasAcknowledgedIsThereWhenAllAreKilledAtOnce() throws Exception {
    start();
    for (int round = 1; round <= 3; round++) {
      FailoverLoad load = load();
      long enough = random.nextInt(500, 2000);
      await(load, enough);
      for (int node = 1; node <= 3; node++) {
        cluster.signal(node, "KILL");
      }
      for (int node = 1; node <= 3; node++) {
        cluster.node(node).kill();
      }
      cluster.up();
      load.finish();
      verify("round " + round);
    }
  }

  private void begin(Fault fault, int node) throws Exception {
    switch (fault) {
      case KILL -> cluster.node(node).kill();
      case PAUSE -> cluster.signal(node, "STOP");
      case PARTITION -> cluster.partition(node);
    }
  }

  private void end(Fault fault, int node) throws Exception {
    if (fault != Fault.KILL) {
      boolean _ = new CountDownLatch(1).await(PAUSE_MS, TimeUnit.MILLISECONDS);
    }
    switch (fault) {
      case KILL -> cluster.launch(node);
      case PAUSE -> cluster.signal(node, "CONT");
      case PARTITION -> cluster.heal(node);
    }
    String _ = cluster.node(node).readyLine();
  }

  private int anyLeader() throws Exception {
    int[] leader = new int[1];
    assertThat(
            TestCluster.await(
                60,
                () -> {
                  leader[0] = cluster.leader(1, "demo");
                  return leader[0] != 0;
                }))
        .as("the volume has a leader within a minute")
        .isTrue();
    return leader[0];
  }

  private void await(FailoverLoad load, long writes) throws Exception {
    boolean done = TestCluster.await(30, () -> load.acknowledged() > writes);
    assertThat(done).as("%s writes: %s; %s", writes, load, done ? "" : states()).isTrue();
  }

  private String states() throws IOException, InterruptedException {
    StringBuilder text = new StringBuilder();
    for (int node = 1; node <= cluster.size(); node++) {
      if (cluster.isAlive(node)) {
        text.append("\nnode ").append(node).append(": ");
        text.append(cluster.node(node).volume("demo"));
      }
    }
    return text.toString();
  }

  /** Reads everything from whoever answers. */
  private void verify(String when) throws Exception {
    ledger.requireAt(addresses(), "demo", TIMEOUT_MS, when);
  }
}
