package io.plinth.engine.device;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.Status;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.uring.UringDriver;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The log's folder on a real file system and a real ring. */
class SegmentDirectoryTest {
  private static final int SEGMENT_BYTES = 4 << 20;
  private static final int POPULATE_BYTES = 1 << 20;
  private static final long STEP_NS = TimeUnit.MILLISECONDS.toNanos(5);
  private static final long AWAIT_NS = TimeUnit.SECONDS.toNanos(20);

  @TempDir private Path folder;
  private final NativeMemory memory = NativeMemory.reserve(16384);
  private final UnsafeBuffer buffer = memory.buffer(0, 16384);
  private int result = Integer.MIN_VALUE;
  private final Completion completion = (context, value) -> result = value;
  private IoDriver driver;
  private SegmentDirectory directory;

  @BeforeEach
  void open() throws Exception {
    driver = new UringDriver(16);
    directory = openDirectory();
  }

  @AfterEach
  void close() {
    directory.close();
    driver.close();
    memory.close();
  }

  @Test
  void aNewFolderHasNoSegmentsAndRoomForASuperblock() {
    assertThat(directory.existingSlots()).isEmpty();
    buffer.setMemory(0, 8192, (byte) 'x');
    assertThat(directory.readSuperblock(memory.address())).isEqualTo(8192);
    assertThat(text()).as("reserved, not written").isEqualTo("\0".repeat(6));
    assertThat(directory.segmentBytes()).isEqualTo(SEGMENT_BYTES);
    assertThat(directory.maxSegments()).isEqualTo(8);
    assertThat(directory.takePrepared()).isNull();
  }

  @Test
  void aPreparedSegmentHasItsSizeAndIsPopulatedAtTheFront() throws Exception {
    LogFile file = prepare(3);

    assertThat(file.slot()).isEqualTo(3);
    assertThat(file.sizeBytes()).isEqualTo(SEGMENT_BYTES);
    assertThat(file.writableBytes()).isEqualTo(POPULATE_BYTES);
    assertThat(file.isResident()).isTrue();
    assertThat(Files.size(folder.resolve("segment-00000003"))).isEqualTo(SEGMENT_BYTES);
    assertThat(directory.existingSlots()).containsExactly(3);
    assertThat(directory.takePrepared()).as("handed out once").isNull();
  }

  @Test
  void aPreparedSegmentHasAllOfItsSpace() throws Exception {
    prepare(3);

    String file = folder.resolve("segment-00000003").toString();
    Process stat = new ProcessBuilder("stat", "--format=%b %B", file).start();
    String[] blocks = new String(stat.getInputStream().readAllBytes(), UTF_8).strip().split(" ", 2);
    assertThat(Long.parseLong(blocks[0]) * Long.parseLong(blocks[1]))
        .isGreaterThanOrEqualTo(SEGMENT_BYTES);
  }

  @Test
  void populationGoesUpToWhatIsAskedForAndTheEndOfTheFile() {
    LogFile file = prepare(0);

    file.populateTo(2 * POPULATE_BYTES);
    await(() -> file.writableBytes() == 2 * POPULATE_BYTES);
    file.populateTo(Integer.MAX_VALUE);
    await(() -> file.writableBytes() == SEGMENT_BYTES);

    assertThat(directory.populateStatus()).isEqualTo(Status.OK);
  }

  @Test
  void whatIsAppendedThroughMemoryIsReadBackThroughTheRingAndAfterReopening() throws Exception {
    LogFile file = prepare(1);
    file.memory().buffer(8192, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));

    assertThat(run(() -> file.sync(completion, 0))).isEqualTo(Status.OK);
    assertThat(run(() -> file.read(memory.address(), 6, 8192, completion, 0))).isEqualTo(6);
    assertThat(text()).isEqualTo("append");
    directory.close();
    directory = openDirectory();
    buffer.setMemory(0, 16, (byte) 0);

