package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A fourth process joins a cluster of three under load, and takes the place of one of them. */
class JoinIT {
  private static final int NODES = 4;
  private static final int JOINER = 4;
  private static final int VOLUME_BYTES = 64 << 20;
  private static final int TIMEOUT_MS = 4000;
  private static final JsonMapper JSON = JsonMapper.shared();

  @RegisterExtension final Servers servers = new Servers();

  @TempDir(factory = UnderTarget.class)
  Path directory;

  private final long seed = Long.getLong("plinth.seed", System.nanoTime());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final WriteLedger ledger = new WriteLedger(VOLUME_BYTES / WriteLedger.SECTOR);
  private TestCluster cluster;

  @AfterEach
  void close() throws IOException {
    cluster.close();
  }

  @Test
  @Timeout(240)
  void aFourthNodeTakesThePlaceOfOneOfThree() throws Exception {
    System.out.println("JoinIT: replay with -Dit.test=JoinIT -Dplinth.seed=" + seed);
    cluster = TestCluster.joined(servers, directory, NODES);
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "demo", "64M");
    FailoverLoad load =
        new FailoverLoad(addresses(), "demo", 2, ledger, random.split(), TIMEOUT_MS);
    await(load, 300);

    refusals();
    String node = JOINER + "=" + cluster.peers(JOINER) + ",admin=" + cluster.admin(JOINER);
    String told = cluster.cli(2, "cluster", "join", "--node", node, "--rack", "r4");
    assertThat(told).contains("node 4 is admitted to cluster test", "join = true");
    assertThat(state(1)).isEqualTo("joining");
    String list = cluster.cli(1, "node", "list");
    assertThat(list).contains("it is admitted");
    assertThat(cluster.cli(2, "cluster", "join", "--node", node, "--rack", "r4"))
        .contains("it was admitted before");

    cluster.launch(JOINER);
    assertThat(TestCluster.await(60, () -> state(1).equals("active"))).isTrue();
    JsonNode status = JSON.readTree(cluster.cli(JOINER, "cluster", "status", "--json"));
    assertThat(status.get("members")).hasSize(NODES);
    assertThat(status.get("voters")).hasSize(3);

    more(load);
    int leaver = 1 + random.nextInt(3);
    int asked = leaver == 1 ? 2 : 1;
    System.out.println(
        "JoinIT: "
            + cluster
                .cli(asked, "node", "drain", Integer.toString(leaver), "--wait")
                .strip()
                .replace("\n", " | "));
    assertThat(members(asked)).contains(JOINER).doesNotContain(leaver).hasSize(3);
    more(load);
    cluster.node(leaver).kill();
    String _ = cluster.cli(asked, "node", "remove", Integer.toString(leaver));
    assertThat(
            TestCluster.await(
                60, () -> voters(asked).contains(JOINER) && !voters(asked).contains(leaver)))
        .as("the new node votes in the place of the removed one")
        .isTrue();
    more(load);
    cluster.awaitLevel("demo");
    load.finish();
    verify("without the node that was drained");

    // The new node is needed for a majority now, of the catalogue and of the volume.
    int other = IntStream.rangeClosed(1, 3).filter(one -> one != leaver).findFirst().orElseThrow();
    int left = 6 - leaver - other;
    cluster.node(other).kill();
    verify("without another one");
    assertThat(
            TestCluster.await(
                30,
                () -> {
                  try {
                    return cluster
                        .cli(left, "volume", "create", "more", "1M", "--replicas", "1")
                        .contains("more");
                  } catch (AssertionError e) {
                    // Nobody leads the catalogue yet.
                    return false;
                  }
                }))
        .as("the catalogue is led")
        .isTrue();

