package io.plinth.bench.alloc;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.main.ListenAddress;
import io.plinth.target.main.PlinthServer;
import io.plinth.target.main.ServerConfig;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Garbage on the hot path: what a core's thread allocates while a client does what clients do. A
 * whole server runs in this process, so that nothing between socket and log is left out.
 */
class HotPathAllocationTest {
  private static final long VOLUME_BYTES = 256L << 20;

  /** The index of it takes 36 MiB, when there is something everywhere. */
  private static final long LARGE_VOLUME_BYTES = 16L << 30;

  private static final int WARM_UP_OPERATIONS = 100_000;
  private static final int MAX_WARM_UP_ROUNDS = 5;
  private static final int OPERATIONS = 1_000_000;
  private static final int OPERATIONS_WITHOUT_INDEX = 300_000;
  private static final int QUEUE_DEPTH = 32;
  private static final int OPERATIONS_IN_CLUSTER = 50_000;

  /**
   * What entries are kept in for members that may lack them grows by doubling, up to 2^19 entries:
   * that comes in some rounds, what each request allocates in all of them.
   */
  private static final int ROUNDS_IN_CLUSTER = 6;

  private static final int NODES = 3;
  private static final int UNAVAILABLE = 503;
  private static final long SEED = 1;

  @Test
  void aMillionMixedOperationsAllocateAtMostOneByteEachOnTheCoresThread() throws Exception {
    assertAllocatesNothing(0, VOLUME_BYTES, OPERATIONS);
  }

  @Test
  void theSameHoldsWhilePagesOfTheIndexAreDroppedAndReadAgain() throws Exception {
    assertAllocatesNothing(
        ServerConfig.MINIMUM_INDEX_MEMORY, LARGE_VOLUME_BYTES, OPERATIONS_WITHOUT_INDEX);
  }

  /** On the leader and on those who follow it, when the client asks one that forwards. */
  @Test
  void itHoldsOnTheNodesOfACluster() throws Exception {
    Path folder = Files.createTempDirectory(Path.of("target"), "alloc-");
    List<PlinthServer> servers = new ArrayList<>();
    try {
      List<ClusterMap.Member> members = members(NODES);
      for (ClusterMap.Member member : members) {
        servers.add(
            PlinthServer.start(
                ServerConfig.builder()
                    .dataDir(folder.resolve("node-" + member.number()))
                    .cores(1)
                    .nbdListen(List.of(new ListenAddress("127.0.0.1", 0)))
                    .adminListen(ListenAddress.parse(member.admin()))
                    .clusterName("alloc")
                    .clusterNode(member.number())
                    .clusterMembers(members)
                    .build()));
      }
      create(members.get(0).admin(), VOLUME_BYTES);
      String follower = servers.get(leader(members) % NODES).nbdAddresses().get(0);
      measure(follower, VOLUME_BYTES, ROUNDS_IN_CLUSTER, OPERATIONS_IN_CLUSTER);
    } finally {
      for (PlinthServer server : servers) {
        server.stop();
      }
      deleteAll(folder);
    }
  }

  private static List<ClusterMap.Member> members(int count) throws IOException {
    List<ClusterMap.Member> members = new ArrayList<>();
    for (int number = 1; number <= count; number++) {
      try (ServerSocket peers = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
          ServerSocket admin = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        members.add(
            new ClusterMap.Member(
                number,
                "127.0.0.1",
                peers.getLocalPort(),
                "127.0.0.1:" + admin.getLocalPort(),
                ""));
      }
    }
    return members;
  }

  /** Creates a volume with replicas on all nodes, as soon as they have a leader. */
  private static void create(String admin, long sizeBytes) throws Exception {
    String spec = "{\"name\": \"demo\", \"size\": " + sizeBytes + "}";
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://" + admin + "/v1/volumes"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(spec))
            .build();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    HttpResponse<String> answer;
    try (HttpClient client =
        HttpClient.newBuilder().followRedirects(HttpClient.Redirect.ALWAYS).build()) {
      do {
        assertThat(System.nanoTime()).as("a leader within 30 s").isLessThan(deadline);
        answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      } while (answer.statusCode() == UNAVAILABLE);
    }
    assertThat(answer.statusCode()).as(answer.body()).isBetween(200, 299);
  }

