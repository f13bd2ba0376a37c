package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Nodes that die and nodes that are drained, of a cluster of processes whose clients go on. */
class NodesIT {
  private static final int NODES = 4;
  private static final int VOLUME_BYTES = 64 << 20;
  private static final int TIMEOUT_MS = 4000;
  private static final JsonMapper JSON = JsonMapper.shared();

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final long seed = Long.getLong("plinth.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final WriteLedger ledger = new WriteLedger(VOLUME_BYTES / WriteLedger.SECTOR);

  /** All that was said of a node since it was asked for. */
  private final Set<String> said = new TreeSet<>();

  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(300)
  void whatADeadNodeHadIsRebuiltAndALivingOneIsDrained() throws Exception {
    System.out.println("NodesIT: replay with -Dit.test=NodesIT -Dplinth.seed=" + seed);
    cluster =
        new TestCluster(
            servers, directory, NODES, "", "unreachable-after = 1\nrebuild-after = 4\n");
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "64M");
    String before = cluster.cli(1, "cluster", "status");
    assertThat(state(1, 2)).isEqualTo("active");
    assertThat(before).doesNotContain("not heard", "moves:");

    FailoverLoad load = load();
    await(load, 500);
    int dead = members(1).get(random.nextInt(3));
    int asked = dead == 1 ? 2 : 1;
    List<Integer> membersBefore = members(asked);
    cluster.node(dead).kill();
    assertThat(TestCluster.await(60, () -> isElsewhere(asked, dead)))
        .as("rebuilt: %s; %s", said, load)
        .isTrue();
    System.out.println("NodesIT: of the dead node was said " + said);
    assertThat(said).anyMatch(line -> line.startsWith("unreachable: not heard for "));
    assertThat(said)
        .anyMatch(line -> line.matches("unreachable: in .* its replicas are rebuilt .*"))
        .anyMatch(line -> line.startsWith("failed: its replicas are rebuilt on other nodes: "));
    assertThat(words(asked, dead)).contains("it has no replicas: what it had is on other nodes");
    List<Integer> after = members(asked);
    assertThat(after).hasSize(3).doesNotContain(dead);
    System.out.printf("NodesIT: %s became %s%n", membersBefore, after);
    more(load, 300);
    cluster.awaitLevel("demo");
    load.finish();
    verify("after the rebuild");

    // Now the new replica is needed for a majority.
    int second = after.stream().filter(membersBefore::contains).findFirst().orElseThrow();
    cluster.node(second).kill();
    verify("without one of the others");

    cluster.launch(dead);
    cluster.launch(second);
    cluster.up();
    int all = 1;
    assertThat(TestCluster.await(60, () -> state(all, dead).equals("active"))).isTrue();
    assertThat(TestCluster.await(60, () -> members(all).size() == 3)).isTrue();
    drain();
  }

  private void drain() throws Exception {
    FailoverLoad load = load();
    await(load, 300);
    assertThat(TestCluster.await(30, () -> leader() != 0)).isTrue();
    int leader = leader();
    int asked = leader == 1 ? 2 : 1;
    String node = Integer.toString(leader);
    String plan = cluster.cli(asked, "node", "drain", node, "--dry-run");
    assertThat(plan).contains("node " + node + " would be drained", "volume demo: to node ");
    assertThat(state(asked, leader)).isEqualTo("active");
    String told = cluster.cli(asked, "node", "drain", node, "--wait");
    System.out.println("NodesIT: " + told.strip().replace("\n", " | "));
    assertThat(members(asked)).hasSize(3).doesNotContain(leader);
    assertThat(state(asked, leader)).isEqualTo("draining");
    assertThat(words(asked, leader))
        .contains("it has no replicas any more, and may be stopped or removed");
    more(load, 300);
    assertThat(cluster.node(leader).terminate()).isZero();
    String _ = cluster.cli(asked, "node", "remove", node);
    assertThat(state(asked, leader)).isEqualTo("removed");
    more(load, 300);
    System.out.printf(
        "NodesIT: drained under load: %d writes, connections made anew %d%n",
        load.acknowledged(), load.moves());
    load.finish();
    verify("after the drain");
  }

  private FailoverLoad load() {
    return new FailoverLoad(addresses(), "demo", 2, ledger, random.split(), TIMEOUT_MS);
  }

  private List<InetSocketAddress> addresses() {
    return IntStream.rangeClosed(1, NODES).mapToObj(cluster::nbd).toList();
  }

  private JsonNode status(int asked, int node) throws Exception {
    for (JsonNode one : JSON.readTree(cluster.cli(asked, "node", "list", "--json")).get("nodes")) {
      if (one.get("node").intValue() == node) {
        return one;
      }
    }
    throw new IllegalStateException("there is no node " + node);
  }

  private String state(int asked, int node) throws Exception {
    return status(asked, node).get("state").stringValue();
  }

  private List<String> words(int asked, int node) throws Exception {
    return status(asked, node).get("words").valueStream().map(JsonNode::stringValue).toList();
  }

  private List<Integer> members(int asked) throws Exception {
    for (int node = 0; node < NODES; node++) {
      int next = 1 + (asked - 1 + node) % NODES;
      if (cluster.isAlive(next)) {
        JsonNode replicas = cluster.node(next).volume("demo").get("replicas");
        if (replicas != null && replicas.has("leader") && replicas.get("leader").isInt()) {
          List<Integer> members = new ArrayList<>();
          replicas.get("nodes").forEach(member -> members.add(member.intValue()));
          return members;
        }
      }
    }
    return List.of();
  }

  private int leader() throws Exception {
    for (int node = 1; node <= NODES; node++) {
      JsonNode leader = cluster.node(node).volume("demo").get("replicas").get("leader");
      if (leader.isInt()) {
        return leader.intValue();
      }
    }
    return 0;
  }

  private boolean isElsewhere(int asked, int dead) throws Exception {
    JsonNode status;
    try {
      status = status(asked, dead);
    } catch (AssertionError | IOException e) {
      // Nobody leads the catalogue yet.
      return false;
    }
    String state = status.get("state").stringValue();
    status.get("words").forEach(line -> said.add(state + ": " + line.stringValue()));
    return state.equals("failed") && status.get("replicas").intValue() == 0;
  }

  private static void await(FailoverLoad load, long writes) throws Exception {
    assertThat(TestCluster.await(40, () -> load.acknowledged() > writes)).as("%s", load).isTrue();
  }

  private static void more(FailoverLoad load, long writes) throws Exception {
    await(load, load.acknowledged() + writes);
  }

  /** Reads everything from whoever answers. */
  private void verify(String when) throws Exception {
    ledger.requireAt(addresses(), "demo", TIMEOUT_MS, when);
  }
}
