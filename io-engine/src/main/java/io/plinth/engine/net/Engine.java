package io.plinth.engine.net;

import io.plinth.engine.api.Status;
import io.plinth.engine.core.DriverException;
import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.core.EngineCore;
import io.plinth.engine.memory.Posix;
import io.plinth.engine.uring.UringDriver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The cores of a process and their networks. */
public final class Engine {
  private static final Logger LOG = LoggerFactory.getLogger(Engine.class);

  /** Blocks in read buffers, syncs and writes that can be with the ring at a time, per core. */
  private static final int FILE_OPERATIONS = 24 * 1024;

  private final EngineCore[] cores;
  private final CoreNetwork[] networks;

  private Engine(int count) {
    cores = new EngineCore[count];
    networks = new CoreNetwork[count];
  }

  /**
   * Starts cores.
   *
   * @param coreCount how many
   * @param maxConnections connections in all; each core can own that many
   * @param spinNs how long an idle core spins at most before it blocks; 0 never spins
   * @param pinned whether each core stays on a processor of its own, as far as there are enough
   * @throws DriverException when the machine has no io_uring for us; one line with what to do
   */
  public static Engine start(
      int coreCount,
      int maxConnections,
      long spinNs,
      boolean pinned,
      EngineCore.FailureHandler failureHandler)
      throws DriverException {
    int[] processors = pinned ? Posix.allowedProcessors() : new int[0];
    // Per connection one receive, one send and one shutdown; listeners, file operations and syncs
    // besides.
    int slots = Math.min(UringDriver.MAX_SLOTS, 3 * maxConnections + FILE_OPERATIONS);
    return start(
        coreCount,
        maxConnections,
        spinNs,
        failureHandler,
        coreId -> {
          pin(coreId, processors);
          return new UringDriver(slots);
        });
  }

  /** On the core's thread. The last processors first: interrupts tend to go to the first ones. */
  private static void pin(int coreId, int[] processors) {
    if (coreId >= processors.length) {
      return;
    }
    int processor = processors[processors.length - 1 - coreId];
    int result = Posix.pinThread(processor);
    if (result < 0) {
      LOG.warn(
          "core {} can't be pinned to processor {}: {}", coreId, processor, Status.name(result));
    }
  }

  /** Starts cores over a given kind of driver. */
  public static Engine start(
      int coreCount,
      int maxConnections,
      long spinNs,
      EngineCore.FailureHandler failureHandler,
      DriverFactory driverFactory)
      throws DriverException {
    Engine engine = new Engine(coreCount);
    for (int i = 0; i < coreCount; i++) {
      EngineCore core = new EngineCore(i, spinNs, driverFactory, failureHandler);
      CoreNetwork network = new CoreNetwork(core, maxConnections, id -> engine.networks[id]);
      core.setSender(network);
      core.start();
      engine.cores[i] = core;
      engine.networks[i] = network;
    }
    return engine;
  }

  /** Returns how many cores there are. */
  public int coreCount() {
    return cores.length;
  }

  /** Returns a core by its number. */
  public EngineCore core(int id) {
    return cores[id];
  }

  /** Returns the network of a core by its number. */
  public CoreNetwork network(int id) {
    return networks[id];
  }

  /** What is run on a core for a caller who waits. */
  @FunctionalInterface
  public interface CoreCall<T> {
    /** Runs on the core's thread. */
    T call() throws Exception;
  }

  /**
   * Runs a call on a core and waits for its result. Not from a core's thread.
   *
   * @throws ExecutionException when the call failed; the cause says why
   */
  public <T> T callOn(int coreId, CoreCall<T> call)
      throws ExecutionException, InterruptedException {
    CompletableFuture<T> result = new CompletableFuture<>();
    boolean accepted =
        cores[coreId].execute(() -> {
          try {
            result.complete(call.call());
          } catch (Exception e) {
            result.completeExceptionally(e);
          }
        });
    if (!accepted) {
      throw new ExecutionException(
          new IllegalStateException("core " + coreId + " takes no more work"));
    }
    return result.get();
  }

  /** Stops all cores once nothing is in flight; connections and listeners must have been closed. */
  public void shutdown() throws InterruptedException {
    for (EngineCore core : cores) {
      core.stop();
    }
    for (CoreNetwork network : networks) {
      network.close();
    }
  }
}
