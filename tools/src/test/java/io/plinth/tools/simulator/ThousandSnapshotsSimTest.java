package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many snapshots of one volume, with writes between them, clones and deletions. */
@Timeout(60)
class ThousandSnapshotsSimTest {
  private static final int SNAPSHOTS = 1000;
  private static final int STAGE = 100;

  /** Pages of one ring: many times what there is room for. */
  private static final int RING = 200;

  private static final int SAMPLE = 6;
  private static final int MAX_CLONES = 12;
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int SEGMENTS = 96;
  private static final long BLOCK_SECTORS = 8;

  /** Two leaves of the index. */
  private static final int BLOCKS = 512;

  private static final int READ_BLOCKS = 64;
  private static final int PAGE_BYTES = 4096;
  private static final int PAGES_PER_TABLE_BLOCK = 448;

  private final SimRandom random = new SimRandom(1000);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
  private final SimNode sim = new SimNode(disk, random, Set.of());

  /** The stamp of each block of each volume and snapshot, by name; 0 for what reads as zeroes. */
  private final TreeMap<String, long[]> contents = new TreeMap<>();

  private long lastStamp;

  @BeforeEach
  void start() throws Exception {
    sim.start(SimNode.CYCLE_LIMIT);
  }

  @AfterEach
  void freeMemory() {
    sim.free();
    disk.close();
  }

