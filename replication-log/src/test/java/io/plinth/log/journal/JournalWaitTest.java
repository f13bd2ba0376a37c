package io.plinth.log.journal;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimCore;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.recovery.RecoveredLog;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** When writers that were refused with EAGAIN are told to try again. */
class JournalWaitTest {
  private static final int MIB = 1 << 20;
  private static final int SEGMENT_BYTES = 64 * MIB;
  private static final int INITIAL_BYTES = 16 * MIB;

  private final SimCore core = new SimCore(0, 0);
  private final ManualLogStorage storage = new ManualLogStorage(SEGMENT_BYTES, INITIAL_BYTES);
  private long lastIndex;
  private final Journal journal =
      new Journal(
          "log",
          core,
          storage,
          42,
          1,
          new RecoveredLog(List.of(), List.of(), 0, 1, 0, 0, 0, 0, 0, 0, Map.of()),
          true,
          1 << 30,
          0,
          new Listener(),
          Set.of());

  private int offers;

  @AfterEach
  void freeMemory() {
    storage.close();
  }

  @Test
  void aWaitForPopulationEndsWhenItIsThere() {
    prepareSegments();
    assertTaken(15);
    assertMustWait(4);
    work();
    assertThat(offers).isZero();
    storage.populateTo(20 * MIB);
    work();
    assertThat(offers).isEqualTo(1);
    assertTaken(4);
  }

  /** The cleaner stays away from the last 8 MiB, and never waits for what does not come. */
  @Test
  void populationIsShortBeforeClientsHaveToWaitAndNeverWhereItFails() {
    assertThat(journal.isPopulationShort()).as("without a segment").isFalse();
    prepareSegments();
    assertTaken(7);
    work();
    assertThat(journal.isPopulationShort()).isFalse();
    assertTaken(2);
    work();
    assertThat(journal.isPopulationShort()).isTrue();
    storage.populateTo(20 * MIB);
    assertThat(journal.isPopulationShort()).isFalse();
    assertTaken(10);
    work();
    assertThat(journal.isPopulationShort()).isTrue();
    storage.failPopulation(Status.ENOSPC);
    assertThat(journal.isPopulationShort()).as("where there is no more").isFalse();
  }

  @Test
  void aWaitForASegmentEndsWhenItIsPrepared() {
    assertMustWait(4);
    work();
    assertThat(offers).isZero();
    storage.prepareAsked();
    work();
    assertThat(offers).isEqualTo(1);
    assertTaken(4);
  }

  /** While everybody waits, the next segment is not populated as far as this one was to be. */
  @Test
  void aWaitForPopulationEndsWhenTheNextSegmentBegins() {
    prepareSegments();
    for (int sizeMiB : new int[] {15, 15, 15, 5}) {
      assertTaken(sizeMiB);
      work();
      storage.populateTo(51 * MIB);
    }
    assertMustWait(4);
    storage.prepareAsked();
    assertTaken(15);
    work();
    assertThat(offers).isEqualTo(1);
    // It waits for another place now, and that one is populated.
    assertMustWait(4);
    storage.populateTo(20 * MIB);
    work();
    assertThat(offers).isEqualTo(2);
    assertTaken(4);
  }

  /** The one after it may be long in coming, and is not needed. */
  @Test
  void aWaitForASegmentEndsWhenAnotherWriterHasBegunIt() {
    assertMustWait(4);
    storage.prepareAsked();
    assertTaken(8);
    work();
    assertThat(offers).isEqualTo(1);
    assertTaken(4);
  }

  /** Else it would take what the next checkpoint needs, without which nothing is freed. */
  @Test
  void dataDoesNotJoinABatchThatTheCleanerHasBegunInASegmentThatDataHasToLeave() {
    prepareSegments();
    assertTaken(1);
    while (journal.availableSegments() >= journal.reservedSegments()) {
      work();
      if (!relocate(60)) {
        storage.prepareAsked();
        storage.populateTo(SEGMENT_BYTES);
      }
    }
    work();
    assertThat(relocate(1)).isTrue();
    assertThat(begin(1)).isFalse();
    assertThat(journal.refusal()).isEqualTo(Status.ENOSPC);
    assertThat(relocate(1)).as("the cleaner goes on").isTrue();
  }

  /** A file system that writes in a new place each time may be full although all was allocated. */
  @Test
  void dataGoesOnInTheNextSegmentWhenTheRestOfThisOneCannotBePopulated() {
    prepareSegments();
    assertTaken(15);
    work();
    prepareSegments();
    storage.failPopulation(Status.ENOSPC);
    assertTaken(4);
    assertThat(journal.active().sequence()).isEqualTo(2);
    work();
    // What is left now is for those who free space.
    assertThat(begin(15)).isFalse();
    assertThat(journal.refusal()).isEqualTo(Status.ENOSPC);
    assertThat(relocate(15)).isTrue();
  }

  private boolean relocate(int sizeMiB) {
    return journal.beginLocal(RecordHeader.RELOCATE, 0, 1, sizeMiB * (MIB / LogFormat.BLOCK_BYTES));
  }

  /** The first one, and the reserve. */
  private void prepareSegments() {
    for (int i = 0; i < 2; i++) {
      storage.prepareAsked();
      work();
    }
  }

  private void work() {
    core.cycle(1000);
    journal.doWork(core.nowNs());
  }

  private boolean begin(int sizeMiB) {
    int blocks = sizeMiB * (MIB / LogFormat.BLOCK_BYTES);
    return journal.begin(RecordHeader.WRITE, 0, 5, 1, ++lastIndex, 0, blocks);
  }

  private void assertTaken(int sizeMiB) {
    assertThat(begin(sizeMiB)).as("%s MiB are taken", sizeMiB).isTrue();
  }

  private void assertMustWait(int sizeMiB) {
    assertThat(begin(sizeMiB)).as("%s MiB are taken", sizeMiB).isFalse();
    assertThat(journal.refusal()).isEqualTo(Status.EAGAIN);
  }

  private final class Listener implements JournalListener {
    @Override
    public boolean mayFreeSegments() {
      return false;
    }

    @Override
    public void onAppended(long sequence) {}

    @Override
    public void onDurable(long sequence) {}

    @Override
    public void onReady() {
      offers++;
    }

    @Override
    public void onFailed(int status, long sequence) {
      throw new IllegalStateException("failed with " + status);
    }
  }
}
