package io.plinth.engine.sim;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayList;
import java.util.List;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a simulated disk keeps, loses and damages, seen through a process's view of it. */
class SimDiskTest {
  private static final int SEGMENT_BYTES = 1 << 16;
  private static final int PAGE = 4096;
  private static final long LONG_NS = 1_000_000_000;

  private final SimRandom random = new SimRandom(5);
  private final SimCore core = new SimCore(0, 0);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 3);
  private final SimLogStorage storage = new SimLogStorage(disk, core, random);
  private final NativeMemory memory = NativeMemory.reserve(SEGMENT_BYTES);
  private LogFile file;

  @BeforeEach
  void makeSegment() {
    file = prepare(0);
  }

  @AfterEach
  void freeMemory() {
    memory.close();
    disk.close();
  }

  @Test
  void aSyncMakesDurableWhatWasThereWhenItBegan() {
    write(0, 1);
    storage.holdSyncs();
    file.syncRange(0, PAGE, (context, result) -> {}, 0);
    write(1, 2);
    storage.releaseSyncs();
    core.cycle(LONG_NS);
    assertThat(onDisk(0)).isEqualTo(1);
    assertThat(onDisk(1)).isZero();
  }

  @Test
  void aSyncThatHasNotEndedPromisesNothing() {
    write(0, 1);
    file.syncRange(0, PAGE, (context, result) -> {}, 0);
    assertThat(onDisk(0)).isZero();
  }

  @Test
  void aReadOfTheDiskSeesDamageThatThePageCacheHides() {
    write(0, 1);
    write(1, 2);
    file.syncRange(0, 2 * PAGE, (context, result) -> {}, 0);
    core.cycle(LONG_NS);
    write(2, 3);
    assertThat(readDisk(0, 3)).isEqualTo(3 * PAGE);
    assertThat(UnsafeApi.getLong(memory.address() + 2 * PAGE)).as("dirty").isEqualTo(3);
    disk.rotBit(0, 0, 2);
    disk.failReads(0, PAGE);
    assertThat(readDisk(0, 3)).isEqualTo(PAGE);
    assertThat(UnsafeApi.getLong(memory.address())).isEqualTo(1 ^ 4);
    assertThat(UnsafeApi.getLong(disk.content(0).address())).as("in the cache").isEqualTo(1);
    assertThat(readDisk(1, 1)).isEqualTo(Status.EIO);
    assertThat(readDisk(2, 1)).isEqualTo(PAGE);
  }

  private int readDisk(int page, int pages) {
    int[] results = new int[1];
    boolean accepted =
        file.readDisk(
            memory.address(),
            pages * PAGE,
            (long) page * PAGE,
            (context, result) -> results[0] = result,
            0);
    assertThat(accepted).isTrue();
    core.cycle(LONG_NS);
    return results[0];
  }

  @Test
  void theLossOfPowerKeepsSomeOfWhatWasNotSyncedInWholeSectors() {
    int kept = 0;
    int lost = 0;
    for (int round = 0; round < 20; round++) {
      for (int page = 0; page < SEGMENT_BYTES / PAGE; page++) {
        write(page, 100 + round);
      }
      disk.losePower(random);
      for (int at = 0; at < SEGMENT_BYTES; at += 512) {
        long found = UnsafeApi.getLong(disk.content(0).address() + at);
        kept += found == 100 + round ? 1 : 0;
        lost += found == 100 + round ? 0 : 1;
      }
    }
    assertThat(kept).isPositive();
    assertThat(lost).isPositive();
  }

  @Test
  void rotShowsOnceTheSegmentIsEvicted() {
    write(0, 1);
    sync();
    disk.rotBit(0, 3, 0);
    assertThat(inCache(0)).isEqualTo(1);
    assertThat(onDisk(0)).isEqualTo(1 + (1 << 24));
    storage.evict(file);
    assertThat(inCache(0)).isEqualTo(1 + (1 << 24));
  }

  @Test
  void rotShowsAfterTheLossOfPower() {
    write(0, 1);
    sync();
    disk.rotBit(0, 0, 2);
    disk.losePower(random);
    assertThat(inCache(0)).isEqualTo(5);
  }

  @Test
  void rotOfWhatIsNotInMemoryShowsAtOnce() {
    write(0, 1);
    sync();
    storage.evict(file);
    disk.rotBit(0, 0, 2);
    assertThat(inCache(0)).isEqualTo(5);
  }

  @Test
  void rotCanBeTakenBackWhetherItShowsOrNot() {
    write(0, 1);
    sync();
    disk.rotBit(0, 0, 2);
    disk.mendBit(0, 0, 2);
    disk.losePower(random);
    assertThat(inCache(0)).isEqualTo(1);
    disk.rotBit(0, 0, 2);
    disk.mendBit(0, 0, 2);
    assertThat(inCache(0)).isEqualTo(1);
    assertThat(onDisk(0)).isEqualTo(1);
  }

  @Test
  void evictionKeepsWhatIsNotOnTheDiskYet() {
    write(0, 1);
    storage.evict(file);
    assertThat(inCache(0)).isEqualTo(1);
  }

  @Test
  void writingMendsAPage() {
    write(0, 1);
    sync();
    disk.rotBit(0, 0, 2);
    disk.failReads(0, 0);
    write(0, 9);
    sync();
    disk.losePower(random);
    assertThat(read(0, PAGE)).isEqualTo(PAGE);
    assertThat(inCache(0)).isEqualTo(9);
  }

  @Test
  void aSyncDoesNotMendWhatTheCacheHidesAndNobodyWrote() {
    write(0, 1);
    sync();
    disk.rotBit(0, 0, 2);
    sync();
    disk.losePower(random);
    assertThat(inCache(0)).isEqualTo(5);
  }

  @Test
  void anUnreadablePageFailsReadsOfItAndLeavesTheOthers() {
    write(0, 1);
    write(2, 3);
    sync();
    disk.failReads(0, PAGE);
    assertThat(read(0, 3 * PAGE)).as("from the page cache").isEqualTo(3 * PAGE);
    disk.losePower(random);
    assertThat(read(0, 3 * PAGE)).as("up to the bad page").isEqualTo(PAGE);
    assertThat(read(PAGE, PAGE)).isEqualTo(Status.EIO);
    assertThat(read(2 * PAGE, PAGE)).isEqualTo(PAGE);
    storage.makeResident(file, SEGMENT_BYTES);
    assertThat(file.isResident()).isFalse();
  }

  @Test
  void aMisdirectedWriteDamagesTwoPages() {
    write(0, 1);
    write(1, 2);
    sync();
    disk.misdirectWrite(0, 0, 0, PAGE);
    disk.losePower(random);
    assertThat(inCache(0)).isZero();
    assertThat(inCache(1)).isEqualTo(1);
  }

  @Test
  void whatAFailedSyncCouldNotWriteIsForgotten() {
    write(0, 1);
    storage.failOneSync();
    assertThat(sync()).isEqualTo(Status.EIO);
    assertThat(storage.hasFailedSync()).isTrue();
    assertThat(inCache(0)).isEqualTo(1);
    assertThat(sync()).as("the next one finds nothing to write").isEqualTo(Status.OK);
    disk.losePower(random);
    assertThat(inCache(0)).isZero();
  }

  @Test
  void aFullDiskMakesNoMoreSegments() {
    storage.limitNewSegments(1);
    assertThat(disk.isFull()).isFalse();
    prepare(1);
    assertThat(disk.isFull()).isTrue();
    storage.prepare(2);
    for (int i = 0; i < 5; i++) {
      assertThat(storage.takePrepared()).isNull();
    }
    assertThat(storage.prepareStatus()).isEqualTo(Status.ENOSPC);
    assertThat(disk.faults()).containsEntry(Fault.FULL_DISK, 1L);
  }

  @Test
  void equalContentHasEqualChecksums() {
    int before = disk.checksum();
    write(0, 1);
    assertThat(disk.checksum()).as("not on the disk yet").isEqualTo(before);
    sync();
    assertThat(disk.checksum()).isNotEqualTo(before);
  }

  private LogFile prepare(int slot) {
    storage.prepare(slot);
    LogFile prepared = null;
    while (prepared == null) {
      prepared = storage.takePrepared();
    }
    return prepared;
  }

  private void write(int page, long value) {
    for (int at = 0; at < PAGE; at += Long.BYTES) {
      UnsafeApi.putLong(disk.content(0).address() + (long) page * PAGE + at, value);
    }
  }

  private int sync() {
    List<Integer> results = new ArrayList<>();
    file.sync((context, result) -> results.add(result), 0);
    core.cycle(LONG_NS);
    return results.get(0);
  }

  private int read(int position, int length) {
    List<Integer> results = new ArrayList<>();
    file.read(memory.address(), length, position, (context, result) -> results.add(result), 0);
    core.cycle(LONG_NS);
    assertThat(storage.readNow(0, memory.address(), length, position)).isEqualTo(results.get(0));
    return results.get(0);
  }

  private long inCache(int page) {
    return UnsafeApi.getLong(disk.content(0).address() + (long) page * PAGE);
  }

  private long onDisk(int page) {
    return java.nio.ByteBuffer.wrap(disk.diskContent(0, page * PAGE, Long.BYTES))
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .getLong();
  }
}