  @Test
  void eachIsWhatTheVolumeWasAndAllSpaceComesBack() throws Exception {
    restart(true);
    long liveAtFirst = sim.node().store(0).liveBlocks();
    await(sim.node().createVolume("v", BLOCKS * 4096L, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    contents.put("v", new long[BLOCKS]);
    write("v", 0, BLOCKS / 4, Operation.WRITE);
    write("v", BLOCKS / 2, BLOCKS / 4, Operation.WRITE);
    for (int i = 1; i <= SNAPSHOTS; i++) {
      changeSome("v");
      await(sim.node().createSnapshot("v", "s" + i));
      contents.put("v@s" + i, contents.get("v").clone());
      changeOthers(i);
      if (i % STAGE == 0) {
        checkSample();
      }
      if (i == SNAPSHOTS / 2) {
        restart(false);
        checkSample();
      }
    }
    for (String name : contents.keySet()) {
      check(name);
    }
    restart(true);
    assertThat(IndexCheck.run(sim)).isPositive();
    final long pages = pageBytes() / PAGE_BYTES;
    for (LogVolume volume : sim.node().volumes()) {
      await(sim.node().deleteVolume(volume.name(), true));
    }
    sim.await(() -> pageBytes() == 0);
    assertThat(IndexCheck.run(sim)).as("live blocks of data").isZero();
    restart(true);
    // The page table stays as long as it had to be once.
    long tableBlocks = pages / PAGES_PER_TABLE_BLOCK + 1;
    assertThat(sim.node().store(0).liveBlocks())
        .as("live blocks, for the checkpoint alone")
        .isBetween(liveAtFirst, liveAtFirst + tableBlocks);
    assertThat(sim.node().journal(0).segmentsInUse()).isLessThanOrEqualTo(2);
  }

  /**
   * All of a ring has to be in memory to move a block, though it is more than there is room for.
   */
  @Test
  void blocksOfManySnapshotsAreMovedWithoutRoomForTheirPages() throws Exception {
    sim.kill();
    sim.indexBytes(4 * PAGE_BYTES);
    sim.residentBytes(SEGMENT_BYTES);
    sim.start(SimNode.CYCLE_LIMIT);
    await(sim.node().createVolume("v", BLOCKS * 4096L, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));
    contents.put("v", new long[BLOCKS]);
    for (int first = 0; first < BLOCKS; first += BLOCKS / 4) {
      write("v", first, BLOCKS / 4, Operation.WRITE);
    }
    for (int i = 1; i <= 2 * RING; i++) {
      write("v", 0, SAMPLE, Operation.WRITE);
      await(sim.node().createSnapshot("v", "s" + i));
      contents.put("v@s" + i, contents.get("v").clone());
    }
    // Half of what each segment holds is dead then.
    for (int i = 1; i <= 2 * RING; i += 2) {
      await(sim.node().deleteSnapshot("v", "s" + i, false));
      contents.remove("v@s" + i);
    }
    long before = sim.node().store(0).cleaner().movedBlocks();
    for (int i = 0; sim.node().store(0).cleaner().movedBlocks() < before + RING; i++) {
      assertThat(i).as("rounds of writes").isLessThan(20 * SEGMENTS);
      write("v", BLOCKS / 2, BLOCKS / 4, Operation.WRITE);
    }
    for (int i = 2; i <= 2 * RING; i += 2) {
      check("v@s" + i);
    }
    check("v");
    assertThat(IndexCheck.run(sim)).isPositive();
  }

  /** Returns what the index takes without its byte for each block of the log. */
  private long pageBytes() {
    long segments = sim.node().journal(0).segmentsInUse();
    return sim.node().store(0).indexBytes() - segments * (SEGMENT_BYTES / PAGE_BYTES);
  }

  private void changeSome(String name) {
    for (int i = 1 + random.nextInt(3); i > 0; i--) {
      int count = 1 + random.nextInt(6);
      int first = random.nextInt(BLOCKS - count + 1);
      Operation operation = random.oneIn(8) ? Operation.TRIM : Operation.WRITE;
      write(name, first, count, operation);
    }
  }

  /** Clones what there is, changes clones, and deletes snapshots and clones. */
  private void changeOthers(int i) {
    if (i % 20 == 0 && clones().size() < MAX_CLONES) {
      String source = any(List.copyOf(contents.keySet()));
      String name = "c" + i;
      await(sim.node().cloneVolume(source, name, FlushPolicy.FLUSH));
      contents.put(name, contents.get(source).clone());
    }
    if (i % 5 == 0 && !clones().isEmpty()) {
      changeSome(any(clones()));
    }
    if (i % 7 == 0) {
      String name = any(snapshots());
      await(sim.node().deleteSnapshot("v", name.substring(2), false));
      contents.remove(name);
    }
    if (i % 90 == 0 && !clones().isEmpty()) {
      String name = any(clones());
      await(sim.node().deleteVolume(name, false));
      contents.remove(name);
    }
  }

  private List<String> clones() {
    return contents.keySet().stream().filter(name -> name.startsWith("c")).toList();
  }

  private List<String> snapshots() {
    return contents.keySet().stream().filter(name -> name.startsWith("v@")).toList();
  }

  private String any(List<String> names) {
    return names.get(random.nextInt(names.size()));
  }

  private void write(String name, int first, int count, Operation operation) {
    long stamp = ++lastStamp;
    SimRequest request =
        new SimRequest(operation, first * BLOCK_SECTORS, count * BLOCK_SECTORS, stamp);
    assertThat(sim.run(sim.node().find(name), request)).isEqualTo(Status.OK);
    Arrays.fill(contents.get(name), first, first + count, operation == Operation.WRITE ? stamp : 0);
  }

  private void checkSample() {
    check("v");
    List<String> names = new ArrayList<>(contents.keySet());
    for (int i = 0; i < SAMPLE; i++) {
      check(any(names));
    }
    long _ = IndexCheck.run(sim);
  }

  private void check(String name) {
    Volume volume = sim.node().find(name);
    long[] found = new long[BLOCKS];
    for (int first = 0; first < BLOCKS; first += READ_BLOCKS) {
      SimRequest request =
          new SimRequest(Operation.READ, first * BLOCK_SECTORS, READ_BLOCKS * BLOCK_SECTORS, 0);
      assertThat(sim.run(volume, request)).isEqualTo(Status.OK);
      long[] stamps = request.takeStamps();
      for (int i = 0; i < READ_BLOCKS; i++) {
        found[first + i] = stamps[(int) (i * BLOCK_SECTORS)];
      }
    }
    assertThat(found).as(name).isEqualTo(contents.get(name));
  }

  private void restart(boolean inOrder) throws Exception {
    if (inOrder) {
      sim.close();
    } else {
      sim.kill();
    }
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
  }

  private void await(CompletableFuture<?> future) {
    sim.await(future::isDone);
    if (future.isCompletedExceptionally()) {
      throw new AssertionError(future.exceptionNow());
    }
  }
}
