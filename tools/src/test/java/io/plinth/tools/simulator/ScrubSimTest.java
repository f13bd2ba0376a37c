package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.node.NodeScrub.LogScrub;
import io.plinth.target.volume.DamageReport.Damage;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.disk.LogImage;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A scrub tells of exactly what is damaged on the disk and alive, and whose it is, whatever clients
 * and the cleaner do meanwhile. What is so is found from outside: by a walk of the index and a look
 * at the simulated disk.
 */
class ScrubSimTest {
  private static final int BLOCK = 4096;
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int SEGMENT_BLOCKS = SEGMENT_BYTES / BLOCK;
  private static final int SEGMENTS = 20;
  private static final long VOLUME_BYTES = 4L << 20;
  private static final int SEEDS = 200;
  private static final int STEPS = 250;

  private static final Scrubber.Settings FAST = new Scrubber.Settings(512L << 20, 0);

  private SimRandom random;
  private SimDisk disk;
  private SimNode sim;
  private int lastName;
  private long movedBefore;
  private int damagedDead;
  private int found;
  private int damagedMeta;
  private long moved;
  private int unmoved;

  @Test
  void aPassTellsOfExactlyWhatIsDamagedAndAlive() {
    int allDead = 0;
    int allFound = 0;
    int allMeta = 0;
    long allMoved = 0;
    int allUnmoved = 0;
    for (long seed = 1; seed <= SEEDS; seed++) {
      ScrubSimTest run = new ScrubSimTest();
      try {
        run.run(seed, Set.of());
      } catch (Exception | AssertionError e) {
        throw new AssertionError("seed " + seed, e);
      }
      allDead += run.damagedDead;
      allFound += run.found;
      allMeta += run.damagedMeta;
      allMoved += run.moved;
      allUnmoved += run.unmoved;
    }
    assertThat(allDead).as("dead blocks that were damaged").isGreaterThan(SEEDS);
    assertThat(allFound).as("damaged blocks that were alive").isGreaterThan(SEEDS);
    assertThat(allMeta).as("damaged blocks of checkpoints").isPositive();
    assertThat(allMoved).as("blocks that the cleaner has moved during a pass").isPositive();
    assertThat(allUnmoved).as("passes without the cleaner").isGreaterThan(SEEDS);
  }

  @ParameterizedTest
  @EnumSource(
      value = PlantedBug.class,
      names = {"SCRUB_SKIPS_UNREADABLE", "SCRUB_REPORTS_DEAD"})
  void aScrubThatIsWrongIsCaught(PlantedBug bug) {
    for (long seed = 1; seed <= SEEDS; seed++) {
      try {
        new ScrubSimTest().run(seed, Set.of(bug));
      } catch (Exception | AssertionError e) {
        assertThat(e).as("seed %s", seed).isInstanceOf(AssertionError.class);
        return;
      }
    }
    throw new AssertionError(bug + " was not caught by " + SEEDS + " seeds");
  }

  /** Returns whether there is hardly room for the index in memory. */
  private static boolean isCold(long seed) {
    return seed % 3 == 0;
  }

