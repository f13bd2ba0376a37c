package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VolumeSettings;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * What a store counts as it goes equals what a walk of its index finds, whatever was done to its
 * volumes, with the cleaner at work, and over kills.
 */
class IndexWalkSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int SEGMENTS = 48;
  private static final long VOLUME_BYTES = 4L << 20;
  private static final int SEEDS = 12;
  private static final int STEPS = 900;

  private SimRandom random;
  private SimNode sim;
  private int lastName;

  @Test
  void theCountsOfTheStoreAreThoseOfAWalk() {
    long moved = 0;
    for (long seed = 1; seed <= SEEDS; seed++) {
      try {
        moved += new IndexWalkSimTest().run(seed, Set.of());
      } catch (Exception | AssertionError e) {
        throw new AssertionError("seed " + seed, e);
      }
    }
    assertThat(moved).as("blocks that the cleaner has moved").isPositive();
  }

  @Test
  void aSnapshotWhosePagesAreNotCountedIsCaught() {
    PlantedBug bug = PlantedBug.LOSE_SNAPSHOT_REFERENCE;
    for (long seed = 1; seed <= SEEDS; seed++) {
      try {
        long _ = new IndexWalkSimTest().run(seed, Set.of(bug));
      } catch (Exception | AssertionError e) {
        return;
      }
    }
    throw new AssertionError(bug + " was not caught by " + SEEDS + " seeds");
  }

  /** Returns how many blocks the cleaner has moved since the last start. */
  private long run(long seed, Set<PlantedBug> plantedBugs) throws Exception {
    random = new SimRandom(seed);
    SimDisk disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
    sim = new SimNode(disk, random, plantedBugs);
    sim.residentBytes(random.oneIn(2) ? 2 * SEGMENT_BYTES : 1 << 30);
    sim.start(SimNode.CYCLE_LIMIT);
    await(sim.node().createVolume("v", VOLUME_BYTES, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    for (int step = 0; step < STEPS; step++) {
      step();
      if (random.oneIn(60)) {
        long _ = IndexCheck.run(sim);
      }
      if (random.oneIn(250)) {
        sim.kill();
        sim.start(SimNode.CYCLE_LIMIT);
        long _ = IndexCheck.run(sim);
      }
    }
    long moved = sim.node().logStatistics().get(0).movedBlocks();
    long _ = IndexCheck.run(sim);
    sim.close();
    disk.close();
    return moved;
  }

  private void step() {
    List<LogVolume> volumes = sim.node().volumes();
    LogVolume volume = volumes.get(random.nextInt(volumes.size()));
    List<SnapshotVolume> snapshots = volume.snapshots();
    String name = volume.name();
    String snapshot =
        snapshots.isEmpty() ? null : snapshots.get(random.nextInt(snapshots.size())).snapshotName();
    switch (random.nextInt(40)) {
      case 0, 1 -> await(sim.node().createSnapshot(name, "s" + ++lastName));
      case 2, 3 -> {
        if (snapshots.size() > 2) {
          await(sim.node().deleteSnapshot(name, snapshot, false));
        }
      }
      case 4 -> {
        if (snapshot != null) {
          await(sim.node().rollback(name, snapshot, false));
        }
      }
      case 5 -> {
        if (volumes.size() < 4) {
          String source = snapshot == null ? name : name + "@" + snapshot;
          await(sim.node().cloneVolume(source, "c" + ++lastName, FlushPolicy.FLUSH));
        }
      }
      case 6 -> {
        if (volumes.size() > 2) {
          await(sim.node().deleteVolume(name, true));
        }
      }
      case 7 -> {
        long blocks = 1L + random.nextInt((int) (2 * VOLUME_BYTES / 4096));
        await(sim.node().resizeVolume(name, blocks * 4096, true));
      }
      default -> change(volume);
    }
  }

  private void change(LogVolume volume) {
    long sectors = volume.sizeBytes() / 512;
    int count = (int) Math.min(sectors, 1 + random.nextInt(random.oneIn(8) ? 400 : 48));
    long first = random.nextInt((int) (sectors - count + 1));
    Operation operation =
        switch (random.nextInt(12)) {
          case 0 -> Operation.TRIM;
          case 1 -> Operation.WRITE_ZEROES;
          default -> Operation.WRITE;
        };
    SimRequest request = new SimRequest(operation, first, count, 1);
    request.noHole = random.oneIn(2);
    int status = sim.run(volume, request);
    assertThat(status).as("status of %s", operation).isZero();
    for (int i = random.nextInt(20); i > 0; i--) {
      sim.cycle();
    }
  }

  private void await(CompletableFuture<?> future) {
    sim.await(future::isDone);
    if (future.isCompletedExceptionally()) {
      throw new AssertionError(future.exceptionNow());
    }
  }
}
