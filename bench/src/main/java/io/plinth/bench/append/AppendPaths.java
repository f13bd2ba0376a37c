package io.plinth.bench.append;

import io.plinth.engine.core.DriverException;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.memory.Posix;
import io.plinth.engine.uring.UringDriver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.HdrHistogram.Histogram;

/**
 * Appends blocks of 4 KiB to a preallocated file in three ways and prints what an append costs:
 * {@code java -cp ... AppendPaths [FOLDER]}.
 *
 * <ul>
 *   <li>mapped: copies into pages that were populated before; durable by fdatasync on the ring, one
 *       for the whole depth.
 *   <li>buffered: writes on the ring through the page cache; durable in the same way.
 *   <li>direct: O_DIRECT writes on the ring; durable with RWF_DSYNC.
 * </ul>
 *
 * Depth 1 waits for each append; depth 32 begins 32 and waits for all, as the end of a duty cycle
 * does. "flush" waits for the append, "always" until it is durable. Rounds of all variants are
 * interleaved; the median of the rounds is printed.
 */
public final class AppendPaths {
  private static final int BLOCK = 4096;
  private static final int FILE_BYTES = 64 << 20;
  private static final int ROUNDS = 7;
  private static final int[] DEPTHS = {1, 32};
  private static final String[] PATHS = {"mapped", "buffered", "direct"};

  private final UringDriver driver = new UringDriver(256);
  private final NativeMemory source = NativeMemory.reserve(32L * BLOCK);
  private final Path folder;
  private int done;
  private int failure;

  private AppendPaths(Path folder) throws DriverException {
    this.folder = folder;
    for (long i = 0; i < source.sizeBytes(); i += 8) {
      org.agrona.UnsafeApi.putLong(source.address() + i, i * 0x9E3779B97F4A7C15L);
    }
  }

  /** Runs all variants. */
  public static void main(String[] arguments) throws DriverException, IOException {
    Path folder = Path.of(arguments.length == 0 ? "." : arguments[0]);
    AppendPaths bench = new AppendPaths(folder);
    System.out.printf(
        Locale.ROOT,
        "%-9s %-7s %5s %12s %12s %12s%n",
        "path",
        "policy",
        "depth",
        "p50 us",
        "p99 us",
        "us per op");
    double[][] p50 = new double[12][ROUNDS];
    double[][] p99 = new double[12][ROUNDS];
    double[][] mean = new double[12][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      int variant = 0;
      for (String path : PATHS) {
        for (int durable = 0; durable < 2; durable++) {
          for (int depth : DEPTHS) {
            Histogram histogram = bench.run(path, durable == 1, depth);
            p50[variant][round] = histogram.getValueAtPercentile(50) / 1e3;
            p99[variant][round] = histogram.getValueAtPercentile(99) / 1e3;
            mean[variant][round] = histogram.getMean() / 1e3 / depth;
            variant++;
          }
        }
      }
    }
    int variant = 0;
    for (String path : PATHS) {
      for (String policy : new String[] {"flush", "always"}) {
        for (int depth : DEPTHS) {
          System.out.printf(
              Locale.ROOT,
              "%-9s %-7s %5d %12.1f %12.1f %12.2f%n",
              path,
              policy,
              depth,
              median(p50[variant]),
              median(p99[variant]),
              median(mean[variant]));
          variant++;
        }
      }
    }
  }

  /**
   * Fills the file once, or as much as a fraction of a second allows; returns the latency of each
   * wait.
   */
  private Histogram run(String path, boolean durable, int depth) throws IOException {
    Path file = folder.resolve("append-paths.tmp");
    boolean direct = path.equals("direct");
    int descriptor =
        Posix.open(
            file.toString(), Posix.O_RDWR | Posix.O_CREAT | (direct ? Posix.O_DIRECT : 0), 0600);
    if (descriptor < 0) {
      throw new IOException("can't open " + file + ": errno " + -descriptor);
    }
    NativeMemory mapping = prepare(descriptor);
    Histogram histogram = new Histogram(60_000_000_000L, 3);
    int waits = durable ? 400 : 4000;
    int position = 0;
    for (int i = 0; i < waits && position + depth * BLOCK <= FILE_BYTES; i++) {
      long start = System.nanoTime();
      for (int d = 0; d < depth; d++) {
        append(path, descriptor, mapping, position, d, durable);
        position += BLOCK;
      }
      await(path.equals("mapped") ? 0 : depth);
      if (durable && !direct) {
        int length = depth * BLOCK;
        driver.syncRange(descriptor, position - length, length, this::onDone, 0);
        await(1);
      }
      histogram.recordValue(System.nanoTime() - start);
    }
    mapping.close();
    Posix.close(descriptor);
    Files.delete(file);
    return histogram;
  }

  private void append(
      String path, int descriptor, NativeMemory mapping, int position, int d, boolean durable) {
    long from = source.address() + (long) d * BLOCK;
    if (path.equals("mapped")) {
      NativeMemory.copy(from, mapping.address() + position, BLOCK);
    } else {
      driver.write(
          descriptor, from, BLOCK, position, durable && path.equals("direct"), this::onDone, 0);
    }
  }

  /**
   * Writes the whole file once, so that no variant pays for the allocation of space, and populates
   * a mapping.
   */
  private static NativeMemory prepare(int descriptor) throws IOException {
    NativeMemory zeroes = NativeMemory.reserve(1 << 20);
    for (int at = 0; at < FILE_BYTES; at += 1 << 20) {
      int written = Posix.write(descriptor, zeroes.address(), 1 << 20, at);
      if (written != 1 << 20) {
        throw new IOException("can't write: " + written);
      }
    }
    zeroes.close();
    Posix.sync(descriptor);
    NativeMemory mapping = NativeMemory.mapFile(descriptor, FILE_BYTES);
    mapping.populateForWrite(0, FILE_BYTES);
    return mapping;
  }

  private void await(int count) {
    while (done < count) {
      driver.poll(1_000_000);
      driver.dispatch();
    }
    done = 0;
    if (failure < 0) {
      throw new IllegalStateException("an operation failed: errno " + -failure);
    }
  }

  private void onDone(long context, int result) {
    done++;
    failure = Math.min(failure, result);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    java.util.Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