  private void run(long seed, Set<PlantedBug> plantedBugs) throws Exception {
    random = new SimRandom(seed);
    disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
    sim = new SimNode(disk, random, plantedBugs);
    sim.residentBytes(random.oneIn(3) ? 1 << 30 : 2 * SEGMENT_BYTES);
    sim.scrub(FAST);
    sim.indexBytes(isCold(seed) ? 2 * BLOCK : 0);
    sim.start(SimNode.CYCLE_LIMIT);
    await(sim.node().createVolume("v", VOLUME_BYTES, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    work(STEPS);

    // In peace.
    injectDamage();
    startScrub();
    awaitScrub();
    check();

    // While clients and the cleaner are at work.
    injectDamage();
    if (!isCold(seed)) {
      // Where pages are not in memory it is the only copy.
      damageCheckpoint();
    }
    startScrub();
    while (scrubber().progress().running()) {
      step();
    }
    moved += movedBlocks() - movedBefore;
    // Clients have overwritten some of what was found.
    movedBefore = -1;
    check();
    awaitGoodCheckpoint();

    // The node dies in the middle.
    startScrub();
    for (int i = random.nextInt(40); i > 0; i--) {
      sim.cycle();
    }
    if (random.oneIn(2)) {
      sim.kill();
    } else {
      sim.losePower();
    }
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    assertThat(status().damage()).isEmpty();
    startScrub();
    awaitScrub();
    check();

    // What is written anew leaves the list.
    for (Damage damage : status().damage()) {
      damage.owners().stream()
          .filter(owner -> owner.snapshot() == null)
          .forEach(owner -> {
            LogVolume volume = sim.node().findVolume(owner.volume());
            long sectors = volume.sizeBytes() / 512;
            int count = (int) Math.min(8, sectors - owner.block() * 8);
            SimRequest request = new SimRequest(Operation.WRITE, owner.block() * 8, count, 1);
            int written = sim.run(volume, request);
            // A last block that is cut short by the end of the volume must be merged.
            assertThat(written).isIn(Status.OK, count < 8 ? Status.EIO : Status.OK);
          });
    }
    startScrub();
    awaitScrub();
    check();
    sim.close();
    disk.close();
  }

  private void startScrub() {
    movedBefore = movedBlocks();
    await(sim.node().scrub().start());
  }

  private void awaitScrub() {
    sim.await(() -> !scrubber().progress().running());
  }

  private long movedBlocks() {
    return sim.node().logStatistics().get(0).movedBlocks();
  }

  private boolean isAllDurable() {
    return sim.node().journal(0).sealedSequence() == sim.node().journal(0).durableSequence();
  }

  private Scrubber scrubber() {
    return sim.node().store(0).scrubber();
  }

  private LogScrub status() {
    CompletableFuture<List<LogScrub>> status = sim.node().scrub().status();
    await(status);
    return status.resultNow().getFirst();
  }

  /** Compares what the scrub tells with what is so. */
  private void check() throws RecoveryException {
    Scrubber.Pass pass = scrubber().progress().last();
    assertThat(pass.complete()).isTrue();
    Map<Long, String> reported = new TreeMap<>();
    long movedOnes;
    do {
      flush();
      movedOnes = movedBlocks();
      reported.clear();
      for (Damage damage : status().damage()) {
        if (damage.role().isEmpty()) {
          long place = (long) damage.segment() * SEGMENT_BLOCKS + damage.offset() / BLOCK;
          reported.put(place, describe(damage));
          assertThat(damage.blocks()).isEqualTo(1);
        }
      }
      // Once more when the cleaner has moved on meanwhile.
    } while (!isAllDurable() || movedBlocks() != movedOnes);
    IndexWalk walk = walk();
    Map<Long, Integer> live = live(walk, new TreeMap<>());
    Map<Long, String> expected = new TreeMap<>();
    live.forEach((place, checksum) -> {
      if (isDamaged(place, checksum)) {
        expected.put(place, walk.describe(place));
      }
    });
    assertThat(reported).isEqualTo(expected);
    if (movedOnes == movedBefore) {
      // Nothing was mended by being moved.
      assertThat(pass.damagedBlocks()).isEqualTo(reported.size());
      unmoved++;
    }
    found += expected.size();
  }

  private static String describe(Damage damage) {
    return damage.owners().stream()
        .map(owner ->
            owner.volume()
                + (owner.snapshot() == null ? "" : "@" + owner.snapshot())
                + " block "
                + owner.block())
        .collect(Collectors.joining(", "));
  }

  private boolean isDamaged(long place, int checksum) {
    int slot = (int) (place / SEGMENT_BLOCKS);
    int offset = (int) (place % SEGMENT_BLOCKS) * BLOCK;
    CRC32C crc = new CRC32C();
    crc.update(disk.diskContent(slot, offset, BLOCK));
    return (int) crc.getValue() != checksum || !disk.isSettled(slot, offset);
  }

  private IndexWalk walk() {
    return new IndexWalk("log-0", sim.node().store(0));
  }

  /** Returns the checksums of the places that are alive. */
  private static Map<Long, Integer> live(IndexWalk walk, Map<Long, Integer> checkpoint)
      throws RecoveryException {
    Map<Long, Integer> live = new TreeMap<>();
    walk.run(
        new IndexWalk.Visitor() {
          @Override
          public void onData(long place, int checksum) {
            live.put(place, checksum);
          }

          @Override
          public void onCheckpoint(long place, int checksum) {
            checkpoint.put(place, checksum);
          }
        });
    return live;
  }

  /** Damages blocks that are alive, and some that are not. */
  private void injectDamage() throws RecoveryException {
    flush();
    Map<Long, Integer> live = live(walk(), new TreeMap<>());
    List<Long> candidates = new ArrayList<>(live.keySet());
    for (int i = random.nextInt(6); i > 0 && !candidates.isEmpty(); i--) {
      boolean _ = damage(candidates.get(random.nextInt(candidates.size())));
    }
    List<Long> dead = new ArrayList<>();
    for (LogImage.Payload payload : LogImage.ofDisk(disk).payloads()) {
      long place = (long) payload.slot() * SEGMENT_BLOCKS + payload.offset() / BLOCK;
      if (!live.containsKey(place)) {
        dead.add(place);
      }
    }
    for (int i = random.nextInt(6); i > 0 && !dead.isEmpty(); i--) {
      damagedDead += damage(dead.get(random.nextInt(dead.size()))) ? 1 : 0;
    }
  }

  private void damageCheckpoint() throws RecoveryException {
    Map<Long, Integer> checkpoint = new TreeMap<>();
    Map<Long, Integer> _ = live(walk(), checkpoint);
    if (!checkpoint.isEmpty()) {
      List<Long> places = List.copyOf(checkpoint.keySet());
      damagedMeta += damage(places.get(random.nextInt(places.size()))) ? 1 : 0;
    }
  }

  /** What has rotted in a checkpoint is in memory: a new one does without it. */
  private void awaitGoodCheckpoint() throws RecoveryException {
    for (int i = 0; i < 200; i++) {
      sim.cycle();
      flush();
      Map<Long, Integer> checkpoint = new TreeMap<>();
      Map<Long, Integer> _ = live(walk(), checkpoint);
      boolean isGood =
          checkpoint.entrySet().stream()
              .noneMatch(entry -> isDamaged(entry.getKey(), entry.getValue()));
      if (isGood && isAllDurable()) {
        // What the superblock names may still be the one before.
        boolean[] switched = new boolean[1];
        sim.node().store(0).checkpointer().request(status -> switched[0] = true);
        sim.await(() -> switched[0]);
        return;
      }
    }
    throw new AssertionError("the checkpoint was not mended");
  }

  private boolean damage(long place) {
    int slot = (int) (place / SEGMENT_BLOCKS);
    int offset = (int) (place % SEGMENT_BLOCKS) * BLOCK;
    if (!disk.isSettled(slot, offset)) {
      return false;
    }
    if (random.oneIn(2)) {
      disk.rotBit(slot, offset + random.nextInt(BLOCK), random.nextInt(8));
    } else {
      disk.failReads(slot, offset);
    }
    return true;
  }

  private void flush() {
    LogVolume volume = sim.node().volumes().getFirst();
    assertThat(sim.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0))).isZero();
  }

