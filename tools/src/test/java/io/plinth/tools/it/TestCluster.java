package io.plinth.tools.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Nodes of a cluster as processes of this machine, each of which reaches the others by proxies. */
final class TestCluster implements AutoCloseable {
  /** What is on its way while clients write. */
  private static final int LEVEL_ENTRIES = 200;

  private static final int FIRST_PORT = 15_000;
  private static final int LAST_PORT = 32_000;

  private static final JsonMapper JSON = JsonMapper.shared();

  private final Servers servers;
  private final Path directory;
  private final PlinthProcess[] nodes;
  private final PeerProxy[][] ways;
  private final int[] nbdPorts;
  private final int[] adminPorts;
  private final String settings;
  private final String ofCluster;
  private final int[] peerPorts;

  /** How many nodes the cluster begins with: the others join. */
  private final int first;

  TestCluster(Servers servers, Path directory, int count) throws IOException {
    this(servers, directory, count, "");
  }

  /**
   * Prepares a cluster.
   *
   * @param settings lines of configuration of all nodes
   */
  TestCluster(Servers servers, Path directory, int count, String settings) throws IOException {
    this(servers, directory, count, settings, "");
  }

  /**
   * Prepares a cluster.
   *
   * @param settings lines of configuration of all nodes
   * @param ofCluster lines of their section of the cluster
   */
  TestCluster(Servers servers, Path directory, int count, String settings, String ofCluster)
      throws IOException {
    this(servers, directory, count, count, settings, ofCluster);
  }

  /** Prepares a cluster which the last node is to join. */
  static TestCluster joined(Servers servers, Path directory, int count) throws IOException {
    return new TestCluster(servers, directory, count, count - 1, "", "");
  }

  /** Prepares a cluster of one node, which the others are to join. */
  static TestCluster ofOne(Servers servers, Path directory, int count) throws IOException {
    return new TestCluster(servers, directory, count, 1, "", "");
  }

  private TestCluster(
      Servers servers, Path directory, int count, int first, String settings, String ofCluster)
      throws IOException {
    this.first = first;
    this.settings = settings;
    this.ofCluster = ofCluster;
    this.servers = servers;
    this.directory = directory;
    nodes = new PlinthProcess[count];
    ways = new PeerProxy[count][count];
    int[] ports = freePorts(3 * count);
    nbdPorts = new int[count];
    adminPorts = new int[count];
    peerPorts = new int[count];
    for (int i = 0; i < count; i++) {
      nbdPorts[i] = ports[3 * i];
      adminPorts[i] = ports[3 * i + 1];
      peerPorts[i] = ports[3 * i + 2];
    }
    for (int from = 0; from < count; from++) {
      for (int to = 0; to < count; to++) {
        if (from != to) {
          ways[from][to] = new PeerProxy(peerPorts[to]);
        }
      }
    }
    for (int i = 0; i < count; i++) {
      Files.createDirectories(data(i));
      Files.writeString(data(i).resolve("plinth.toml"), configuration(i));
    }
  }

  /** Not of those that the kernel gives to outgoing connections while a node is down. */
  private static int[] freePorts(int count) {
    return new SplittableRandom()
        .ints(FIRST_PORT, LAST_PORT)
        .distinct()
        .filter(TestCluster::isFree)
        .limit(count)
        .toArray();
  }

