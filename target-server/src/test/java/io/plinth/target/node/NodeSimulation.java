package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.node.SimNode.Request;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;

/**
 * A seeded run of one node: random requests, kills and power cuts, checked against a model of every
 * sector. The model knows for each sector the newest acknowledged version and all versions since
 * the last one that is certainly durable.
 */
final class NodeSimulation {
  private static final int SECTOR = SimNode.SECTOR_BYTES;
  private static final int SECTORS = 8 * 600 + 3;
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int MAX_IN_FLIGHT = 12;

  /** What is broken on purpose. */
  enum PlantedBug {
    NONE,
    SKIP_SYNC
  }

  private final SimRandom random;
  private final SimDisk disk;
  private final SimNode sim;
  private final PlantedBug bug;
  private final FlushPolicy policy;
  private LogVolume volume;
  private long nextStamp = 1;

  // The model. versions[s] holds what sector s may read as after the loss of power; the last
  // acknowledged one is current[s].
  private final long[] current = new long[SECTORS];
  private final List<List<Long>> versions = new ArrayList<>();
  private final List<Flight> flights = new ArrayList<>();
  private final boolean[] busy = new boolean[SECTORS];

  /** A request that is on its way. */
  private record Flight(Request request, int first, int count, long stamp) {}

  NodeSimulation(long seed, PlantedBug bug) {
    this.random = new SimRandom(seed);
    this.bug = bug;
    this.disk = new SimDisk(SEGMENT_BYTES, 400);
    this.sim = new SimNode(disk, random);
    this.sim.residentBytes(random.oneIn(2) ? SEGMENT_BYTES : 1 << 30);
    this.policy = random.oneIn(4) ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
    for (int s = 0; s < SECTORS; s++) {
      versions.add(new ArrayList<>(List.of(0L)));
    }
  }

  /** Runs; throws AssertionError when a guarantee does not hold. */
  void run(int steps) throws RecoveryException, ExecutionException {
    start();
    volume = sim.createVolume("v", (long) SECTORS * SECTOR, policy);
    for (int step = 0; step < steps; step++) {
      step();
    }
    finishAll();
    verifyAll();
    sim.close();
    start();
    verifyAll();
    sim.kill();
    disk.close();
  }

  private void start() throws RecoveryException {
    sim.start();
    if (bug == PlantedBug.SKIP_SYNC) {
      sim.storage.skipSyncs();
    }
    volume = (LogVolume) sim.node.find("v");
  }

  private void step() throws RecoveryException {
    int choice = random.nextInt(1000);
    if (choice < 8) {
      crash(choice < 4);
    } else if (choice < 60) {
      flush();
    } else if (choice < 300) {
      readAndCheck();
    } else {
      beginChange();
    }
    for (int i = random.nextInt(3); i > 0; i--) {
      sim.cycle();
    }
    collect();
  }

  private void beginChange() {
    int maxSectors = random.oneIn(10) ? 400 : 24;
    int count = 1 + random.nextInt(maxSectors);
    int first = random.nextInt(SECTORS - count + 1);
    if (flights.size() >= MAX_IN_FLIGHT || isBusy(first, count)) {
      return;
    }
    Operation operation =
        switch (random.nextInt(10)) {
          case 0 -> Operation.WRITE_ZEROES;
          case 1 -> Operation.TRIM;
          default -> Operation.WRITE;
        };
    if (operation == Operation.TRIM) {
      // Only whole blocks are trimmed; the model knows no more than that.
      first = first / 8 * 8;
      count = Math.max(8, count / 8 * 8);
      if (first + count > SECTORS || isBusy(first, count)) {
        return;
      }
    }
    long stamp = operation == Operation.WRITE ? nextStamp++ : 0;
    Request request = new Request(operation, (long) first * SECTOR, (long) count * SECTOR, stamp);
    request.fua = random.oneIn(8);
    request.noHole = operation == Operation.WRITE_ZEROES && random.oneIn(2);
    Arrays.fill(busy, first, first + count, true);
    for (int s = first; s < first + count; s++) {
      versions.get(s).add(stamp);
    }
    flights.add(new Flight(request, first, count, stamp));
    sim.submit(volume, request);
  }

