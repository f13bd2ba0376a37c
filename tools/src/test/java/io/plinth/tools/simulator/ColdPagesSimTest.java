package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexMemory;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** An index of many leaves with room for a few in memory, on a disk that is slow or damaged. */
class ColdPagesSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int SEGMENTS = 64;
  private static final int PAGE_BYTES = 4096;
  private static final int LEAF_BLOCKS = 448;
  private static final int LEAVES = 100;
  private static final int BLOCK_SECTORS = 8;
  private static final int LEAF_SECTORS = LEAF_BLOCKS * BLOCK_SECTORS;
  private static final int LIMIT_PAGES = 4;

  /** One inner page, and what was just read for somebody. */
  private static final int BESIDE_PAGES = 4;

  private static final int SLOW_READ_NS = 5_000_000;
  private static final long RETRY_NS = 1_100_000_000;

  private final SimRandom random = new SimRandom(9);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
  private final SimNode sim = new SimNode(disk, random, Set.of());
  private final long[] stamps = new long[LEAVES];
  private long lastStamp;

  /** What the leaf that was written last held before. */
  private long stampBefore;

  @BeforeEach
  void fillTheIndex() throws Exception {
    sim.indexBytes(LIMIT_PAGES * PAGE_BYTES);
    sim.residentBytes(SEGMENT_BYTES);
    sim.slowDevice(0, SLOW_READ_NS);
    sim.start(SimNode.CYCLE_LIMIT);
    await(
        sim.node()
            .createVolume(
                "v",
                (long) LEAVES * LEAF_BLOCKS * PAGE_BYTES,
                FlushPolicy.FLUSH,
                VolumeSettings.DEFAULT));
    for (int leaf = 0; leaf < LEAVES; leaf++) {
      assertThat(write(leaf)).isEqualTo(Status.OK);
    }
    settle();
    // So that what the index was written to leaves memory.
    for (int i = 0; i < 3 * SEGMENT_BYTES / PAGE_BYTES; i++) {
      assertThat(write(0)).isEqualTo(Status.OK);
    }
    settle();
  }

  @AfterEach
  void free() {
    sim.free();
    disk.close();
  }

  @Test
  void whatIsOverTheLimitIsDroppedAndReadWhenItIsAskedFor() {
    IndexMemory before = memory();
    assertThat(before.pageBytes() / PAGE_BYTES).isLessThanOrEqualTo(LIMIT_PAGES + BESIDE_PAGES);
    assertThat(before.droppedBytes() / PAGE_BYTES).isGreaterThan(LEAVES - LIMIT_PAGES - 1);
    for (int leaf = LEAVES - 1; leaf >= 0; leaf--) {
      assertThat(read(leaf)).as("leaf %d", leaf).isEqualTo(stamps[leaf]);
    }
    assertThat(memory().reads() - before.reads()).isGreaterThan(LEAVES - LIMIT_PAGES - 1);
    settle();
    assertThat(memory().pageBytes() / PAGE_BYTES).isLessThanOrEqualTo(LIMIT_PAGES + BESIDE_PAGES);
    assertThat(IndexCheck.run(sim)).isEqualTo(LEAVES);
  }

  @Test
  void aRequestThatNeedsMorePagesThanThereMayBeIsAnswered() {
    int first = 10;
    int count = 19;
    SimRequest request =
        new SimRequest(Operation.READ, (long) first * LEAF_SECTORS, (long) count * LEAF_SECTORS, 0);
    assertThat(run(request)).isEqualTo(Status.OK);
    long[] found = request.takeStamps();
    for (int i = 0; i < count; i++) {
      assertThat(found[i * LEAF_SECTORS]).as("leaf %d", first + i).isEqualTo(stamps[first + i]);
    }
  }

  @Test
  void aTrimLooksOnlyAtPagesOfWhichItLeavesSomething() {
    long before = memory().reads();
    // All of leaves 21 to 59, and the end of leaf 20, which maps only its first block.
    long from = 20L * LEAF_SECTORS + BLOCK_SECTORS;
    SimRequest request = new SimRequest(Operation.TRIM, from, 60L * LEAF_SECTORS - from, 0);
    assertThat(run(request)).isEqualTo(Status.OK);
    assertThat(memory().reads() - before).isLessThanOrEqualTo(1);
    Arrays.fill(stamps, 21, 60, 0);
    settle();
    readAll();
    assertThat(IndexCheck.run(sim)).isEqualTo(LEAVES - 39);
  }

  @Test
  void zeroesThatKeepTheirSpaceReplacePagesWithoutReadingThem() {
    long before = memory().reads();
    SimRequest request =
        new SimRequest(Operation.WRITE_ZEROES, 30L * LEAF_SECTORS, 10L * LEAF_SECTORS, ++lastStamp);
    request.noHole = true;
    assertThat(run(request)).isEqualTo(Status.OK);
    assertThat(memory().reads()).isEqualTo(before);
    Arrays.fill(stamps, 30, 40, 0);
    settle();
    readAll();
    assertThat(IndexCheck.run(sim)).isEqualTo(LEAVES - 10);
  }

  @Test
  void aPageThatHasRottedFailsWhatIsBelowItAndNothingElse() throws Exception {
    int place = placeOfLeaf(50);
    rot(place);
    settle();
    assertThat(statusOfRead(50)).isEqualTo(Status.EIO);
    assertThat(write(50)).isEqualTo(Status.EIO);
    assertThat(memory().failedReads()).as("one read for both").isEqualTo(1);
    stamps[50] = stampBefore;
    SimRequest across = new SimRequest(Operation.READ, 49L * LEAF_SECTORS, 2L * LEAF_SECTORS, 0);
    assertThat(run(across)).isEqualTo(Status.EIO);
    for (int leaf = 0; leaf < LEAVES; leaf++) {
      if (leaf != 50) {
        assertThat(read(leaf)).as("leaf %d", leaf).isEqualTo(stamps[leaf]);
      }
    }
    SimRequest status = new SimRequest(Operation.BLOCK_STATUS, 49L * LEAF_SECTORS, LEAF_SECTORS, 0);
    assertThat(run(status)).isEqualTo(Status.OK);

    // It may be better when it is asked for again.
    mend(place);
    sim.sleep(RETRY_NS);
    assertThat(read(50)).isEqualTo(stamps[50]);
  }

  @Test
  void whatIsTrimmedAsAWholeNeedsNoPageThatCannotBeRead() throws Exception {
    int place = placeOfLeaf(50);
    disk.failReads(slot(place), offset(place));
    settle();
    assertThat(statusOfRead(50)).isEqualTo(Status.EIO);
    SimRequest trim = new SimRequest(Operation.TRIM, 50L * LEAF_SECTORS, LEAF_SECTORS, 0);
    assertThat(run(trim)).isEqualTo(Status.OK);
    stamps[50] = 0;
    readAll();
    assertThat(write(50)).isEqualTo(Status.OK);
    settle();
    readAll();
    // Its page is freed with what it referred to still counted: until the next start.
    sim.close();
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    readAll();
    assertThat(IndexCheck.run(sim)).isEqualTo(LEAVES);
  }

  /** Its segment, and those of what is below it, stay as they are; all others are cleaned. */
  @Test
  void theCleanerWorksBesideAPageThatCannotBeRead() throws Exception {
    int place = placeOfLeaf(50);
    disk.failReads(slot(place), offset(place));
    settle();
    int blocks = 64;
    long written = 0;
    while (written < 4L * SEGMENTS * SEGMENT_BYTES) {
      // All of leaf 0, so that much is dead in each segment, and some of another one.
      long first = random.nextInt(LEAF_BLOCKS - blocks);
      SimRequest request =
          new SimRequest(
              Operation.WRITE, first * BLOCK_SECTORS, (long) blocks * BLOCK_SECTORS, ++lastStamp);
      assertThat(run(request)).isEqualTo(Status.OK);
      int other = 1 + random.nextInt(LEAVES - 1);
      if (other != 50) {
        assertThat(write(other)).isEqualTo(Status.OK);
      }
      written += (long) blocks * PAGE_BYTES;
    }
    assertThat(sim.node().store(0).cleaner().movedBlocks()).isPositive();
    assertThat(statusOfRead(50)).isEqualTo(Status.EIO);
    for (int leaf = 1; leaf < LEAVES; leaf++) {
      if (leaf != 50) {
        assertThat(read(leaf)).as("leaf %d", leaf).isEqualTo(stamps[leaf]);
      }
    }
  }

  @Test
  void aStartKeepsTheLimit() throws Exception {
    sim.kill();
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    assertThat(memory().droppedBytes() / PAGE_BYTES).isGreaterThan(LEAVES / 2);
    settle();
    assertThat(memory().pageBytes() / PAGE_BYTES).isLessThanOrEqualTo(LIMIT_PAGES + BESIDE_PAGES);
    readAll();
    assertThat(IndexCheck.run(sim)).isEqualTo(LEAVES);
  }

  private int write(int leaf) {
    SimRequest request =
        new SimRequest(Operation.WRITE, (long) leaf * LEAF_SECTORS, BLOCK_SECTORS, ++lastStamp);
    stampBefore = stamps[leaf];
    stamps[leaf] = lastStamp;
    return run(request);
  }

  private long read(int leaf) {
    SimRequest request =
        new SimRequest(Operation.READ, (long) leaf * LEAF_SECTORS, BLOCK_SECTORS, 0);
    assertThat(run(request)).as("leaf %d", leaf).isEqualTo(Status.OK);
    return request.takeStamps()[0];
  }

  private int statusOfRead(int leaf) {
    return run(new SimRequest(Operation.READ, (long) leaf * LEAF_SECTORS, BLOCK_SECTORS, 0));
  }

  private void readAll() {
    for (int leaf = 0; leaf < LEAVES; leaf++) {
      assertThat(read(leaf)).as("leaf %d", leaf).isEqualTo(stamps[leaf]);
    }
  }

  private int run(SimRequest request) {
    return sim.run(volume(), request);
  }

  private Volume volume() {
    return sim.node().find("v");
  }

  private IndexMemory memory() {
    return sim.node().store(0).indexMemory();
  }

  /** Lets a checkpoint be written, and time pass in which pages are dropped. */
  private void settle() {
    CompletableFuture<Integer> written = new CompletableFuture<>();
    sim.node().store(0).checkpointer().request(written::complete);
    sim.await(written::isDone);
    sim.sleep(RETRY_NS);
    for (int i = 0; i < 1000; i++) {
      sim.cycle();
    }
  }

  /** Returns where the page of a leaf was written: the only one that a write of it moves. */
  private int placeOfLeaf(int leaf) throws RecoveryException {
    List<Integer> before = pagePlaces();
    assertThat(write(leaf)).isEqualTo(Status.OK);
    settle();
    List<Integer> after = pagePlaces();
    after.removeAll(before);
    assertThat(after).hasSize(1);
    // Out of memory, as the others are.
    for (int i = 0; i < 3 * SEGMENT_BYTES / PAGE_BYTES; i++) {
      assertThat(write(0)).isEqualTo(Status.OK);
    }
    for (int other = 0; other < 4 * LIMIT_PAGES; other++) {
      assertThat(read(other)).isEqualTo(stamps[other]);
    }
    settle();
    return after.getFirst();
  }

  private List<Integer> pagePlaces() throws RecoveryException {
    List<Integer> places = new ArrayList<>();
    IndexWalk walk = new IndexWalk("log-0", sim.node().store(0));
    walk.run(
        new IndexWalk.Visitor() {
          @Override
          public void onData(long place, int checksum) {}

          @Override
          public void onCheckpoint(long place, int checksum) {
            places.add((int) place);
          }
        });
    places.removeIf(place -> !walk.describe(place).startsWith("index page"));
    return places;
  }

  private static int slot(int place) {
    return place * PAGE_BYTES / SEGMENT_BYTES;
  }

  private static int offset(int place) {
    return place * PAGE_BYTES % SEGMENT_BYTES;
  }

  private void rot(int place) {
    disk.rotBit(slot(place), offset(place) + 100, 3);
  }

  private void mend(int place) {
    disk.mendBit(slot(place), offset(place) + 100, 3);
  }

  private void await(CompletableFuture<?> future) {
    sim.await(future::isDone);
    assertThat(future.isCompletedExceptionally()).isFalse();
  }
}