  private static int leader(List<ClusterMap.Member> members) throws Exception {
    URI volume = URI.create("http://" + members.get(0).admin() + "/v1/volumes/demo");
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    Matcher leader;
    do {
      assertThat(System.nanoTime()).as("a leader within 30 s").isLessThan(deadline);
      leader = Pattern.compile("\"leader\":([0-9]+)").matcher(get(volume));
    } while (!leader.find());
    return Integer.parseInt(leader.group(1));
  }

  private static String get(URI address) throws IOException, InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpRequest request = HttpRequest.newBuilder(address).build();
      return client.send(request, HttpResponse.BodyHandlers.ofString()).body();
    }
  }

  private static void assertAllocatesNothing(long indexBytes, long volumeBytes, int operations)
      throws Exception {
    Path folder = Files.createTempDirectory(Path.of("target"), "alloc-");
    try {
      ServerConfig config =
          ServerConfig.builder()
              .dataDir(folder)
              .cores(1)
              .indexMemoryBytes(indexBytes)
              .nbdListen(List.of(new ListenAddress("127.0.0.1", 0)))
              .adminListen(new ListenAddress("127.0.0.1", 0))
              .addVolume(
                  new VolumeSpec("demo", volumeBytes, FlushPolicy.FLUSH, VolumeSettings.DEFAULT))
              .build();
      PlinthServer server = PlinthServer.start(config);
      try {
        measure(server.nbdAddresses().get(0), volumeBytes, 1, operations);
        if (indexBytes > 0) {
          assertThat(indexReads(server.adminAddress())).isGreaterThan(operations / 10);
        }
      } finally {
        server.stop();
      }
    } finally {
      deleteAll(folder);
    }
  }

  private static void measure(String address, long volumeBytes, int rounds, int operations)
      throws IOException {
    int port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    // One of each node.
    long[] coreThreads =
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> thread.getName().equals("plinth-core-0"))
            .mapToLong(Thread::threadId)
            .toArray();
    assertThat(coreThreads).isNotEmpty();
    try (MixedClient client =
        new MixedClient(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
            "demo",
            volumeBytes,
            QUEUE_DEPTH,
            SEED)) {
      // On a busy machine the compiler is late: warm up until it has caught up, within reason.
      long before = allocated(threads, coreThreads);
      for (int round = 0; round < MAX_WARM_UP_ROUNDS; round++) {
        client.run(WARM_UP_OPERATIONS);
        long after = allocated(threads, coreThreads);
        boolean warm = after - before <= WARM_UP_OPERATIONS;
        before = after;
        if (warm) {
          break;
        }
      }
      long allocated = Long.MAX_VALUE;
      for (int round = 0; round < rounds; round++) {
        client.run(operations);
        long after = allocated(threads, coreThreads);
        allocated = Math.min(allocated, after - before);
        before = after;
      }

      System.out.printf(
          "HotPathAllocationTest: %d bytes in %d operations%n", allocated, operations);
      assertThat(client.errors()).as("failed requests").isZero();
      assertThat((double) allocated / operations / coreThreads.length)
          .as("bytes allocated per operation on a core's thread (%d in all)", allocated)
          .isLessThanOrEqualTo(1.0);
    }
  }

  private static long allocated(ThreadMXBean threads, long[] ids) {
    return LongStream.of(threads.getThreadAllocatedBytes(ids)).sum();
  }

  /** Returns how often a page of the index was read again. */
  private static long indexReads(String adminAddress) throws IOException, InterruptedException {
    String address = adminAddress.substring(adminAddress.lastIndexOf('/') + 1);
    String node = get(URI.create("http://" + address + "/v1/node"));
    Matcher reads = Pattern.compile("\"indexReads\":([0-9]+)").matcher(node);
    assertThat(reads.find()).as(node).isTrue();
    return Long.parseLong(reads.group(1));
  }

  private static void deleteAll(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
