package io.plinth.log.recovery;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Logs written by the real journal, damaged, and opened again: one test for each row of the
 * decision table.
 */
class LogRecoveryTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int BLOCK = LogFormat.BLOCK_BYTES;
  private static final UUID BOOT = new UUID(1, 2);
  private static final UUID OTHER_BOOT = new UUID(3, 4);

  private final SimRandom random = new SimRandom(7);
  private final SimCore core = new SimCore(0, 0);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 16);
  private final SimLogStorage storage = new SimLogStorage(disk, core, random);
  private long lastIndex;
  private final List<Long> visited = new ArrayList<>();
  private long durable;
  private Journal journal;

  @AfterEach
  void freeMemory() {
    disk.close();
  }

  @Test
  void BATCH_GOOD_allRecordsOfAnUndamagedLogAreVisitedInOrder() throws Exception {
    write(5, false);
    RecoveredLog log = recover(BOOT);
    assertThat(visited).containsExactly(0L, 1L, 2L, 3L, 4L);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.BATCH_GOOD, 5L);
    assertThat(log.nextSequence()).isEqualTo(6);
    assertThat(log.tornBytes()).isZero();
  }

  @Test
  void PAYLOAD_ROT_DURABLE_aDamagedBlockBelowTheDurablePositionKeepsItsRecord() throws Exception {
    write(3, true);
    disk.flipBit(0, payloadOffset(0) + 77, 3);
    RecoveredLog log = recover(OTHER_BOOT);
    assertThat(visited).startsWith(0L, 1L, 2L);
    assertThat(log.tornBytes()).isZero();
  }

  @Test
  void PAYLOAD_ROT_CACHED_aCompleteBatchInAnIntactPageCacheIsKept() throws Exception {
    write(3, false);
    disk.flipBit(0, payloadOffset(1) + 5, 0);
    RecoveredLog log = recover(BOOT);
    assertThat(visited).containsExactly(0L, 1L, 2L);
    assertThat(log.rottenBlocks()).isEqualTo(1);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.PAYLOAD_ROT_CACHED, 1L);
  }

  @Test
  void PAYLOAD_TORN_aPowerCutInTheMiddleOfPayloadCutsTheLogThere() throws Exception {
    write(3, false);
    disk.flipBit(0, payloadOffset(1) + 5, 0);
    RecoveredLog log = recover(OTHER_BOOT);
    assertThat(visited).containsExactly(0L);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.PAYLOAD_TORN, 1L);
    assertThat(log.nextSequence()).isEqualTo(2);
    assertThat(log.tornBytes()).isPositive();
  }

  @Test
  void HEADER_ROT_DURABLE_aLostDurableBatchRefusesToStartAndNamesThePlace() {
    write(3, true);
    disk.flipBit(0, headerOffset(1) + 24, 0);
    assertThatThrownBy(() -> recover(OTHER_BOOT))
        .isInstanceOf(RecoveryException.class)
        .hasMessageContaining("batch 2 in segment file 0 at offset " + headerOffset(1))
        .hasMessageContaining("durable");
  }

  @Test
  void HEADER_ROT_CACHED_aLaterBatchInAnIntactPageCacheProvesTheDamage() {
    write(3, false);
    disk.flipBit(0, headerOffset(1) + 24, 0);
    assertThatThrownBy(() -> recover(BOOT))
        .isInstanceOf(RecoveryException.class)
        .hasMessageContaining("batch 2")
        .hasMessageContaining("complete");
  }

  @Test
  void TAIL_UNFINISHED_theLastBatchWithoutAHeaderIsCutAndErased() throws Exception {
    write(3, false);
    disk.flipBit(0, headerOffset(2) + 24, 0);
    RecoveredLog log = recover(BOOT);
    assertThat(visited).containsExactly(0L, 1L);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.TAIL_UNFINISHED, 1L);
    assertThat(isZero(log.endOffset(), SEGMENT_BYTES)).isTrue();
  }

  @Test
  void TAIL_TORN_afterAPowerCutTheLogEndsAtTheFirstDamagedHeaderThatWasNotDurable()
      throws Exception {
    write(3, false);
    disk.flipBit(0, headerOffset(1) + 24, 0);
    RecoveredLog log = recover(OTHER_BOOT);
    assertThat(visited).containsExactly(0L);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.TAIL_TORN, 1L);
    assertThat(isZero(headerOffset(1), 2 * BLOCK)).as("headers that followed are erased").isTrue();
    assertThat(isZero(payloadOffset(1), SEGMENT_BYTES)).as("what followed is erased").isTrue();
    assertThat(isZero(headerOffset(0), headerOffset(1))).isFalse();
  }

  @Test
  void theLogGoesOnInTheNextSegment() throws Exception {
    write(600, false);
    RecoveredLog log = recover(BOOT);
    assertThat(visited).hasSize(600);
    assertThat(log.segments()).hasSizeGreaterThan(2);
  }

  @Test
  void aSegmentWhoseHeaderWasNeverDurableEndsTheLogAfterAPowerCut() throws Exception {
    write(600, false);
    int damaged = slotOf(2);
    int following = slotOf(3);
    NativeMemory.zero(disk.content(damaged).address(), BLOCK);
    RecoveredLog log = recover(OTHER_BOOT);
    assertThat(visited).hasSize((SEGMENT_BYTES / BLOCK - 1) * SHARING / (SHARING + 1));
    assertThat(log.segments()).hasSize(1);
    assertThat(disk.slots()).as("what followed is gone").doesNotContain(damaged, following);
    assertThat(log.older()).as("files never used").extracting("sequence").containsOnly(0L);
  }

  @Test
  void aSegmentWhoseHeaderIsGoneFromAnIntactPageCacheRefusesToStart() {
    write(600, false);
    NativeMemory.zero(disk.content(slotOf(2)).address(), BLOCK);
    assertThatThrownBy(() -> recover(BOOT)).isInstanceOf(RecoveryException.class);
  }

  @Test
  void aLogThatIsRefusedIsLeftAsItIs() throws Exception {
    // Only the last segment says that the batches of the first are durable.
    write(600, true);
    disk.flipBit(0, 24, 0);
    List<Integer> slots = disk.slots();
    assertThatThrownBy(() -> recover(OTHER_BOOT)).isInstanceOf(RecoveryException.class);
    assertThat(disk.slots()).isEqualTo(slots);
    disk.flipBit(0, 24, 0);
    recover(OTHER_BOOT);
    assertThat(visited).hasSize(601);
  }

  @Test
  void staleBatchesOfAnotherLogAreNeverTakenForOurs() throws Exception {
    write(2, false);
    // The same bytes under another identity of the log: nothing of them belongs to it.
    Superblock.Values other = superblock(BOOT, 999);
    RecoveredLog log =
        LogRecovery.recover(
            "log", storage, other, BOOT, Set.of(), (record, place) -> visited.add(-1L));
    assertThat(visited).isEmpty();
    assertThat(log.segments()).isEmpty();
  }

  @Test
  void anUnfinishedTailThatWasCutNeverComesBack() throws Exception {
    write(3, false);
    disk.flipBit(0, payloadOffset(1), 0);
    RecoveredLog first = recover(OTHER_BOOT);
    visited.clear();
    RecoveredLog second = recover(OTHER_BOOT);
    assertThat(visited).containsExactly(0L);
    assertThat(second.nextSequence()).isEqualTo(first.nextSequence());
    assertThat(second.tornBytes()).isZero();
  }

  @Test
  void theCutHeaderOfABlockThatIsSharedNeverComesBackAfterwards() throws Exception {
    write(3, false);
    disk.flipBit(0, payloadOffset(1), 0);
    RecoveredLog cut = recover(OTHER_BOOT);
    continueWith(cut, 7);
    visited.clear();
    recover(BOOT);
    assertThat(visited).containsExactly(0L, 7L);
  }

  @Test
  void smallBatchesShareABlockUntilASync() throws Exception {
    write(SHARING + 2, true);
    RecoveredLog log = recover(OTHER_BOOT);
    assertThat(visited).hasSize(SHARING + 3);
    // Three header blocks: a full one, one with two batches, and the one behind the sync.
    assertThat(log.endOffset()).isEqualTo(BLOCK + (3 + SHARING + 3) * BLOCK);
    assertThat(log.durableSequence()).isEqualTo(SHARING + 2);
  }

  /**
   * Appends records of one block, each in a batch of its own; with {@code sync} the last batch says
   * that those before are durable.
   */
  private void write(int records, boolean sync) {
    open(
        1,
        new RecoveredLog(
            List.of(), List.of(), 0, 1, 0, 0, 0, 0, 0, 0, java.util.Collections.emptyMap()));
    for (int i = 0; i < records; i++) {
      append(i);
    }
    if (sync) {
      journal.requestSync();
      while (durable < records) {
        core.cycle(100_000);
      }
      append(records);
    }
  }

  private void continueWith(RecoveredLog recovered, long block) {
    open(2, recovered);
    append(block);
  }

  private void open(int starts, RecoveredLog recovered) {
    journal =
        new Journal(
            "log",
            core,
            storage,
            42,
            starts,
            recovered,
            starts == 1,
            1 << 30,
            0,
            new Listener(),
            Set.of());
    core.addCycleTask(journal);
  }

  private void append(long block) {
    lastIndex++;
    while (!journal.begin(RecordHeader.WRITE, 0, 5, 1, lastIndex, block, 1)) {
      assertThat(journal.refusal()).isEqualTo(Status.EAGAIN);
      core.cycle(100_000);
    }
    NativeMemory.zero(journal.payloadAddress(), BLOCK);
    org.agrona.UnsafeApi.putLong(journal.payloadAddress(), block + 1);
    journal.checksum(0);
    journal.seal();
  }

  private RecoveredLog recover(UUID bootId) throws RecoveryException {
    return LogRecovery.recover(
        "log",
        storage,
        superblock(BOOT, 42),
        bootId,
        Set.of(),
        (record, place) -> visited.add(record.firstBlock()));
  }

  private static Superblock.Values superblock(UUID boot, long logId) {
    return new Superblock.Values(
        SEGMENT_BYTES,
        1,
        logId,
        BOOT,
        boot,
        1,
        0,
        Superblock.Start.NEW,
        Superblock.CheckpointPlace.NONE,
        false);
  }

  /** So many batches of one record of one block share a header block, and payload follows it. */
  private static final int SHARING = 32;

  private static int headerBlock(int batch) {
    return BLOCK + batch / SHARING * (1 + SHARING) * BLOCK;
  }

  private static int headerOffset(int batch) {
    return headerBlock(batch) + batch % SHARING * (BLOCK / SHARING);
  }

  private static int payloadOffset(int batch) {
    return headerBlock(batch) + (1 + batch % SHARING) * BLOCK;
  }

  private int slotOf(long segmentSequence) {
    for (int slot : disk.slots()) {
      SegmentHeader header = new SegmentHeader().wrap(disk.content(slot).address());
      if (header.isSegment() && header.segmentSequence() == segmentSequence) {
        return slot;
      }
    }
    throw new IllegalStateException("there is no segment " + segmentSequence);
  }

  private boolean isZero(int from, int to) {
    var content = disk.content(0).buffer(from, to - from);
    for (int i = 0; i < to - from; i++) {
      if (content.getByte(i) != 0) {
        return false;
      }
    }
    return true;
  }

  private final class Listener implements JournalListener {
    @Override
    public boolean mayFreeSegments() {
      return false;
    }

    @Override
    public void onAppended(long sequence) {}

    @Override
    public void onDurable(long sequence) {
      durable = sequence;
    }

    @Override
    public void onReady() {}

    @Override
    public void onFailed(int status, long sequence) {
      throw new IllegalStateException("failed with " + status);
    }
  }
}
