package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.node.SimNode.Request;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When acks may leave, and what happens when the log's device fails or is full. */
class DurabilitySimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final long VOLUME_BYTES = 64L << 20;
  private static final int PLENTY_OF_CYCLES = 500;

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 400);
  private final SimNode sim = new SimNode(disk, new SimRandom(11));

  @BeforeEach
  void start() throws Exception {
    sim.start();
  }

  @AfterEach
  void freeMemory() {
    sim.kill();
    disk.close();
  }

  @Test
  void noAckOfFlushOrFuaOrPolicyAlwaysLeavesBeforeTheSyncHasEnded() throws Exception {
    LogVolume volatileCache = sim.createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH);
    LogVolume always = sim.createVolume("b", VOLUME_BYTES, FlushPolicy.ALWAYS);
    sim.storage.holdSyncs();
    Request plain = write(0, 8);
    assertThat(sim.run(volatileCache, plain))
        .as("a plain write needs no sync")
        .isEqualTo(Status.OK);
    Request fua = write(8, 8);
    fua.fua = true;
    Request durable = write(0, 8);
    Request flush = new Request(Operation.FLUSH, 0, 0, 0);
    sim.submit(volatileCache, fua);
    sim.submit(always, durable);
    sim.submit(volatileCache, flush);
    for (int i = 0; i < PLENTY_OF_CYCLES; i++) {
      sim.cycle();
    }
    assertThat(fua.done || durable.done || flush.done).as("acknowledged without a sync").isFalse();
    sim.storage.releaseSyncs();
    sim.await(() -> fua.done && durable.done && flush.done);
    assertThat(fua.status).isEqualTo(Status.OK);
  }

  @Test
  void aFailedSyncStopsAllAcksForGood() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH);
    assertThat(sim.run(volume, write(0, 8))).isEqualTo(Status.OK);
    sim.storage.failSyncs();
    assertThat(sim.run(volume, new Request(Operation.FLUSH, 0, 0, 0))).isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(8, 8))).as("a later write").isEqualTo(Status.EIO);
    assertThat(sim.run(volume, new Request(Operation.FLUSH, 0, 0, 0)))
        .as("a later flush")
        .isEqualTo(Status.EIO);
    assertThat(sim.node.hasFailed()).isTrue();
    Request read = new Request(Operation.READ, 0, 512, 0);
    assertThat(sim.run(volume, read)).as("reads go on").isEqualTo(Status.OK);
  }

  @Test
  void aFullLogFailsWritesWithNoSpaceWhileReadsTrimsAndDeletionWork() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH);
    sim.storage.limitNewSegments(2);
    int status = Status.OK;
    int written = 0;
    while (status == Status.OK && written < VOLUME_BYTES / SEGMENT_BYTES * 4) {
      status = sim.run(volume, write(written * 512L, 512));
      written++;
    }
    assertThat(status).isEqualTo(Status.ENOSPC);
    Request read = new Request(Operation.READ, 0, 512, 0);
    assertThat(sim.run(volume, read)).isEqualTo(Status.OK);
    assertThat(read.sectors[0]).isEqualTo(1);
    assertThat(sim.run(volume, new Request(Operation.TRIM, 0, 1 << 18, 0))).isEqualTo(Status.OK);
    assertThat(sim.run(volume, new Request(Operation.FLUSH, 0, 0, 0))).isEqualTo(Status.OK);
    Request trimmed = new Request(Operation.READ, 0, 512, 0);
    assertThat(sim.run(volume, trimmed)).isEqualTo(Status.OK);
    assertThat(trimmed.sectors[0]).as("trimmed").isZero();
    var deleted = sim.node.deleteVolume("a", true);
    sim.await(deleted::isDone);
    assertThat(deleted.isCompletedExceptionally()).isFalse();
  }

  @Test
  void deletedVolumesStayDeletedAndTheirNamesCanBeUsedAgain() throws Exception {
    LogVolume first = sim.createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH);
    assertThat(sim.run(first, write(0, 8))).isEqualTo(Status.OK);
    var deleted = sim.node.deleteVolume("a", false);
    sim.await(deleted::isDone);
    sim.createVolume("a", VOLUME_BYTES / 2, FlushPolicy.ALWAYS);
    sim.losePower();
    sim.start();
    LogVolume found = sim.node.findVolume("a");
    assertThat(found.sizeBytes()).isEqualTo(VOLUME_BYTES / 2);
    assertThat(found.flushPolicy()).isEqualTo(FlushPolicy.ALWAYS);
    Request read = new Request(Operation.READ, 0, 512, 0);
    assertThat(sim.run(found, read)).isEqualTo(Status.OK);
    assertThat(read.sectors[0]).as("nothing of the deleted volume").isZero();
  }

  @Test
  void aFlippedBitIsAnErrorAndNeverData() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH);
    assertThat(sim.run(volume, write(0, 8))).isEqualTo(Status.OK);
    flipInPayload();
    assertThat(sim.run(volume, new Request(Operation.READ, 0, 4096, 0))).isEqualTo(Status.EIO);
    assertThat(volume.corruptReads()).isEqualTo(1);
    assertThat(sim.run(volume, write(1, 1)))
        .as("a part can't be merged into it")
        .isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(0, 8))).as("writing it whole heals it").isEqualTo(Status.OK);
    assertThat(sim.run(volume, new Request(Operation.READ, 0, 4096, 0))).isEqualTo(Status.OK);
  }

  private void flipInPayload() {
    var content = disk.content(0).buffer(0, SEGMENT_BYTES);
    for (int offset = 4096; offset < SEGMENT_BYTES; offset += 4096) {
      if (content.getLong(offset) == 1 && content.getLong(offset + 2048) == 1) {
        disk.flipBit(0, offset + 1000, 2);
        return;
      }
    }
    throw new IllegalStateException("the block is not there");
  }

  private static Request write(long firstSector, int sectors) {
    return new Request(Operation.WRITE, firstSector * 512, sectors * 512L, 1);
  }
}
