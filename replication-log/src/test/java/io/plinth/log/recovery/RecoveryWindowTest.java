package io.plinth.log.recovery;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Recovery reads a segment through a window of 1 MiB; here the log above the durable position is
 * several times as long, and batches of many sizes lie across the edges of the window.
 */
class RecoveryWindowTest {
  private static final int WINDOW_BYTES = 1 << 20;
  private static final int SEGMENT_BYTES = 8 << 20;
  private static final int BLOCK = LogFormat.BLOCK_BYTES;
  private static final int LOG_ID = 42;
  private static final int BATCHES = 250;

  /** More payload than the window holds. */
  private static final int LARGE_BATCH = 100;

  private static final int LARGE_BLOCKS = 2 * WINDOW_BYTES / BLOCK;
  private static final UUID BOOT = new UUID(1, 2);
  private static final UUID OTHER_BOOT = new UUID(3, 4);

  private final SimCore core = new SimCore(0, 0);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 4);
  private final SimLogStorage storage = new SimLogStorage(disk, core, new SimRandom(7));
  private final List<Long> visited = new ArrayList<>();

  /** Where the payload of each batch is, in blocks of the log. */
  private final List<Long> places = new ArrayList<>();

  @AfterEach
  void freeMemory() {
    disk.close();
  }

  @Test
  void allRecordsOfAnUndamagedLogAreVisitedInOrder() throws Exception {
    write();
    RecoveredLog log = recover();
    assertThat(visited).containsExactlyElementsOf(blocks(BATCHES));
    assertThat(log.nextSequence()).isEqualTo(BATCHES + 1);
    assertThat(log.decisions()).containsEntry(RecoveryDecision.BATCH_GOOD, (long) BATCHES);
    assertThat(log.rottenBlocks()).isZero();
    assertThat(log.tornBytes()).isZero();
  }

  @Test
  void aTornBlockFarFromTheBeginningCutsTheLogThere() throws Exception {
    write();
    tear(200, blocksOf(200) - 1);
    RecoveredLog log = recover();
    assertThat(visited).containsExactlyElementsOf(blocks(200));
    assertThat(log.nextSequence()).isEqualTo(201);
    assertThat(log.tornBytes()).isPositive();
  }

  @Test
  void aTornBlockOfABatchLargerThanTheWindowCutsTheLogThere() throws Exception {
    write();
    tear(LARGE_BATCH, LARGE_BLOCKS - 1);
    RecoveredLog log = recover();
    assertThat(visited).containsExactlyElementsOf(blocks(LARGE_BATCH));
    assertThat(log.nextSequence()).isEqualTo(LARGE_BATCH + 1);
    assertThat(log.tornBytes()).isPositive();
  }

  /** Wherever its batch lies in the window: each in turn. */
  @Test
  void aBlockThatCannotBeReadKeepsItsRecordInAnIntactPageCache() throws Exception {
    write();
    for (int i = 0; i < BATCHES; i++) {
      visited.clear();
      RecoveredLog log = recover(unreadable(i, blocksOf(i) - 1), BOOT);
      assertThat(visited).as("block of batch %s", i).containsExactlyElementsOf(blocks(BATCHES));
      assertThat(log.rottenBlocks()).as("block of batch %s", i).isEqualTo(blocksOf(i));
    }
  }

  /** Returns the storage with one block at which every read ends. */
  private LogStorage unreadable(int batch, int block) {
    int bad = offsetOf(batch, block);
    InvocationHandler handler =
        (proxy, method, arguments) -> {
          if (method.getName().equals("readNow")) {
            int length = (int) arguments[2];
            long position = (long) arguments[3];
            if (position <= bad && bad < position + length) {
              arguments[2] = (int) (bad - position);
            }
          }
          return method.invoke(storage, arguments);
        };
    return (LogStorage)
        Proxy.newProxyInstance(
            LogStorage.class.getClassLoader(), new Class<?>[] {LogStorage.class}, handler);
  }

  /** Batches of one record each and many sizes, one after the other in one segment. */
  private void write() {
    Journal journal =
        new Journal(
            "log",
            core,
            storage,
            LOG_ID,
            1,
            new RecoveredLog(List.of(), List.of(), 0, 1, 0, 0, 0, 0, 0, 0, Map.of()),
            true,
            1 << 30,
            0,
            new Listener(),
            Set.of());
    core.addCycleTask(journal);
    for (int i = 0; i < BATCHES; i++) {
      int blocks = blocksOf(i);
      while (!journal.begin(RecordHeader.WRITE, 0, 5, 1, i + 1, i, blocks)) {
        assertThat(journal.refusal()).isEqualTo(Status.EAGAIN);
        core.cycle(100_000);
      }
      places.add(journal.payloadPlace());
      NativeMemory memory = disk.content(slotOf(i));
      for (int b = 0; b < blocks; b++) {
        // Zeroes where a header has its fields: payload taken for one shows, and does no harm.
        memory.buffer(offsetOf(i, b) + BLOCK - Long.BYTES, Long.BYTES).putLong(0, i + 1);
        journal.checksum(b);
      }
      journal.seal();
    }
    assertThat(slotOf(BATCHES - 1)).as("all in one segment").isEqualTo(slotOf(0));
  }

  private static int blocksOf(int batch) {
    return batch == LARGE_BATCH ? LARGE_BLOCKS : 1 + batch * 5 % 7;
  }

  private static List<Long> blocks(int count) {
    List<Long> blocks = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      blocks.add(i);
    }
    return blocks;
  }

  private int slotOf(int batch) {
    return (int) (places.get(batch) / (SEGMENT_BYTES / BLOCK));
  }

  private int offsetOf(int batch, int block) {
    return (int) (places.get(batch) % (SEGMENT_BYTES / BLOCK) + block) * BLOCK;
  }

  private void tear(int batch, int block) {
    disk.flipBit(slotOf(batch), offsetOf(batch, block) + 77, 3);
  }

  /** Nothing was synced, and the machine has been started anew. */
  private RecoveredLog recover() throws RecoveryException {
    return recover(storage, OTHER_BOOT);
  }

  private RecoveredLog recover(LogStorage from, UUID bootId) throws RecoveryException {
    return LogRecovery.recover(
        "log",
        from,
        new Superblock.Values(
            SEGMENT_BYTES,
            1,
            LOG_ID,
            BOOT,
            BOOT,
            1,
            0,
            Superblock.Start.NEW,
            Superblock.CheckpointPlace.NONE,
            false),
        bootId,
        Set.of(),
        (record, place) -> {
          assertThat(place).isEqualTo(places.get((int) record.firstBlock()));
          visited.add(record.firstBlock());
        });
  }

  private static final class Listener implements JournalListener {
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