    assertThat(directory.existingSlots()).containsExactly(1);
    assertThat(directory.readNow(1, memory.address(), 6, 8192)).isEqualTo(6);
    assertThat(text()).isEqualTo("append");
  }

  @Test
  void aSmallRecordIsMadeDurableWithoutAMegabyteAroundIt() throws Exception {
    long dirtied = dirtiedByAppend(prepare(1));

    assertThat(dirtied).as("the page cache dirties whole pages of its own").isPositive();
    assertThat(dirtied).isLessThan(256 << 10);
  }

  @Test
  void whatIsDirtiedGrowsWhereMuchIsWrittenForEachSync() throws Exception {
    LogFile before = prepare(1);
    directory.makeResident(before, 4096);
    await(before::isPinned);
    LogFile seldom = prepare(2);
    assertThat(dirtiedByAppend(seldom)).isGreaterThanOrEqualTo(256 << 10);

    assertThat(run(() -> seldom.syncRange(0, 4096, completion, 0))).isEqualTo(Status.OK);
    directory.makeResident(seldom, 4096);
    await(seldom::isPinned);
    assertThat(dirtiedByAppend(prepare(3))).isLessThan(256 << 10);
  }

  /** Returns what the page cache has to write for a small record in a segment that is clean. */
  private long dirtiedByAppend(LogFile file) throws Exception {
    assertThat(run(() -> file.sync(completion, 0))).isEqualTo(Status.OK);
    long before = dirtiedBytes();
    file.memory().buffer(8192, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));
    return dirtiedBytes() - before;
  }

  /** Returns what this process has given the page cache to write, ever. */
  private static long dirtiedBytes() throws Exception {
    String counts = Files.readString(Path.of("/proc/self/io"));
    String name = "\nwrite_bytes: ";
    int from = counts.indexOf(name) + name.length();
    return Long.parseLong(counts.substring(from, counts.indexOf('\n', from)));
  }

  @Test
  void aLargeSyncLeavesTheMappingAsItWasAndWritable() throws Exception {
    LogFile file = prepare(0);
    long address = file.memory().address();
    NativeMemory.zero(address, 128 << 10);
    file.memory().buffer(64 << 10, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));

    long before = residentPages(address);
    assertThat(run(() -> file.syncRange(0, 128 << 10, completion, 0))).isEqualTo(0);
    long after = residentPages(address);

    // Taken out at once, instead of one by one when the kernel cleans them.
    assertThat(before - after).isGreaterThanOrEqualTo(32);
    file.memory().buffer((64 << 10) + 6, 4).putBytes(0, "more".getBytes(StandardCharsets.US_ASCII));
    assertThat(run(() -> file.read(memory.address(), 4096, 64 << 10, completion, 0)))
        .isEqualTo(4096);
    assertThat(text()).startsWith("append");
    assertThat(file.memory().buffer(64 << 10, 10).getStringWithoutLengthAscii(0, 10))
        .isEqualTo("appendmore");
  }

  @Test
  void aHelperGetsReadyForALargeSyncWhileTheLogIsCleaned() throws Exception {
    LogFile file = prepare(0);
    int size = 1 << 20;
    file.memory().buffer(0, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));
    assertThat(file.isReadyToSync(0, size)).as("nobody needs the processor more").isTrue();
    directory.gently(true);
    assertThat(file.isReadyToSync(0, size / 2)).as("little").isTrue();
    long before = residentPages(file.memory().address());

    assertThat(file.isReadyToSync(0, size)).isFalse();
    // Grows meanwhile, which is left to the sync.
    await(() -> file.isReadyToSync(0, size + 4096));

    assertThat(before - residentPages(file.memory().address())).isGreaterThanOrEqualTo(size / 4096);
    assertThat(run(() -> file.syncRange(0, size + 4096, completion, 0))).isEqualTo(0);
    assertThat(file.isReadyToSync(size, size + 4096)).as("the next one").isTrue();
    assertThat(file.isReadyToSync(0, size)).as("ready once").isFalse();
    file.memory().buffer(6, 4).putBytes(0, "more".getBytes(StandardCharsets.US_ASCII));
    assertThat(file.memory().buffer(0, 10).getStringWithoutLengthAscii(0, 10))
        .isEqualTo("appendmore");
    await(() -> file.isReadyToSync(0, size));
  }

  /** Returns how many pages of the mapping at an address are in this process's page table. */
  private static long residentPages(long address) throws Exception {
    String start = Long.toHexString(address) + "-";
    boolean found = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      found |= line.startsWith(start);
      if (found && line.startsWith("Rss:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) / 4;
      }
    }
    throw new AssertionError("no mapping at " + start);
  }

  @Test
  void aReadOfTheDiskSeesWhatWasStoredInMemoryBefore() {
    LogFile file = prepare(1);
    file.memory().buffer(8192, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));

    assertThat(file.isReadyForDiskReads()).isFalse();
    file.beginDiskReads();
    await(file::isReadyForDiskReads);
    assertThat(run(() -> file.readDisk(memory.address(), 4096, 8192, completion, 0)))
        .isEqualTo(4096);
    assertThat(text()).isEqualTo("append");
    // Who reads besides is not disturbed when one of two ends.
    file.beginDiskReads();
    file.endDiskReads();
    assertThat(file.isReadyForDiskReads()).isTrue();
    file.endDiskReads();
    assertThat(file.isReadyForDiskReads()).isFalse();
    assertThat(file.readsPastCache()).isFalse();
    // The descriptor from before is about to be closed: it is not taken for the new one.
    file.beginDiskReads();
    await(file::isReadyForDiskReads);
    assertThat(run(() -> file.readDisk(memory.address(), 4096, 8192, completion, 0)))
        .isEqualTo(4096);
    directory.free(file, false);
    await(() -> !file.isReadyForDiskReads());
  }

  @Test
  void anEvictedSegmentIsNotInMemoryAndCanStillBeReadAndMadeResidentAgain() {
    LogFile file = prepare(0);
    file.memory().buffer(0, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));

    directory.evict(file);
    assertThat(file.isResident()).as("at once").isFalse();
    await(() -> file.memory() == null);
    assertThat(run(() -> file.read(memory.address(), 6, 0, completion, 0))).isEqualTo(6);
    assertThat(text()).isEqualTo("append");
    directory.makeResident(file, 4096);
    await(() -> file.isResident() || !directory.canPin());

    if (directory.canPin()) {
      assertThat(file.memory().buffer(0, 6).getByte(0)).isEqualTo((byte) 'a');
    }
  }

  @Test
  void aSegmentOpenedForAppendKeepsItsContentAndGoesOn() throws Exception {
    LogFile first = prepare(0);
    first.memory().buffer(5000, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));
    directory.close();
    directory = openDirectory();

    LogFile file = directory.openForAppend(0, 8192);
    await(() -> file.isResident() && file.writableBytes() >= 8192 + POPULATE_BYTES);
    file.memory().buffer(8192, 6).putBytes(0, "second".getBytes(StandardCharsets.US_ASCII));

    assertThat(directory.readNow(0, memory.address(), 6, 5000)).isEqualTo(6);
    assertThat(text()).isEqualTo("append");
    assertThat(directory.readNow(0, memory.address(), 6, 8192)).isEqualTo(6);
    assertThat(text()).isEqualTo("second");
  }

  @Test
  void erasingZeroesTheRestAndKeepsTheFront() throws Exception {
    LogFile file = prepare(0);
    file.memory().buffer(0, 8192).setMemory(0, 8192, (byte) 'x');
    directory.close();
    directory = openDirectory();

    assertThat(directory.eraseNow(0, 4096, SEGMENT_BYTES)).isEqualTo(Status.OK);

    assertThat(directory.readNow(0, memory.address(), 8192, 0)).isEqualTo(8192);
    assertThat(buffer.getByte(4095)).isEqualTo((byte) 'x');
    assertThat(buffer.getByte(4096)).isZero();
    assertThat(buffer.getByte(8191)).isZero();
    assertThat(Files.size(folder.resolve("segment-00000000"))).isEqualTo(SEGMENT_BYTES);
  }

  @Test
  void erasingAPartKeepsWhatIsBeforeAndBehindIt() {
    LogFile file = prepare(0);
    file.memory().buffer(0, 8192).setMemory(0, 8192, (byte) 'x');

    assertThat(directory.eraseNow(0, 1000, 4096)).isEqualTo(Status.OK);

    assertThat(directory.readNow(0, memory.address(), 8192, 0)).isEqualTo(8192);
    assertThat(buffer.getByte(999)).isEqualTo((byte) 'x');
    assertThat(buffer.getByte(1000)).isZero();
    assertThat(buffer.getByte(4095)).isZero();
    assertThat(buffer.getByte(4096)).isEqualTo((byte) 'x');
  }

  @Test
  void aRemovedSegmentIsGone() {
    prepare(0);
    prepare(2);

    directory.removeExisting(0);

    assertThat(directory.existingSlots()).containsExactly(2);
  }

  @Test
  void preparingASlotThatHasAFileFailsAndLeavesTheFile() throws Exception {
    Files.writeString(folder.resolve("segment-00000004"), "precious");

    directory.prepare(4);
    await(() -> directory.prepareStatus() != Status.OK);

    assertThat(directory.prepareStatus()).isEqualTo(Status.EEXIST);
    assertThat(directory.takePrepared()).isNull();
    assertThat(folder.resolve("segment-00000004")).hasContent("precious");
  }

  @Test
  void aFreedSegmentIsGoneOrItsFileIsUsedAgainWithoutWhatWasInIt() throws Exception {
    LogFile gone = prepare(0);
    LogFile kept = prepare(1);
    kept.memory().buffer(0, 6).putBytes(0, "append".getBytes(StandardCharsets.US_ASCII));

    directory.free(gone, false);
    directory.free(kept, true);
    await(() -> !Files.exists(folder.resolve("segment-00000000")));
    LogFile again = prepare(1);

    assertThat(again.memory().buffer(0, 8).getLong(0)).isZero();
    assertThat(again.writableBytes()).isGreaterThanOrEqualTo(POPULATE_BYTES);
    assertThat(directory.existingSlots()).containsExactly(1);
    prepare(0);
  }

  @Test
  void theCopiesOfTheSuperblockAreWrittenApart() {
    buffer.setMemory(0, 4096, (byte) 'a');
    assertThat(run(() -> directory.writeSuperblock(0, memory.address(), completion, 0)))
        .isEqualTo(4096);
    buffer.setMemory(0, 4096, (byte) 'b');
    assertThat(run(() -> directory.writeSuperblock(1, memory.address(), completion, 0)))
        .isEqualTo(4096);

    assertThat(directory.readSuperblock(memory.address())).isEqualTo(8192);
    assertThat(buffer.getByte(0)).isEqualTo((byte) 'a');
    assertThat(buffer.getByte(4095)).isEqualTo((byte) 'a');
    assertThat(buffer.getByte(4096)).isEqualTo((byte) 'b');
    assertThat(buffer.getByte(8191)).isEqualTo((byte) 'b');
  }

  private SegmentDirectory openDirectory() throws Exception {
    return new SegmentDirectory(folder, driver, SEGMENT_BYTES, 8, POPULATE_BYTES);
  }

  private LogFile prepare(int slot) {
    directory.prepare(slot);
    LogFile[] file = new LogFile[1];
    await(() -> {
      file[0] = directory.takePrepared();
      return file[0] != null;
    });
    assertThat(directory.prepareStatus()).isEqualTo(Status.OK);
    return file[0];
  }

  private int run(BooleanSupplier submit) {
    result = Integer.MIN_VALUE;
    assertThat(submit.getAsBoolean()).isTrue();
    await(() -> result != Integer.MIN_VALUE);
    return result;
  }

  /** Runs the driver until something is so. */
  private void await(BooleanSupplier condition) {
    long deadlineNs = System.nanoTime() + AWAIT_NS;
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("still waiting").isLessThan(deadlineNs);
      driver.poll(STEP_NS);
      driver.dispatch();
    }
  }

  private String text() {
    byte[] bytes = new byte[6];
    buffer.getBytes(0, bytes);
    return new String(bytes, StandardCharsets.US_ASCII);
  }
}
