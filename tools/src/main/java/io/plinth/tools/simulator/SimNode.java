package io.plinth.tools.simulator;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.node.LogResources;
import io.plinth.target.node.NodeSettings;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;

/** A real node on a simulated core and disk, which can be killed and started again. */
final class SimNode {
  private static final int SPARE_SEGMENTS = 2;
  static final int CYCLE_LIMIT = 200_000;
  private static final long CYCLE_NS = 20_000;
  private static final long MAX_PAYLOAD_BYTES = 1 << 20;

  private final SimDisk disk;
  private final SimRandom random;
  private final Set<PlantedBug> plantedBugs;
  private final NativeMemory payload = NativeMemory.reserve(MAX_PAYLOAD_BYTES);
  private UUID bootId = new UUID(1, 1);
  private long residentBytes = 1 << 30;
  private long indexBytes;
  private Scrubber.Settings scrub = Scrubber.Settings.OFF;
  private long retentionMs;
  private int slowSyncNs;
  private int slowReadNs;
  private long cycles;
  private SimCore core;
  private SimLogStorage storage;
  private StorageNode node;
  private boolean running;

  SimNode(SimDisk disk, SimRandom random, Set<PlantedBug> plantedBugs) {
    this.disk = disk;
    this.random = random;
    this.plantedBugs = plantedBugs;
  }

  /** Limits how much of the log is kept in memory, from the next start on. */
  void residentBytes(long bytes) {
    residentBytes = bytes;
  }

  /** Limits the memory of the index, from the next start on; zero for no limit. */
  void indexBytes(long bytes) {
    indexBytes = bytes;
  }

  /** Sets how the log is scrubbed, from the next start on. */
  void scrub(Scrubber.Settings settings) {
    scrub = settings;
  }

  /** Sets for how long volumes can be restored, from the next start on. */
  void retention(long milliseconds) {
    retentionMs = milliseconds;
  }

  /** Lets some syncs and reads take up to so long, from the next start on. */
  void slowDevice(int syncNs, int readNs) {
    slowSyncNs = syncNs;
    slowReadNs = readNs;
  }

  StorageNode node() {
    return node;
  }

  SimLogStorage storage() {
    return storage;
  }

  /** Returns how many duty cycles there were, over all starts. */
  long cycles() {
    return cycles;
  }

  /**
   * Starts.
   *
   * @param cycleLimit how long it may take
   * @return whether volumes can be used; when not, all that can be done is to crash
   */
  boolean start(int cycleLimit) throws RecoveryException {
    core = new SimCore(0, core == null ? 0 : core.epochMs());
    storage = new SimLogStorage(disk, core, random);
    storage.slowSyncs(slowSyncNs);
    storage.slowReads(slowReadNs);
    node =
        new StorageNode(
            new NodeSettings(
                bootId,
                residentBytes,
                indexBytes,
                SPARE_SEGMENTS,
                retentionMs,
                scrub,
                Optional.empty(),
                ClusterMap.alone(),
                plantedBugs),
            random,
            List.of(new LogResources("log-0", core, storage)));
    running = true;
    try {
      CompletableFuture<Void> open = node.openLog(0);
      for (int i = 0; i < cycleLimit && !open.isDone(); i++) {
        cycle();
      }
      if (!open.isDone()) {
        return false;
      }
      if (open.isCompletedExceptionally()) {
        throw new RecoveryException(open.exceptionNow().getMessage());
      }
      node.publishRecovered();
      return true;
    } catch (RecoveryException e) {
      stop();
      throw e;
    }
  }

  LogVolume createVolume(String name, long sectors, FlushPolicy policy) throws ExecutionException {
    CompletableFuture<LogVolume> created =
        node.createVolume(name, sectors * SimRequest.SECTOR_BYTES, policy, VolumeSettings.DEFAULT);
    await(created::isDone);
    if (created.isCompletedExceptionally()) {
      throw new ExecutionException(created.exceptionNow());
    }
    return created.resultNow();
  }

  /** Stops in order. */
  void close() {
    CompletableFuture<Void> closed = node.closeLog(0);
    await(closed::isDone);
    if (closed.isCompletedExceptionally()) {
      throw new Violation(
          Guarantee.PROGRESS, "the log was not closed: " + closed.exceptionNow().getMessage());
    }
    stop();
  }

  /** The process dies: whatever it had in flight never completes. */
  void kill() {
    disk.note(Fault.PROCESS_CRASH);
    stop();
  }

  /** The machine loses power. */
  void losePower() {
    disk.note(Fault.POWER_CUT);
    stop();
    disk.losePower(random);
    bootId = new UUID(random.nextLong(), random.nextLong());
  }

  void cycle() {
    cycles++;
    core.cycle(CYCLE_NS);
  }

  /** Lets time pass in which nothing happens. */
  void sleep(long ns) {
    cycles++;
    core.cycle(ns);
  }

  void await(BooleanSupplier condition) {
    for (int i = 0; i < CYCLE_LIMIT; i++) {
      if (condition.getAsBoolean()) {
        return;
      }
      cycle();
    }
    throw stuck("what was waited for has not come");
  }

  /** Submits until accepted; after a refusal only when told that it may help. */
  void submit(Volume volume, SimRequest request) {
    request.askedOf(storage);
    request.fill(payload);
    long lastCycle = cycles + CYCLE_LIMIT;
    while (!volume.submit(request)) {
      if (cycles >= lastCycle) {
        throw stuck("a request is refused again and again");
      }
      boolean[] told = new boolean[1];
      volume.awaitReady(() -> told[0] = true);
      await(() -> told[0]);
      request.fill(payload);
    }
  }

  /** Submits and waits; returns the status. */
  int run(Volume volume, SimRequest request) {
    submit(volume, request);
    await(request::isDone);
    return request.status();
  }

  private static Violation stuck(String what) {
    return new Violation(Guarantee.PROGRESS, what + " for " + CYCLE_LIMIT + " cycles");
  }

  /** Frees all memory, as it is. */
  void free() {
    if (running) {
      stop();
    }
    payload.close();
  }

  private void stop() {
    running = false;
    node.free();
  }
}
