package io.plinth.tools.simulator;

import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.tools.simulator.check.Digest;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;

/**
 * A seeded run of one node: random requests and faults, checked against models of its volumes. One
 * thread; equal seeds and steps give equal runs.
 */
final class NodeSimulation {
  private static final int SEGMENT_BYTES = 1 << 20;

  /**
   * Segments of the log at most, from so few that the cleaner must work to so many that it need
   * not.
   */
  private static final int MIN_SEGMENTS = 10;

  private static final int MAX_SEGMENTS = 32;

  private static final int PAGE_BYTES = 4096;
  private static final int SLOW_SYNC_NS = 20_000_000;
  private static final int SLOW_READ_NS = 5_000_000;

  /** Longer than it takes until the log notes an idle volume's durable position. */
  private static final int IDLE_CYCLES = 3000;

  /** Longer than it takes until the log is cleaned for the sake of others. */
  private static final long SLEEP_NS = 2_000_000_000L;

  private static final int FULL_STEPS = 150;
  private static final List<Fault> DAMAGE =
      List.of(Fault.BIT_ROT, Fault.READ_ERROR, Fault.MISDIRECTED_WRITE, Fault.HEADER_ROT);

  /**
   * What a run did.
   *
   * @param operations requests that were answered
   * @param faults how often each fault happened
   * @param digest of what the volumes and the disk hold at the end, and of when that was
   */
  record Result(long operations, Map<Fault, Long> faults, long digest) {}

  private final SimRandom random;
  private final Set<PlantedBug> plantedBugs;
  private final Consumer<String> trace;
  private final LongAdder stepCount;
  private final FaultAtlas atlas;
  private final SimClient client;
  private final int flushPerMille;
  private final long residentBytes;
  private final long indexBytes;
  private final long retentionMs;
  private final Map<Fault, Long> earlierFaults = new EnumMap<>(Fault.class);
  private final SimCatalogue catalogue;
  private long earlierCycles;
  private long step;
  private SimDisk disk;
  private DiskDamage damage;
  private SimNode sim;
  private int fullSteps;
  private boolean syncWillFail;

  /**
   * Creates a run.
   *
   * @param trace is told what happens, a line for each event; null for silence
   * @param stepCount counts the steps as they are done
   */
  NodeSimulation(
      long seed, Set<PlantedBug> plantedBugs, Consumer<String> trace, LongAdder stepCount) {
    this.random = new SimRandom(seed);
    this.plantedBugs = plantedBugs;
    this.trace = trace;
    this.stepCount = stepCount;
    this.atlas = FaultAtlas.choose(random);
    this.client = new SimClient(random);
    this.catalogue = new SimCatalogue(random, client, this::note);
    this.flushPerMille = random.oneIn(3) ? 3 : 42;
    // Taken from the seed itself, so that all else is as it would be without.
    this.retentionMs = seed % 4 == 0 ? 1 + seed % 60 : 0;
    this.indexBytes = seed % 3 == 0 ? (1 + seed % 5) * PAGE_BYTES : 0;
    this.residentBytes = random.oneIn(2) ? (1L + random.nextInt(3)) * SEGMENT_BYTES : 1 << 30;
  }

  /**
   * Runs.
   *
   * @throws Violation when the node breaks a promise
   */
  Result run(int steps) {
    note(
        "faults: "
            + atlas
            + ", resident bytes: "
            + residentBytes
            + ", index bytes: "
            + indexBytes
            + ", retention: "
            + retentionMs
            + " ms");
    try {
      renewDisk();
      int fullAt = atlas.has(Fault.FULL_DISK) ? random.nextInt(steps) : -1;
      int failAt = atlas.has(Fault.FAILED_SYNC) ? steps / 2 + random.nextInt(steps / 2 + 1) : -1;
      for (step = 0; step < steps; step++) {
        if (step == fullAt) {
          disk.limitSegments(disk.slots().size() + random.nextInt(3));
          note("the disk is limited to what it has, or a little more");
        }
        if (step == failAt) {
          syncWillFail = true;
          sim.storage().failOneSync();
          note("the next sync will fail");
        }
        step();
        stepCount.increment();
      }
      return end();
    } finally {
      release();
    }
  }

