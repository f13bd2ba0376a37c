package io.plinth.tools.it;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReference;

/** A well-behaved client, one request at a time, that measures how long each takes. */
final class LatencyProbe implements AutoCloseable {
  private static final int BLOCK = 4096;
  private static final int BLOCKS = 1024;

  private final NbdClient client;
  private final byte[] data = new byte[BLOCK];
  private int next;

  /** Percentile and maximum of one run, in nanoseconds. */
  record Latency(int operations, long p99Ns, long maxNs) {
    @Override
    public String toString() {
      return operations + " requests, p99 " + p99Ns / 1000 + " us, max " + maxNs / 1000 + " us";
    }
  }

  /** Work to do while the probe measures. */
  @FunctionalInterface
  interface Work {
    void run() throws Exception;
  }

  LatencyProbe(InetSocketAddress address, String volume) throws IOException {
    client = NbdClient.connect(address, volume);
  }

  /** Measures a number of requests. */
  Latency measure(int operations) throws IOException {
    long[] times = new long[operations];
    for (int i = 0; i < operations; i++) {
      times[i] = one();
    }
    return summary(times, operations);
  }

  /** Measures for as long as {@code work} takes. */
  Latency measureDuring(Work work) throws Exception {
    AtomicReference<Exception> failure = new AtomicReference<>();
    Thread worker =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (Exception e) {
                failure.set(e);
              }
            },
            "abuse");
    worker.start();
    long[] times = new long[1 << 10];
    int count = 0;
    while (worker.isAlive()) {
      if (count == times.length) {
        times = Arrays.copyOf(times, count * 2);
      }
      times[count++] = one();
    }
    worker.join();
    if (failure.get() != null) {
      throw failure.get();
    }
    return summary(times, count);
  }

  private long one() throws IOException {
    long offset = (long) (next % BLOCKS) * BLOCK;
    long start = System.nanoTime();
    // Mostly reads: the log keeps every write.
    int error = next % 8 == 0 ? client.write(offset, data) : client.read(offset, data, BLOCK);
    next++;
    if (error != 0) {
      throw new IOException("error " + error + " at " + offset);
    }
    return System.nanoTime() - start;
  }

  private static Latency summary(long[] times, int count) {
    long[] sorted = Arrays.copyOf(times, count);
    Arrays.sort(sorted);
    return new Latency(count, sorted[(int) (count * 0.99)], sorted[count - 1]);
  }

  @Override
  public void close() throws IOException {
    client.close();
  }
}