  private void work(int steps) {
    for (int i = 0; i < steps; i++) {
      step();
    }
  }

  private void step() {
    List<LogVolume> volumes = sim.node().volumes();
    LogVolume volume = volumes.get(random.nextInt(volumes.size()));
    List<SnapshotVolume> snapshots = volume.snapshots();
    String name = volume.name();
    switch (random.nextInt(60)) {
      case 0, 1 -> {
        if (snapshots.size() < 3) {
          await(sim.node().createSnapshot(name, "s" + ++lastName));
        }
      }
      case 2 -> {
        if (!snapshots.isEmpty()) {
          await(sim.node().deleteSnapshot(name, snapshots.getFirst().snapshotName(), false));
        }
      }
      case 3 -> {
        if (volumes.size() < 4) {
          await(sim.node().cloneVolume(name, "c" + ++lastName, FlushPolicy.FLUSH));
        }
      }
      case 4 -> {
        if (volumes.size() > 2) {
          await(sim.node().deleteVolume(name, true));
        }
      }
      default -> change(volume);
    }
  }

  private void change(LogVolume volume) {
    long sectors = volume.sizeBytes() / 512;
    int count = (int) Math.min(sectors, 1 + random.nextInt(random.oneIn(8) ? 600 : 48));
    long first = random.nextInt((int) (sectors - count + 1));
    Operation operation = random.oneIn(12) ? Operation.TRIM : Operation.WRITE;
    int status = sim.run(volume, new SimRequest(operation, first, count, 1));
    // A part of a block can't be merged with what is damaged.
    assertThat(status).as("status of %s", operation).isIn(Status.OK, Status.EIO);
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