  private void step() {
    client.collect();
    catalogue.settle(false);
    int choice = random.nextInt(1000);
    if (choice < 8) {
      crash();
    } else if (choice < 10) {
      reopen(!mayKill() || random.oneIn(2));
    } else if (choice < 25) {
      damageDisk();
    } else if (choice < 30) {
      catalogue.toggleExtra();
    } else if (choice < 38) {
      idle();
    } else if (choice < 58) {
      catalogue.change();
    } else if (choice < 60) {
      long _ = IndexCheck.run(sim);
    } else if (choice < 70) {
      catalogue.changeSettings();
    } else {
      request(choice - 70);
    }
    for (int i = random.nextInt(3); i > 0; i--) {
      sim.cycle();
    }
    renewWhenFull();
  }

  private void request(int choice) {
    SimVolume volume = choice < 280 ? catalogue.pickToRead() : catalogue.pick();
    if (volume == null) {
      return;
    }
    if (choice < flushPerMille && !volume.isSnapshot()) {
      client.beginFlush(volume);
    } else if (choice < 280) {
      client.beginRead(volume);
    } else {
      note(client.beginChange(volume));
    }
  }

  /** Lets what is on its way end, checks everything once more, and sums up. */
  private Result end() {
    client.finish();
    catalogue.settle(true);
    if (syncWillFail) {
      catalogue.all().stream().filter(SimVolume::isUsable).forEach(catalogue.reader()::readThrough);
    } else {
      reopen(true);
    }
    Digest digest = new Digest();
    for (SimVolume volume : catalogue.all()) {
      volume.model.digest(digest);
    }
    if (!syncWillFail) {
      catalogue.deleteAll();
      // Trees are freed bit by bit.
      idle();
      reopen(true);
      catalogue.checkEmpty();
    }
    digest.accept(earlierCycles + sim.cycles());
    digest.accept(client.operations());
    digest.accept(disk.checksum());
    return new Result(client.operations(), allFaults(), digest.value());
  }

  private void idle() {
    if (random.oneIn(4)) {
      sim.sleep(SLEEP_NS);
    }
    for (int i = 0; i < IDLE_CYCLES; i++) {
      sim.cycle();
    }
  }

  private void damageDisk() {
    List<Fault> kinds = new ArrayList<>();
    for (Fault kind : DAMAGE) {
      if (atlas.has(kind)) {
        kinds.add(kind);
      }
    }
    if (!kinds.isEmpty()) {
      note(damage.inject(kinds.get(random.nextInt(kinds.size())), catalogue.all()));
    }
  }

  /** Crashes, starts again, perhaps crashes while starting, and judges what is there. */
  private void crash() {
    if (!mayCrash()) {
      return;
    }
    boolean power = false;
    do {
      boolean cut = crashOnce();
      power |= cut;
      catalogue.crashed();
    } while (!start(random.oneIn(4)));
    client.connect(disk, sim);
    if (catalogue.recover(power)) {
      reopen(true);
    }
  }

  private boolean mayCrash() {
    return !syncWillFail && (atlas.has(Fault.PROCESS_CRASH) || atlas.has(Fault.POWER_CUT));
  }

  /** Lets the process die or the machine lose power; returns whether it was power. */
  private boolean crashOnce() {
    boolean kills = atlas.has(Fault.PROCESS_CRASH);
    boolean cut = atlas.has(Fault.POWER_CUT) && (!kills || random.oneIn(2));
    note(cut ? "power cut" : "process crash");
    if (cut) {
      sim.losePower();
    } else {
      sim.kill();
    }
    return cut;
  }

  private boolean mayKill() {
    return atlas.has(Fault.PROCESS_CRASH);
  }

