package io.plinth.bench.load;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.HdrHistogram.Histogram;

/**
 * Loads an NBD server with requests at random offsets and prints how fast it is and what it costs:
 * {@code java -cp ... io.plinth.bench.load.NbdLoad --uri 127.0.0.1:10809 --op write}.
 */
public final class NbdLoad {
  private final LoadOptions options;
  private final Window window = new Window();
  private final List<LoadConnection> connections = new ArrayList<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  /** Counted down when one connection has ended, however it did. */
  private final CountDownLatch stopped = new CountDownLatch(1);

  private NbdLoad(LoadOptions options) {
    this.options = options;
  }

  /** Runs the load; the process ends with 0, or with 1 when there were errors or no load at all. */
  public static void main(String[] arguments) throws LoadException {
    int code = run(System.out, System.err, arguments);
    if (code != 0) {
      // What is thrown out of here only makes the exit code; everything has been said.
      Thread.currentThread().setUncaughtExceptionHandler((thread, failure) -> {});
      throw new LoadException("code " + code);
    }
  }

  /** Returns 0, 1 after errors, or 2 when the load could not be run. */
  static int run(PrintStream out, PrintStream err, String... arguments) {
    LoadOptions options;
    try {
      options = LoadOptions.parse(arguments);
    } catch (LoadException e) {
      err.println("NbdLoad: " + e.getMessage());
      err.print(LoadOptions.USAGE);
      return 2;
    }
    try {
      LoadResult result = new NbdLoad(options).measure();
      out.println(options.json() ? result.json(options) : result.text(options));
      return result.errors() == 0 ? 0 : 1;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 2;
    } catch (IOException | LoadException e) {
      err.println("NbdLoad: " + options.address() + ": " + e.getMessage());
      return 2;
    }
  }

  private LoadResult measure() throws IOException, LoadException, InterruptedException {
    try {
      for (int i = 0; i < options.connections(); i++) {
        connections.add(LoadConnection.open(options, window, i));
      }
      return measureOpen();
    } finally {
      for (LoadConnection connection : connections) {
        connection.close();
      }
    }
  }

  private LoadResult measureOpen() throws LoadException, InterruptedException {
    List<Thread> threads = new ArrayList<>();
    for (LoadConnection connection : connections) {
      Thread thread = new Thread(() -> drive(connection), "load-" + threads.size());
      thread.setDaemon(true);
      thread.start();
      threads.add(thread);
    }
    pause(options.warmupSeconds());
    long serverBefore = ProcessCpu.micros(options.serverPids());
    long clientBefore = ownCpuMicros();
    long startNs = System.nanoTime();
    window.enter(Window.Phase.MEASURE);
    pause(options.seconds());
    window.enter(Window.Phase.STOP);
    long endNs = System.nanoTime();
    long serverAfter = ProcessCpu.micros(options.serverPids());
    long clientAfter = ownCpuMicros();
    for (Thread thread : threads) {
      thread.join(TimeUnit.SECONDS.toMillis(30));
    }
    if (failure.get() != null) {
      throw new LoadException(failure.get().getMessage(), failure.get());
    }
    Histogram latencyNs = new Histogram(60_000_000_000L, 3);
    long operations = 0;
    long errors = 0;
    for (LoadConnection connection : connections) {
      latencyNs.add(connection.latencyNs());
      operations += connection.operations();
      errors += connection.errors();
    }
    return new LoadResult(
        (endNs - startNs) / 1e9,
        operations,
        errors,
        latencyNs,
        options.serverPids().isEmpty() ? -1 : serverAfter - serverBefore,
        clientAfter - clientBefore);
  }

  private void drive(LoadConnection connection) {
    try {
      connection.run();
    } catch (IOException | LoadException | RuntimeException e) {
      failure.compareAndSet(null, e);
    } finally {
      stopped.countDown();
    }
  }

  /** Lets time go by, unless a connection ends before. */
  private void pause(double seconds) throws LoadException, InterruptedException {
    if (stopped.await((long) (seconds * 1e9), TimeUnit.NANOSECONDS)) {
      Exception cause = failure.get();
      throw new LoadException(cause == null ? "a connection ended" : cause.getMessage(), cause);
    }
  }

  private static long ownCpuMicros() {
    return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1000;
  }
}