    // Who comes back knows of the node that has joined only from its own catalogue.
    cluster.launch(other);
    assertThat(TestCluster.await(60, () -> voters(other).contains(JOINER))).isTrue();
    verify("in the end");
  }

  @Test
  @Timeout(240)
  void aClusterOfOneBecomesOneOfThree() throws Exception {
    cluster = TestCluster.ofOne(servers, directory, 3);
    cluster.up();
    String _ = cluster.cli(1, "volume", "create", "solo", "1M", "--replicas", "1");
    join(2);
    assertThat(voters(2)).containsExactly(1);
    // Who learns only is not needed.
    cluster.node(2).kill();
    String _ = cluster.cli(1, "volume", "set", "solo", "--description", "without the second");
    cluster.launch(2);
    join(3);
    assertThat(TestCluster.await(60, () -> voters(3).equals(List.of(1, 2, 3)))).isTrue();
    String _ = cluster.cli(2, "volume", "create", "demo", "64M", "--replicas", "3");

    List<InetSocketAddress> addresses = IntStream.rangeClosed(1, 3).mapToObj(cluster::nbd).toList();
    FailoverLoad load = new FailoverLoad(addresses, "demo", 2, ledger, random.split(), TIMEOUT_MS);
    await(load, 300);
    cluster.awaitLevel("demo");
    Shell.Result inUse = cluster.node(2).tryCli("volume", "delete", "demo");
    assertThat(inUse.exitCode()).isEqualTo(1);
    assertThat(inUse.output()).contains("volume demo is in use by ", " connections to node ");
    String[] drain = {"node", "drain", "2", "--wait", "--timeout", "2"};
    Shell.Result stuck = cluster.node(1).tryCli(drain);
    assertThat(stuck.exitCode()).isEqualTo(1);
    assertThat(stuck.output())
        .contains("plinth: node 2 has replicas still after ", "stays: there is nowhere to go");
    String _ = cluster.cli(1, "node", "undrain", "2");
    cluster.node(1).kill();
    more(load);
    assertThat(
            TestCluster.await(
                30,
                () -> {
                  String[] set = {"volume", "set", "demo", "--description", "without the first"};
                  return cluster.node(2).tryCli(set).exitCode() == 0;
                }))
        .as("the others go on without the node that the cluster has begun with")
        .isTrue();
    cluster.launch(1);
    load.finish();
    ledger.requireAt(addresses, "demo", TIMEOUT_MS, "with all of them");
    assertThat(cluster.cli(1, "volume", "show", "solo")).contains("without the second");
  }

  private void join(int number) throws Exception {
    String node = number + "=" + cluster.peers(number) + ",admin=" + cluster.admin(number);
    String _ = cluster.cli(1, "cluster", "join", "--node", node);
    cluster.launch(number);
    String _ = cluster.node(number).readyLine();
    assertThat(TestCluster.await(60, () -> state(1, number).equals("active"))).isTrue();
  }

  private void refusals() throws Exception {
    // By proxies each node has an address of its own for each other one; the leader's counts.
    int leader =
        JSON.readTree(cluster.cli(1, "cluster", "status", "--json")).get("leader").intValue();
    JsonNode status = JSON.readTree(cluster.cli(leader, "cluster", "status", "--json"));
    String taken = status.get("members").get(1).get("address").stringValue();
    refused("4=" + taken + ",admin=" + cluster.admin(JOINER), "is taken: node 2 has");
    refused("3=" + cluster.peers(JOINER), "there is a node 3 already");
    refused(
        "4=" + cluster.peers(JOINER) + ",admin=" + cluster.admin(1),
        "it is the admin API of node 1");
    PlinthProcess early = cluster.tryToStart(JOINER);
    assertThat(early.awaitExit()).isEqualTo(2);
    assertThat(early.log()).contains("node 4 is not in the catalogue of cluster test: run 'plinth");
  }

  private void refused(String node, String why) throws Exception {
    Shell.Result result = cluster.node(1).tryCli("cluster", "join", "--node", node);
    assertThat(result.exitCode()).isEqualTo(1);
    assertThat(result.output()).contains(why);
  }

  private List<InetSocketAddress> addresses() {
    return IntStream.rangeClosed(1, NODES).mapToObj(cluster::nbd).toList();
  }

  private String state(int asked) throws Exception {
    return state(asked, JOINER);
  }

  private String state(int asked, int node) throws Exception {
    JsonNode answer;
    try {
      answer = JSON.readTree(cluster.cli(asked, "node", "show", Integer.toString(node), "--json"));
    } catch (AssertionError e) {
      // The lead of the catalogue moves.
      return "unknown";
    }
    return answer.get("state").stringValue();
  }

  private List<Integer> voters(int asked) throws Exception {
    List<Integer> voters = new ArrayList<>();
    JSON.readTree(cluster.cli(asked, "cluster", "status", "--json"))
        .get("voters")
        .forEach(voter -> voters.add(voter.intValue()));
    return voters;
  }

  private List<Integer> members(int asked) throws Exception {
    List<Integer> members = new ArrayList<>();
    cluster
        .node(asked)
        .volume("demo")
        .get("replicas")
        .get("nodes")
        .forEach(member -> members.add(member.intValue()));
    return members;
  }

  private static void await(FailoverLoad load, long writes) throws Exception {
    assertThat(TestCluster.await(40, () -> load.acknowledged() > writes)).as("%s", load).isTrue();
  }

  private static void more(FailoverLoad load) throws Exception {
    await(load, load.acknowledged() + 300);
  }

  /** Reads everything from whoever answers. */
  private void verify(String when) throws Exception {
    ledger.requireAt(addresses(), "demo", TIMEOUT_MS, when);
  }
}