  /**
   * Ends the node with nothing on its way and opens it again: everything must be as it was.
   *
   * @param inOrder whether the log is closed in order, with a checkpoint, or replayed
   */
  private void reopen(boolean inOrder) {
    if (syncWillFail) {
      return;
    }
    note(inOrder ? "reopened in order" : "killed with nothing on its way");
    client.finish();
    catalogue.settle(true);
    Map<String, String> allocations = new TreeMap<>();
    for (SimVolume volume : catalogue.all()) {
      allocations.put(volume.name, catalogue.reader().allocation(volume));
    }
    if (inOrder) {
      sim.close();
      catalogue.all().forEach(volume -> volume.model.closed());
    } else {
      sim.kill();
    }
    catalogue.crashed();
    boolean _ = start(false);
    client.connect(disk, sim);
    catalogue.reopened(inOrder);
    for (SimVolume volume : catalogue.all()) {
      if (!catalogue.reader().allocation(volume).equals(allocations.get(volume.name))) {
        throw new Violation(
            Guarantee.REPLAY, volume.name + " has another allocation than before the node ended");
      }
    }
  }

  /**
   * Starts the node; where it refuses because of a header that rotted, mends that first.
   *
   * @param interrupted whether it may be given up before the log is open
   * @return whether the log is open
   */
  private boolean start(boolean interrupted) {
    int cycles = interrupted ? random.nextInt(60) : SimNode.CYCLE_LIMIT;
    try {
      if (sim.start(cycles)) {
        return true;
      }
      if (!interrupted) {
        throw new Violation(Guarantee.PROGRESS, "the log is not open after " + cycles + " cycles");
      }
      return false;
    } catch (RecoveryException e) {
      note("refused: " + e.getMessage());
      if (!damage.hasRottenHeader()) {
        throw new Violation(Guarantee.G6, "the node does not start: " + e.getMessage());
      }
      damage.mendHeader();
      return start(interrupted);
    }
  }

  /** Ends a full disk after a while: it gets more room, or the log is made anew. */
  private void renewWhenFull() {
    if (!disk.isLimited() || !disk.isFull() || syncWillFail) {
      fullSteps = 0;
      return;
    }
    if (++fullSteps < FULL_STEPS) {
      return;
    }
    fullSteps = 0;
    client.finish();
    catalogue.settle(true);
    disk.limitSegments(Integer.MAX_VALUE);
    if (disk.isFull() || random.oneIn(2)) {
      sim.close();
      renewDisk();
    } else {
      reopen(true);
    }
  }

  /** Begins with an empty disk. */
  private void renewDisk() {
    release();
    note("an empty disk");
    int segments = MIN_SEGMENTS + random.nextInt(MAX_SEGMENTS - MIN_SEGMENTS);
    disk = new SimDisk(SEGMENT_BYTES, segments);
    damage = new DiskDamage(random, disk);
    sim = new SimNode(disk, random, plantedBugs);
    sim.residentBytes(residentBytes);
    sim.indexBytes(indexBytes);
    sim.retention(retentionMs);
    sim.slowDevice(
        atlas.has(Fault.SLOW_SYNC) ? SLOW_SYNC_NS : 0,
        atlas.has(Fault.SLOW_READ) ? SLOW_READ_NS : 0);
    while (!start(mayCrash() && random.oneIn(4))) {
      crashOnce();
    }
    client.connect(disk, sim);
    catalogue.begin(disk, segments, sim, damage.damaged());
  }

  /** Frees the memory of the machine, and keeps its counts. */
  private void release() {
    if (disk == null) {
      return;
    }
    earlierFaults.putAll(allFaults());
    earlierCycles += sim.cycles();
    sim.free();
    disk.close();
    disk = null;
  }

  private Map<Fault, Long> allFaults() {
    Map<Fault, Long> faults = new EnumMap<>(Fault.class);
    faults.putAll(earlierFaults);
    disk.faults().forEach((fault, count) -> faults.merge(fault, count, Long::sum));
    return faults;
  }

  private void note(String event) {
    if (trace != null && event != null) {
      trace.accept("step " + step + ": " + event);
    }
  }
}
