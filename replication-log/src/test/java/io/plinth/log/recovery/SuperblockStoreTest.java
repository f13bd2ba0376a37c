package io.plinth.log.recovery;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.plinth.engine.api.LogFile;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.Superblock;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a start makes of the superblocks that crashes leave behind. */
class SuperblockStoreTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final long MILLISECOND_NS = 1_000_000;
  private static final UUID ID = new UUID(1, 2);

  private final SimRandom random = new SimRandom(3);
  private final SimCore core = new SimCore(0, 0);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 4);
  private final SimLogStorage storage = new SimLogStorage(disk, core, random);
  private final NativeMemory scratch = NativeMemory.reserve(Superblock.BYTES);
  private final SuperblockStore store = new SuperblockStore(storage);

  @AfterEach
  void freeMemory() {
    store.close();
    scratch.close();
    disk.close();
  }

  @Test
  void aNewLogHasNone() throws RecoveryException {
    assertThat(store.read("log")).isNull();
  }

  @Test
  void theNewerCopyCounts() throws RecoveryException {
    write(1);
    write(2);
    assertThat(store.read("log").generation()).isEqualTo(2);
  }

  @Test
  void aFirstStartThatWasInterruptedBeginsAnew() throws RecoveryException {
    makeSegment();
    assertThat(store.read("log")).as("with a segment and no superblock").isNull();
    write(1);
    damageCopy(1);
    assertThat(store.read("log")).as("with a torn superblock").isNull();
  }

  @Test
  void aLogWithContentAndNoSuperblockIsRefused() {
    makeSegment();
    disk.content(0).buffer(0, 8).putLong(0, 77);
    assertThatThrownBy(() -> store.read("log"))
        .isInstanceOf(RecoveryException.class)
        .hasMessage("log: the superblock is not one of Plinth's, though there are segments");
    write(1);
    write(2);
    damageCopy(0);
    damageCopy(1);
    assertThatThrownBy(() -> store.read("log"))
        .isInstanceOf(RecoveryException.class)
        .hasMessage("log: both copies of the superblock are damaged");
  }

  @Test
  void aCopyThatWasReadIsDurable() throws RecoveryException {
    write(1);
    // The process dies while it writes the next one, and is started again: it reads that from the
    // page cache.
    store.write(values(2), (context, result) -> {}, 0);
    assertThat(store.read("log").generation()).isEqualTo(2);
    // Power is lost while it overwrites the older copy.
    store.write(values(3), (context, result) -> {}, 0);
    disk.losePower(random);
    assertThat(store.read("log").generation()).isBetween(2L, 3L);
  }

  private void write(long generation) {
    store.write(values(generation), (context, result) -> {}, 0);
    core.cycle(MILLISECOND_NS);
  }

  private static Superblock.Values values(long generation) {
    return new Superblock.Values(
        SEGMENT_BYTES,
        generation,
        42,
        ID,
        ID,
        1,
        0,
        Superblock.Start.NEW,
        Superblock.CheckpointPlace.NONE,
        false);
  }

  private void damageCopy(int copy) {
    new Superblock().wrap(scratch.address()).encode(values(9));
    storage.writeSuperblock(copy, scratch.address(), (context, result) -> {}, 0);
    core.cycle(MILLISECOND_NS);
  }

  private void makeSegment() {
    storage.prepare(0);
    LogFile file = null;
    while (file == null) {
      file = storage.takePrepared();
    }
  }
}