  private void collect() {
    for (Flight flight : List.copyOf(flights)) {
      if (!flight.request.done) {
        continue;
      }
      flights.remove(flight);
      check(
          flight.request.status == Status.OK,
          "a change failed with " + Status.name(flight.request.status));
      for (int s = flight.first; s < flight.first + flight.count; s++) {
        busy[s] = false;
        current[s] = flight.stamp;
        if (flight.request.fua || policy == FlushPolicy.ALWAYS) {
          versions.set(s, new ArrayList<>(List.of(flight.stamp)));
        }
      }
    }
  }

  private void flush() {
    collect();
    long[] acknowledged = current.clone();
    Request request = new Request(Operation.FLUSH, 0, 0, 0);
    check(sim.run(volume, request) == Status.OK, "FLUSH failed");
    collect();
    for (int s = 0; s < SECTORS; s++) {
      // Versions older than what was acknowledged before the flush can't come back.
      List<Long> list = versions.get(s);
      int keep = list.lastIndexOf(acknowledged[s]);
      if (keep > 0) {
        versions.set(s, new ArrayList<>(list.subList(keep, list.size())));
      }
    }
  }

  private void readAndCheck() {
    int count = 1 + random.nextInt(64);
    int first = random.nextInt(SECTORS - count + 1);
    if (isBusy(first, count)) {
      return;
    }
    long[] read = read(first, count);
    for (int i = 0; i < count; i++) {
      check(
          read[i] == current[first + i],
          "sector "
              + (first + i)
              + " reads "
              + read[i]
              + ", acknowledged was "
              + current[first + i]);
    }
  }

  private long[] read(int first, int count) {
    Request request = new Request(Operation.READ, (long) first * SECTOR, (long) count * SECTOR, 0);
    check(sim.run(volume, request) == Status.OK, "READ failed with " + Status.name(request.status));
    return request.sectors;
  }

  private void crash(boolean power) throws RecoveryException {
    collect();
    if (power) {
      sim.losePower();
    } else {
      sim.kill();
    }
    start();
    check(volume != null, "the volume is gone");
    long[] found = new long[SECTORS];
    for (int first = 0; first < SECTORS; first += 64) {
      int count = Math.min(64, SECTORS - first);
      System.arraycopy(read(first, count), 0, found, first, count);
    }
    for (int s = 0; s < SECTORS; s++) {
      boolean allowed =
          power
              ? versions.get(s).contains(found[s])
              : found[s] == current[s] || inFlightStamp(s) == found[s];
      check(
          allowed,
          "after a "
              + (power ? "power cut" : "kill")
              + " sector "
              + s
              + " reads "
              + found[s]
              + ", acknowledged was "
              + current[s]
              + ", allowed "
              + versions.get(s));
    }
    checkAtomic(found);
    flights.clear();
    Arrays.fill(busy, false);
    for (int s = 0; s < SECTORS; s++) {
      current[s] = found[s];
      if (power) {
        versions.set(s, new ArrayList<>(List.of(found[s])));
      } else {
        versions.get(s).add(found[s]);
      }
    }
  }

  /** Requests in flight never overlap here, so each must be there as a whole or not at all. */
  private void checkAtomic(long[] found) {
    for (Flight flight : flights) {
      if (flight.request.operation == Operation.TRIM) {
        continue;
      }
      int there = 0;
      for (int s = flight.first; s < flight.first + flight.count; s++) {
        there += found[s] == flight.stamp ? 1 : 0;
      }
      check(
          there == flight.count || there == 0 || flight.stamp == 0,
          "a write of " + flight.count + " sectors is there in " + there);
    }
  }

  private long inFlightStamp(int sector) {
    for (Flight flight : flights) {
      if (sector >= flight.first && sector < flight.first + flight.count) {
        return flight.stamp;
      }
    }
    return current[sector];
  }

  private void finishAll() {
    sim.await(() -> flights.stream().allMatch(flight -> flight.request.done));
    collect();
  }

  private void verifyAll() {
    for (int first = 0; first < SECTORS; first += 64) {
      int count = Math.min(64, SECTORS - first);
      long[] read = read(first, count);
      for (int i = 0; i < count; i++) {
        check(read[i] == current[first + i], "sector " + (first + i) + " differs at the end");
      }
    }
  }

  private boolean isBusy(int first, int count) {
    for (int s = first; s < first + count; s++) {
      if (busy[s]) {
        return true;
      }
    }
    return false;
  }

  private static void check(boolean condition, String message) {
    if (!condition) {
      throw new AssertionError(message);
    }
  }
}
