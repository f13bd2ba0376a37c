package io.plinth.log.journal;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimCore;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.recovery.RecoveredLog;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What is reserved for records, and then not wanted. */
class JournalReserveTest {
  private static final int MIB = 1 << 20;
  private static final int RECORD_BYTES = RecordHeader.encodedBytes(RecordHeader.WRITE, 1);

  private final SimCore core = new SimCore(0, 0);
  private final ManualLogStorage storage = new ManualLogStorage(64 * MIB, 16 * MIB);
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
          new Unheard(),
          Set.of());
  private long lastIndex;

  @AfterEach
  void freeMemory() {
    storage.close();
  }

  private void work() {
    core.cycle(1000);
    int _ = journal.doWork(core.nowNs());
  }

  /** Writes a block full of its index; returns its address. */
  private long write() {
    return write(1);
  }

  private long write(int blocks) {
    assertThat(journal.begin(RecordHeader.WRITE, 0, 5, 1, ++lastIndex, 0, blocks)).isTrue();
    long address = journal.payloadAddress();
    for (int i = 0; i < LogFormat.BLOCK_BYTES; i += Long.BYTES) {
      UnsafeApi.putLong(address + i, lastIndex);
    }
    int _ = journal.checksum(0);
    return address;
  }

  private static boolean isFullOf(long address, long value) {
    for (int i = 0; i < LogFormat.BLOCK_BYTES; i += Long.BYTES) {
      if (UnsafeApi.getLong(address + i) != value) {
        return false;
      }
    }
    return true;
  }

  /**
   * As a follower does with entries that it turns out to have: a frame of some, then one of many.
   * Its headers go to blocks of their own, not behind those of the batch before, where payload is.
   */
  @Test
  void whatWasReservedInVainLeavesThePayloadOfTheBatchBeforeAlone() {
    for (int i = 0; i < 2; i++) {
      storage.prepareAsked();
      work();
    }
    long[] addresses = new long[300];
    addresses[0] = write();
    work();
    assertThat(journal.reserve(100 * RECORD_BYTES, 100)).isTrue();
    assertThat(journal.reserve(150 * RECORD_BYTES, 150)).isTrue();
    assertThat(journal.reserve(200 * RECORD_BYTES, 200)).isTrue();
    for (int i = 1; i < addresses.length; i++) {
      addresses[i] = write();
    }
    work();
    for (int i = 0; i < addresses.length; i++) {
      assertThat(isFullOf(addresses[i], i + 1)).as("block %d", i).isTrue();
    }
  }

  /**
   * As a follower does with many entries that it turns out to have, but for one: the headers that
   * follow are where a start looks for them.
   */
  @Test
  void headersAfterAReservationOfSeveralBlocksAreFoundAgain() {
    for (int i = 0; i < 2; i++) {
      storage.prepareAsked();
      work();
    }
    long[] addresses = new long[100];
    assertThat(journal.reserve(200 * RECORD_BYTES, 200)).isTrue();
    for (int i = 0; i < addresses.length; i++) {
      // 152 bytes each: of the 27th in a block the header fits, and what belongs to it does not.
      addresses[i] = write(7);
      work();
    }
    long segment = journal.active().file().memory().address();
    BatchHeader header = new BatchHeader();
    int position = LogFormat.BLOCK_BYTES;
    int shared = 0;
    for (int sequence = 1; sequence <= addresses.length; sequence++) {
      boolean shares =
          shared > 0 && isNext(header.wrap(segment + shared, BatchHeader.BYTES), shared, sequence);
      assertThat(
              shares
                  || isNext(header.wrap(segment + position, BatchHeader.BYTES), position, sequence))
          .as("batch %d at %d or %d", sequence, shared, position)
          .isTrue();
      shared = header.sharedStart();
      position = header.endOffset();
    }
    for (int i = 0; i < addresses.length; i++) {
      assertThat(isFullOf(addresses[i], i + 1)).as("block %d", i).isTrue();
    }
  }

  private static boolean isNext(BatchHeader header, int at, int sequence) {
    return header.isPossible(at, 64 * MIB) && header.sequence() == sequence;
  }

  private static final class Unheard implements JournalListener {
    @Override
    public boolean mayFreeSegments() {
      return false;
    }

    @Override
    public void onAppended(long sequence) {}

    @Override
    public void onDurable(long sequence) {}

    @Override
    public void onReady() {}

    @Override
    public void onFailed(int status, long sequence) {
      throw new IllegalStateException("failed with " + status);
    }
  }
}
