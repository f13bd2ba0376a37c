package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogPoint;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Moment;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * A volume is restored as it was at moments that the log still tells, after snapshots, rollbacks,
 * resizes, with the cleaner at work, and over kills and losses of power.
 */
class RestoreSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int SEGMENTS = 72;
  private static final int SEEDS = 100;
  private static final int STEPS = 500;
  private static final int MAX_BLOCKS = 900;
  private static final long BLOCK_SECTORS = 8;
  private static final int READ_BLOCKS = 50;
  private static final long RETENTION_MS = 150;

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
  private SimRandom random;
  private SimNode sim;
  private boolean retains;

  /** The stamp of each block of the volume after a batch, until the next one that is here. */
  private final TreeMap<Long, long[]> byPosition = new TreeMap<>();

  private final TreeMap<Long, long[]> byTime = new TreeMap<>();
  private final TreeMap<String, long[]> snapshots = new TreeMap<>();
  private long[] contents = new long[MAX_BLOCKS / 2];
  private long lastStamp;
  private int lastName;
  private int restored;
  private int refused;

  @Test
  void aVolumeIsRestoredAsItWas() throws Exception {
    int restores = 0;
    int refusals = 0;
    for (long seed = 1; seed <= SEEDS; seed++) {
      RestoreSimTest test = new RestoreSimTest();
      try {
        test.run(seed, Set.of());
      } catch (Exception | AssertionError e) {
        throw new AssertionError("seed " + seed, e);
      }
      restores += test.restored;
      refusals += test.refused;
    }
    assertThat(restores).as("moments looked at").isGreaterThan(SEEDS * 5);
    assertThat(refusals).as("moments that the log does not tell any more").isPositive();
  }

  @Test
  void aRestoreThatForgetsTrimsIsCaught() {
    for (long seed = 1; seed <= SEEDS; seed++) {
      try {
        new RestoreSimTest().run(seed, Set.of(PlantedBug.RESTORE_FORGETS_UNMAP));
      } catch (Exception | AssertionError e) {
        return;
      }
    }
    throw new AssertionError("not caught by " + SEEDS + " seeds");
  }

  /** What history holds does not fit beside the volume: writes go on, with less history. */
  @Test
  void historyGivesWayToWrites() throws Exception {
    SimDisk small = new SimDisk(SEGMENT_BYTES, 24);
    random = new SimRandom(3);
    sim = new SimNode(small, random, Set.of());
    sim.retention(1000);
    sim.start(SimNode.CYCLE_LIMIT);
    contents = new long[2048];
    await(
        sim.node()
            .createVolume("v", contents.length * 4096L, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    int most = 0;
    for (int round = 0; round < 80; round++) {
      for (int first = 0; first < contents.length; first += 64) {
        SimRequest request =
            new SimRequest(Operation.WRITE, first * BLOCK_SECTORS, 64 * BLOCK_SECTORS, ++lastStamp);
        assertThat(sim.run(sim.node().find("v"), request)).isEqualTo(Status.OK);
        Arrays.fill(contents, first, first + 64, lastStamp);
      }
      most = Math.max(most, volume().snapshots().size());
      long before = nowMs();
      sim.await(() -> nowMs() > before + 20);
    }
    assertThat(most).as("snapshots for the history at a time").isBetween(1, 3);
    check("v", contents);
    sim.kill();
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    check("v", contents);
    sim.free();
    small.close();
  }

  @Test
  void historyOfManyVolumesIsTakenAndGivenBackInTime() throws Exception {
    sim = new SimNode(disk, new SimRandom(4), Set.of());
    sim.retention(200);
    sim.start(SimNode.CYCLE_LIMIT);
    for (int i = 0; i < 40; i++) {
      await(
          sim.node()
              .createVolume(
                  i == 0 ? "v" : "v" + i, 4096, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    }
    for (int round = 0; round < 20; round++) {
      long before = nowMs();
      sim.await(() -> nowMs() > before + 100);
      if (round < 3) {
        continue;
      }
      for (LogVolume volume : sim.node().volumes()) {
        // Four in the time, one from before it, and those that are on their way.
        assertThat(volume.snapshots()).as("snapshots of %s", volume.name()).hasSizeBetween(4, 7);
      }
    }
    sim.free();
    disk.close();
  }

  private void run(long seed, Set<PlantedBug> plantedBugs) throws Exception {
    random = new SimRandom(seed);
    sim = new SimNode(disk, random, plantedBugs);
    retains = seed % 2 == 0;
    sim.retention(retains ? RETENTION_MS : 0);
    // In a third of them there is hardly room for the index in memory.
    sim.indexBytes(seed % 3 == 0 ? 2 * 4096 : 0);
    sim.start(SimNode.CYCLE_LIMIT);
    await(
        sim.node()
            .createVolume("v", contents.length * 4096L, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    note();
    for (int step = 1; step <= STEPS; step++) {
      step();
      note();
      if (random.oneIn(40)) {
        restart();
      }
      if (random.oneIn(25)) {
        restoreAndCheck();
      }
    }
    if (retains) {
      assertKept();
    }
    await(sim.node().deleteVolume("v", true));
    for (LogVolume volume : sim.node().volumes()) {
      await(sim.node().deleteVolume(volume.name(), true));
    }
    assertThat(IndexCheck.run(sim)).as("live blocks of data").isZero();
    sim.free();
    disk.close();
  }

  private void step() {
    switch (random.nextInt(14)) {
      case 0 -> {
        // Not so many that there is no space for history.
        if (snapshots.size() < 4) {
          String name = "s" + ++lastName;
          await(sim.node().createSnapshot("v", name));
          snapshots.put(name, contents.clone());
        }
      }
      case 1 -> {
        if (!snapshots.isEmpty()) {
          String name = any();
          snapshots.remove(name);
          await(sim.node().deleteSnapshot("v", name, false));
        }
      }
      case 2 -> {
        if (!snapshots.isEmpty() && random.oneIn(3)) {
          String name = any();
          contents = snapshots.get(name).clone();
          await(sim.node().rollback("v", name, false));
        }
      }
      case 3 -> {
        int blocks = 100 + random.nextInt(MAX_BLOCKS - 100);
        contents = Arrays.copyOf(contents, blocks);
        await(sim.node().resizeVolume("v", blocks * 4096L, true));
      }
      case 4, 5 -> change("v", contents, Operation.TRIM);
      default -> change("v", contents, Operation.WRITE);
    }
  }

  private String any() {
    List<String> names = List.copyOf(snapshots.keySet());
    return names.get(random.nextInt(names.size()));
  }

  private void change(String name, long[] blocks, Operation operation) {
    int count = 1 + random.nextInt(60);
    int first = random.nextInt(blocks.length - count);
    long stamp = ++lastStamp;
    SimRequest request =
        new SimRequest(operation, first * BLOCK_SECTORS, count * BLOCK_SECTORS, stamp);
    assertThat(sim.run(sim.node().find(name), request)).isEqualTo(Status.OK);
    Arrays.fill(blocks, first, first + count, operation == Operation.WRITE ? stamp : 0);
  }

  /** Nothing is on its way: the volume is now what it was after the newest batch. */
  private void note() {
    byPosition.put(position(), contents.clone());
    byTime.put(nowMs(), contents.clone());
    long before = nowMs();
    // The next change has another time.
    sim.await(() -> nowMs() > before);
  }

  private long position() {
    return sim.node().position(volume());
  }

  private LogVolume volume() {
    return sim.node().findVolume("v");
  }

  private long nowMs() {
    return volume().core().clock().epochMs();
  }

  private void restart() throws Exception {
    switch (random.nextInt(3)) {
      case 0 -> sim.close();
      case 1 -> sim.kill();
      default -> {
        // Else batches are written again that were noted here.
        SimRequest flush = new SimRequest(Operation.FLUSH, 0, 0, 0);
        assertThat(sim.run(sim.node().find("v"), flush)).isEqualTo(Status.OK);
        sim.losePower();
      }
    }
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    check("v", contents);
  }

  private void restoreAndCheck() throws Exception {
    boolean inTime = random.oneIn(2);
    TreeMap<Long, long[]> known = inTime ? byTime : byPosition;
    List<Long> moments = List.copyOf(known.keySet());
    // Mostly of late, where the log is there.
    int back = random.nextInt(random.oneIn(3) ? moments.size() : Math.min(60, moments.size()));
    long at = moments.get(moments.size() - 1 - back);
    String name = "r" + ++lastName;
    Moment moment = inTime ? Moment.ofTime(at) : Moment.ofPosition(at);
    CompletableFuture<LogVolume> result =
        sim.node().restoreVolume("v", moment, name, FlushPolicy.FLUSH);
    sim.await(result::isDone);
    if (result.isCompletedExceptionally()) {
      String message = result.exceptionNow().getMessage();
      assertThat(message).startsWith("can't restore volume v: ");
      // Asked afterwards, because of what was freed meanwhile.
      LogPoint from = volume().restorableFrom();
      boolean told = from != null && at >= (inTime ? from.epochMs() : from.batch());
      assertThat(!told || message.contains("rolled back to snapshot"))
          .as("%s at %s, the log tells from %s: %s", inTime ? "time" : "batch", at, from, message)
          .isTrue();
      refused++;
      return;
    }
    restored++;
    Map.Entry<Long, long[]> then = known.floorEntry(at);
    long[] expected = then.getValue().clone();
    check(name, expected);
    check("v", contents);
    if (random.oneIn(2)) {
      change(name, expected, Operation.WRITE);
    }
    if (random.oneIn(3)) {
      restart();
    }
    check(name, expected);
    long _ = IndexCheck.run(sim);
    if (random.oneIn(2) || sim.node().volumes().size() > 4) {
      await(sim.node().deleteVolume(name, true));
    }
  }

  /** What nobody asked for is not seen, and keeps the log for as long as was asked for. */
  private void assertKept() {
    assertThat(volume().visibleSnapshots())
        .extracting(SnapshotVolume::snapshotName)
        .containsExactlyInAnyOrderElementsOf(snapshots.keySet());
    assertThat(sim.node().find("v@" + ".history-1")).isNull();
    assertThat(volume().restorableFrom()).isNotNull();
    assertThat(nowMs() - volume().restorableFrom().epochMs()).isGreaterThanOrEqualTo(RETENTION_MS);
  }

  private void check(String name, long[] expected) {
    Volume volume = sim.node().find(name);
    assertThat(volume.sizeBytes()).as(name).isEqualTo(expected.length * 4096L);
    long[] found = new long[expected.length];
    for (int first = 0; first < found.length; first += READ_BLOCKS) {
      int count = Math.min(READ_BLOCKS, found.length - first);
      SimRequest request =
          new SimRequest(Operation.READ, first * BLOCK_SECTORS, count * BLOCK_SECTORS, 0);
      assertThat(sim.run(volume, request)).isEqualTo(Status.OK);
      long[] stamps = request.takeStamps();
      for (int i = 0; i < count; i++) {
        found[first + i] = stamps[(int) (i * BLOCK_SECTORS)];
      }
    }
    assertThat(found).as(name).isEqualTo(expected);
  }

  private void await(CompletableFuture<?> future) {
    sim.await(future::isDone);
    if (future.isCompletedExceptionally()) {
      throw new AssertionError(future.exceptionNow());
    }
  }
}