  private static boolean isFree(int port) {
    try (ServerSocket _ = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private String configuration(int self) {
    StringBuilder text = new StringBuilder();
    text.append("data-dir = \"data\"\ncores = 1\n");
    text.append("nbd.listen = [\"127.0.0.1:").append(nbdPorts[self]).append("\"]\n");
    text.append("admin.listen = \"127.0.0.1:").append(adminPorts[self]).append("\"\n");
    text.append("engine.pin-cores = false\nlog.resident-memory = \"128M\"\n");
    text.append(settings);
    text.append("[cluster]\nname = \"test\"\nnode = ").append(self + 1).append('\n');
    text.append(ofCluster);
    boolean joins = self >= first;
    text.append(joins ? "join = true\n" : "");
    for (int i = 0; i < nodes.length; i++) {
      // Who joins is in no other node's configuration, and needs to know one of them.
      if (joins ? i != self && i != 0 : i >= first) {
        continue;
      }
      int port = i == self ? peerPorts[i] : ways[self][i].port();
      text.append("[[cluster.member]]\nnode = ").append(i + 1);
      text.append("\naddress = \"127.0.0.1:").append(port);
      text.append("\"\nadmin = \"127.0.0.1:").append(adminPorts[i]).append("\"\n");
    }
    return text.toString();
  }

  private Path data(int i) {
    return directory.resolve("node-" + (i + 1));
  }

  /** Starts nodes that do not run, and waits until each of them knows a leader of the catalogue. */
  void up() throws IOException, InterruptedException {
    for (int node = 1; node <= first; node++) {
      if (!isAlive(node)) {
        launch(node);
      }
    }
    for (int node = 1; node <= first; node++) {
      int asked = node;
      String _ = node(node).readyLine();
      assertThat(
              await(
                  30,
                  () ->
                      JSON.readTree(cli(asked, "cluster", "status", "--json"))
                          .get("leader")
                          .isInt()))
          .as("node %s knows a leader", asked)
          .isTrue();
    }
  }

  /** Asks again and again; returns whether it was so within the time. */
  static boolean await(int seconds, Callable<Boolean> condition)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    CountDownLatch never = new CountDownLatch(1);
    try {
      while (!condition.call()) {
        if (System.nanoTime() > deadline) {
          return false;
        }
        boolean _ = never.await(50, TimeUnit.MILLISECONDS);
      }
      return true;
    } catch (IOException | InterruptedException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  void launch(int node) throws IOException {
    Path log = directory.resolve("node-" + node + "-" + System.nanoTime() + ".log");
    String config = data(node - 1).resolve("plinth.toml").toString();
    nodes[node - 1] = servers.exactly(log, "serve", "--config", config);
  }

  /** Starts a node that may refuse to. */
  PlinthProcess tryToStart(int node) throws IOException {
    launch(node);
    PlinthProcess started = nodes[node - 1];
    nodes[node - 1] = null;
    return started;
  }

  /** Returns where a node is to be reached by others, without a proxy. */
  String peers(int node) {
    return "127.0.0.1:" + peerPorts[node - 1];
  }

  /** Returns where the admin API of a node is. */
  String admin(int node) {
    return "127.0.0.1:" + adminPorts[node - 1];
  }

  /** Takes the data of a node that does not run away from it. */
  void loseData(int node) throws IOException {
    Path _ =
        Files.move(
            data(node - 1).resolve("data"), data(node - 1).resolve("data-" + System.nanoTime()));
  }

  PlinthProcess node(int node) {
    return nodes[node - 1];
  }

  int size() {
    return nodes.length;
  }

  boolean isAlive(int node) {
    return nodes[node - 1] != null && nodes[node - 1].isAlive();
  }

  InetSocketAddress nbd(int node) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), nbdPorts[node - 1]);
  }

  String cli(int node, String... arguments) throws IOException, InterruptedException {
    return node(node).cli(arguments);
  }

  /** Returns the node that leads a volume, as a node sees it; 0 when it knows none. */
  int leader(int asked, String volume) throws IOException, InterruptedException {
    JsonNode leader = node(asked).volume(volume).get("replicas").get("leader");
    return leader.isInt() ? leader.intValue() : 0;
  }

  /** Waits until all replicas of a volume have what its leader has; so any node may go next. */
  void awaitLevel(String volume) throws IOException, InterruptedException {
    assertThat(await(60, () -> isLevel(volume)))
        .as("the replicas of %s are level", volume)
        .isTrue();
  }

  private boolean isLevel(String volume) throws IOException, InterruptedException {
    for (int node = 1; node <= nodes.length; node++) {
      if (!isAlive(node)) {
        continue;
      }
      JsonNode behind = node(node).volume(volume).get("replicas").get("behind");
      if (behind.isArray()) {
        return behind.valueStream().allMatch(entries -> entries.asLong() < LEVEL_ENTRIES);
      }
    }
    return false;
  }

  void signal(int node, String signal) throws IOException, InterruptedException {
    assertThat(
            Shell.run(10, List.of("kill", "-" + signal, Long.toString(node(node).pid())))
                .exitCode())
        .isZero();
  }

  /** Cuts a node off from all others. */
  void partition(int node) {
    for (int other = 0; other < nodes.length; other++) {
      if (other != node - 1) {
        ways[node - 1][other].cut();
        ways[other][node - 1].cut();
      }
    }
  }

  /** Ends that. */
  void heal(int node) {
    for (int other = 0; other < nodes.length; other++) {
      if (other != node - 1) {
        ways[node - 1][other].heal();
        ways[other][node - 1].heal();
      }
    }
  }

  /** Lets all that a node says and hears take longer; 0 ends that. */
  void delay(int node, int milliseconds) {
    for (int other = 0; other < nodes.length; other++) {
      if (other != node - 1) {
        ways[node - 1][other].delay(milliseconds);
        ways[other][node - 1].delay(milliseconds);
      }
    }
  }

  /** Returns what nodes have said to each other, in bytes. */
  long peerBytes() {
    long sum = 0;
    for (PeerProxy[] row : ways) {
      for (PeerProxy way : row) {
        sum += way == null ? 0 : way.passedBytes();
      }
    }
    return sum;
  }

  @Override
  public void close() throws IOException {
    for (PeerProxy[] row : ways) {
      for (PeerProxy way : row) {
        if (way != null) {
          way.close();
        }
      }
    }
  }
}
