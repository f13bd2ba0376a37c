package io.plinth.bench.alloc;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.main.ListenAddress;
import io.plinth.target.main.PlinthServer;
import io.plinth.target.main.ServerConfig;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
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
        measure(server.nbdAddresses().get(0), volumeBytes, operations);
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

  private static void measure(String address, long volumeBytes, int operations) throws IOException {
    int port = Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long coreThread =
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> thread.getName().equals("plinth-core-0"))
            .mapToLong(Thread::threadId)
            .findFirst()
            .orElseThrow();
    try (MixedClient client =
        new MixedClient(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
            "demo",
            volumeBytes,
            QUEUE_DEPTH,
            SEED)) {
      // On a busy machine the compiler is late: warm up until it has caught up, within reason.
      long before = threads.getThreadAllocatedBytes(coreThread);
      for (int round = 0; round < MAX_WARM_UP_ROUNDS; round++) {
        client.run(WARM_UP_OPERATIONS);
        long after = threads.getThreadAllocatedBytes(coreThread);
        boolean warm = after - before <= WARM_UP_OPERATIONS;
        before = after;
        if (warm) {
          break;
        }
      }
      client.run(operations);
      long allocated = threads.getThreadAllocatedBytes(coreThread) - before;

      System.out.printf(
          "HotPathAllocationTest: %d bytes in %d operations%n", allocated, operations);
      assertThat(client.errors()).as("failed requests").isZero();
      assertThat((double) allocated / operations)
          .as("bytes allocated per operation (%d in all)", allocated)
          .isLessThanOrEqualTo(1.0);
    }
  }

  /** Returns how often a page of the index was read again. */
  private static long indexReads(String adminAddress) throws IOException, InterruptedException {
    String address = adminAddress.substring(adminAddress.lastIndexOf('/') + 1);
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create("http://" + address + "/v1/node")).build();
      String node = client.send(request, HttpResponse.BodyHandlers.ofString()).body();
      Matcher reads = Pattern.compile("\"indexReads\":([0-9]+)").matcher(node);
      assertThat(reads.find()).as(node).isTrue();
      return Long.parseLong(reads.group(1));
    }
  }

  private static void deleteAll(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
