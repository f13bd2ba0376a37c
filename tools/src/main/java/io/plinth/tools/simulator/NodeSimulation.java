package io.plinth.tools.simulator;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.node.NodeException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.tools.simulator.check.Digest;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
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

  private static final int MAIN_SECTORS = 8 * 600 + 3;
  private static final int EXTRA_MAX_BLOCKS = 120;
  private static final String MAIN = "v";
  private static final String EXTRA = "w";

  private static final int SLOW_SYNC_NS = 20_000_000;
  private static final int SLOW_READ_NS = 5_000_000;

  /** Longer than it takes until the log notes an idle volume's durable position. */
  private static final int IDLE_CYCLES = 3000;

  private static final int FULL_STEPS = 150;
  private static final int READ_SECTORS = 64;
  private static final int BLOCK_SECTORS = VolumeModel.SECTORS_PER_BLOCK;

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
  private final Map<Fault, Long> earlierFaults = new EnumMap<>(Fault.class);
  private final TreeMap<String, SimVolume> volumes = new TreeMap<>();
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
    this.flushPerMille = random.oneIn(3) ? 3 : 42;
    this.residentBytes = random.oneIn(2) ? (1L + random.nextInt(3)) * SEGMENT_BYTES : 1 << 30;
  }

  /**
   * Runs.
   *
   * @throws Violation when the node breaks a promise
   */
  Result run(int steps) {
    note("faults: " + atlas + ", resident bytes: " + residentBytes);
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
    settleCatalogue(false);
    int choice = random.nextInt(1000);
    if (choice < 8) {
      crash();
    } else if (choice < 10) {
      reopenInOrder();
    } else if (choice < 25) {
      damageDisk();
    } else if (choice < 30) {
      changeCatalogue();
    } else if (choice < 38) {
      idle();
    } else if (choice < 38 + flushPerMille) {
      client.beginFlush(pick());
    } else if (choice < 320) {
      client.beginRead(pick());
    } else {
      note(client.beginChange(pick()));
    }
    for (int i = random.nextInt(3); i > 0; i--) {
      sim.cycle();
    }
    renewWhenFull();
  }

  /** Lets what is on its way end, checks everything once more, and sums up. */
  private Result end() {
    client.finish();
    settleCatalogue(true);
    if (syncWillFail) {
      volumes.values().stream().filter(SimVolume::isUsable).forEach(this::readThrough);
    } else {
      reopenInOrder();
    }
    Digest digest = new Digest();
    for (SimVolume volume : volumes.values()) {
      volume.model.digest(digest);
    }
    digest.accept(earlierCycles + sim.cycles());
    digest.accept(client.operations());
    digest.accept(disk.checksum());
    return new Result(client.operations(), allFaults(), digest.value());
  }

  /** Most requests go to the volume that is always there. */
  private SimVolume pick() {
    SimVolume extra = volumes.get(EXTRA);
    boolean takeExtra = extra != null && extra.isUsable() && random.oneIn(4);
    return takeExtra ? extra : volumes.get(MAIN);
  }

  private void idle() {
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
      note(damage.inject(kinds.get(random.nextInt(kinds.size())), volumes.values()));
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
      volumes.values().forEach(volume -> volume.model.crashed());
    } while (!start(random.oneIn(4)));
    client.connect(disk, sim);
    boolean unsure = volumes.values().stream().anyMatch(volume -> !volume.isUsable());
    for (SimVolume volume : List.copyOf(volumes.values())) {
      if (find(volume, power)) {
        recover(volume, power);
      }
    }
    findNoOthers();
    if (unsure && !volumes.containsKey(EXTRA)) {
      // A deletion that is there without being durable could be taken back by the next crash.
      reopenInOrder();
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

  /** Closes the log in order and opens it again: everything must be as it was. */
  private void reopenInOrder() {
    if (syncWillFail) {
      return;
    }
    note("reopened in order");
    client.finish();
    settleCatalogue(true);
    Map<String, String> allocations = new TreeMap<>();
    volumes.values().forEach(volume -> allocations.put(volume.name, allocation(volume)));
    sim.close();
    for (SimVolume volume : volumes.values()) {
      volume.model.closed();
      volume.mayVanish = false;
    }
    start(false);
    client.connect(disk, sim);
    for (SimVolume volume : volumes.values()) {
      volume.model.crashed();
      find(volume, false);
      if (!allocation(volume).equals(allocations.get(volume.name))) {
        throw new Violation(
            Guarantee.REPLAY,
            "volume " + volume.name + " has another allocation than before it was closed");
      }
      recover(volume, false);
    }
    findNoOthers();
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

  /** Finds a volume after a start; one that was being created or deleted may be there or not. */
  private boolean find(SimVolume volume, boolean power) {
    LogVolume found = sim.node().findVolume(volume.name);
    volume.handle = found;
    if (found == null) {
      if (volume.isUsable() && !(power && volume.mayVanish)) {
        throw new Violation(Guarantee.CATALOGUE, "volume " + volume.name + " is gone");
      }
      volumes.remove(volume.name);
      return false;
    }
    volume.mayVanish = !power && (volume.mayVanish || !volume.isUsable());
    volume.state = SimVolume.State.PRESENT;
    if (found.sizeBytes() != (long) volume.model.sectors() * SimRequest.SECTOR_BYTES
        || found.flushPolicy() != volume.policy) {
      throw new Violation(
          Guarantee.CATALOGUE, "volume " + volume.name + " has another size or policy");
    }
    return true;
  }

  private void findNoOthers() {
    for (LogVolume volume : sim.node().volumes()) {
      if (!volumes.containsKey(volume.name())) {
        throw new Violation(Guarantee.CATALOGUE, "volume " + volume.name() + " has come back");
      }
    }
  }

  private void recover(SimVolume volume, boolean power) {
    int sectors = volume.model.sectors();
    long[] stamps = new long[sectors];
    boolean[] failed = new boolean[(sectors + BLOCK_SECTORS - 1) / BLOCK_SECTORS];
    for (int first = 0; first < sectors; first += READ_SECTORS) {
      int end = Math.min(sectors, first + READ_SECTORS);
      if (read(volume, first, end, stamps)) {
        continue;
      }
      for (int at = first; at < end; at += BLOCK_SECTORS) {
        failed[at / BLOCK_SECTORS] = !read(volume, at, Math.min(end, at + BLOCK_SECTORS), stamps);
      }
    }
    volume.model.recovered(power, stamps, failed);
  }

  /** Reads sectors; returns false when that fails with EIO. */
  private boolean read(SimVolume volume, int first, int end, long[] stamps) {
    SimRequest request = new SimRequest(Operation.READ, first, end - first, 0);
    int status = sim.run(volume.handle, request);
    client.countOperation();
    if (status == Status.EIO) {
      return false;
    }
    if (status != Status.OK) {
      throw new Violation(Guarantee.PROGRESS, "READ failed with " + Status.name(status));
    }
    System.arraycopy(request.takeStamps(), 0, stamps, first, end - first);
    return true;
  }

  /** Reads all of a volume without a crash before it. */
  private void readThrough(SimVolume volume) {
    for (int first = 0; first < volume.model.sectors(); first += READ_SECTORS) {
      client.beginRead(volume, first, Math.min(READ_SECTORS, volume.model.sectors() - first));
      client.finish();
    }
  }

  private String allocation(SimVolume volume) {
    SimRequest request = new SimRequest(Operation.BLOCK_STATUS, 0, volume.model.sectors(), 0);
    if (sim.run(volume.handle, request) != Status.OK) {
      throw new Violation(Guarantee.PROGRESS, "BLOCK_STATUS failed");
    }
    client.countOperation();
    StringBuilder result = new StringBuilder();
    for (int i = 0; i < request.extents.count(); i++) {
      result.append(request.extents.length(i)).append(':').append(request.extents.state(i));
      result.append(' ');
    }
    CompletableFuture<Long> mapped = sim.node().mappedBytes(volume.handle);
    sim.await(mapped::isDone);
    return result.append(mapped.resultNow()).toString();
  }

  /** Creates the second volume or deletes it. */
  private void changeCatalogue() {
    SimVolume extra = volumes.get(EXTRA);
    if (sim.storage().hasFailedSync()) {
      return;
    }
    if (extra == null) {
      int sectors = 1 + random.nextInt(EXTRA_MAX_BLOCKS * BLOCK_SECTORS);
      extra = new SimVolume(EXTRA, sectors, policy(), damage.damaged());
      volumes.put(EXTRA, extra);
      beginCreation(extra);
    } else if (extra.isUsable() && !client.isUsing(extra)) {
      extra.state = SimVolume.State.DELETING;
      extra.mustSucceed = client.takeReserved();
      extra.transition = sim.node().deleteVolume(EXTRA, false);
      note("deletion of " + EXTRA);
    }
  }

  private void beginCreation(SimVolume volume) {
    client.takeReserved();
    volume.transition =
        sim.node()
            .createVolume(
                volume.name,
                (long) volume.model.sectors() * SimRequest.SECTOR_BYTES,
                volume.policy);
    note("creation of " + volume.name);
  }

  /** Looks whether a creation or deletion has ended. */
  private void settleCatalogue(boolean wait) {
    for (SimVolume volume : List.copyOf(volumes.values())) {
      if (volume.isUsable()) {
        continue;
      }
      if (wait) {
        sim.await(volume.transition::isDone);
      }
      if (volume.transition.isDone()) {
        settle(volume);
      }
    }
  }

  private void settle(SimVolume volume) {
    client.countOperation();
    boolean creating = volume.state == SimVolume.State.CREATING;
    boolean there = creating;
    if (volume.transition.isCompletedExceptionally()) {
      there = !creating;
      excuse(volume, volume.transition.exceptionNow());
    }
    if (there) {
      volume.state = SimVolume.State.PRESENT;
      volume.handle = sim.node().findVolume(volume.name);
    } else {
      volumes.remove(volume.name);
    }
  }

  private void excuse(SimVolume volume, Throwable failure) {
    boolean excused =
        failure instanceof NodeException refusal
            && switch (refusal.reason()) {
              case NO_SPACE -> disk.isFull() && !volume.mustSucceed;
              case UNAVAILABLE -> sim.storage().hasFailedSync();
              default -> false;
            };
    if (!excused) {
      throw new Violation(
          disk.isFull() ? Guarantee.G8 : Guarantee.CATALOGUE,
          volume.state + " volume " + volume.name + " has failed: " + failure.getMessage());
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
    settleCatalogue(true);
    disk.limitSegments(Integer.MAX_VALUE);
    if (disk.isFull() || random.oneIn(2)) {
      sim.close();
      renewDisk();
    } else {
      reopenInOrder();
    }
  }

  /** Begins with an empty disk. */
  private void renewDisk() {
    release();
    note("an empty disk");
    volumes.clear();
    disk = new SimDisk(SEGMENT_BYTES, MIN_SEGMENTS + random.nextInt(MAX_SEGMENTS - MIN_SEGMENTS));
    damage = new DiskDamage(random, disk);
    sim = new SimNode(disk, random, plantedBugs);
    sim.residentBytes(residentBytes);
    sim.slowDevice(
        atlas.has(Fault.SLOW_SYNC) ? SLOW_SYNC_NS : 0,
        atlas.has(Fault.SLOW_READ) ? SLOW_READ_NS : 0);
    while (!start(mayCrash() && random.oneIn(4))) {
      crashOnce();
    }
    client.connect(disk, sim);
    SimVolume main = new SimVolume(MAIN, MAIN_SECTORS, policy(), damage.damaged());
    volumes.put(MAIN, main);
    beginCreation(main);
    settleCatalogue(true);
  }

  private FlushPolicy policy() {
    return random.oneIn(4) ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
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
