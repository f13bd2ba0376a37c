package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.tools.simulator.disk.LogImage;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When acks may leave, and what happens when the log's device fails or is full. */
class DurabilitySimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final long VOLUME_BYTES = 64L << 20;
  private static final long VOLUME_SECTORS = VOLUME_BYTES / 512;
  private static final int PLENTY_OF_CYCLES = 500;
  private static final int SLOW_READ_NS = 5_000_000;

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 400);
  private final SimNode sim = new SimNode(disk, new SimRandom(11), Set.of());

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
  void noAckOfFlushOrFuaOrPolicyAlwaysLeavesBeforeTheSyncHasEnded() throws Exception {
    LogVolume volatileCache = sim.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
    LogVolume always = sim.createVolume("b", VOLUME_SECTORS, FlushPolicy.ALWAYS);
    sim.storage().holdSyncs();
    SimRequest plain = write(0, 8);
    assertThat(sim.run(volatileCache, plain))
        .as("a plain write needs no sync")
        .isEqualTo(Status.OK);
    SimRequest fua = write(8, 8);
    fua.fua = true;
    SimRequest durable = write(0, 8);
    SimRequest flush = new SimRequest(Operation.FLUSH, 0, 0, 0);
    sim.submit(volatileCache, fua);
    sim.submit(always, durable);
    sim.submit(volatileCache, flush);
    for (int i = 0; i < PLENTY_OF_CYCLES; i++) {
      sim.cycle();
    }
    assertThat(fua.isDone() || durable.isDone() || flush.isDone())
        .as("acknowledged without a sync")
        .isFalse();
    sim.storage().releaseSyncs();
    sim.await(() -> fua.isDone() && durable.isDone() && flush.isDone());
    assertThat(fua.status()).isEqualTo(Status.OK);
  }

  @Test
  void aFailedSyncStopsAllAcksForGood() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
    assertThat(sim.run(volume, write(0, 8))).isEqualTo(Status.OK);
    sim.storage().failSyncs();
    assertThat(sim.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0))).isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(8, 8))).as("a later write").isEqualTo(Status.EIO);
    assertThat(sim.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0)))
        .as("a later flush")
        .isEqualTo(Status.EIO);
    assertThat(sim.node().hasFailed()).isTrue();
    SimRequest read = new SimRequest(Operation.READ, 0, 1, 0);
    assertThat(sim.run(volume, read)).as("reads go on").isEqualTo(Status.OK);
  }

  @Test
  void aFullLogFailsWritesWithNoSpaceWhileReadsTrimsAndDeletionWork() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
    sim.storage().limitNewSegments(2);
    int status = Status.OK;
    int written = 0;
    while (status == Status.OK && written < VOLUME_BYTES / SEGMENT_BYTES * 4) {
      status = sim.run(volume, write(written * 512L, 512));
      written++;
    }
    assertThat(status).isEqualTo(Status.ENOSPC);
    SimRequest read = new SimRequest(Operation.READ, 0, 1, 0);
    assertThat(sim.run(volume, read)).isEqualTo(Status.OK);
    assertThat(read.takeStamps()[0]).isEqualTo(1);
    assertThat(sim.run(volume, new SimRequest(Operation.TRIM, 0, 512, 0))).isEqualTo(Status.OK);
    assertThat(sim.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0))).isEqualTo(Status.OK);
    SimRequest trimmed = new SimRequest(Operation.READ, 0, 1, 0);
    assertThat(sim.run(volume, trimmed)).isEqualTo(Status.OK);
    assertThat(trimmed.takeStamps()[0]).as("trimmed").isZero();
    var deleted = sim.node().deleteVolume("a", true);
    sim.await(deleted::isDone);
    assertThat(deleted.isCompletedExceptionally()).isFalse();
  }

  @Test
  void deletedVolumesStayDeletedAndTheirNamesCanBeUsedAgain() throws Exception {
    LogVolume first = sim.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
    assertThat(sim.run(first, write(0, 8))).isEqualTo(Status.OK);
    var deleted = sim.node().deleteVolume("a", false);
    sim.await(deleted::isDone);
    sim.createVolume("a", VOLUME_SECTORS / 2, FlushPolicy.ALWAYS);
    sim.losePower();
    sim.start(SimNode.CYCLE_LIMIT);
    LogVolume found = sim.node().findVolume("a");
    assertThat(found.sizeBytes()).isEqualTo(VOLUME_BYTES / 2);
    assertThat(found.flushPolicy()).isEqualTo(FlushPolicy.ALWAYS);
    SimRequest read = new SimRequest(Operation.READ, 0, 1, 0);
    assertThat(sim.run(found, read)).isEqualTo(Status.OK);
    assertThat(read.takeStamps()[0]).as("nothing of the deleted volume").isZero();
  }

  @Test
  void aFlippedBitIsAnErrorAndNeverData() throws Exception {
    LogVolume volume = sim.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
    assertThat(sim.run(volume, write(0, 8))).isEqualTo(Status.OK);
    damage(0);
    assertThat(sim.run(volume, new SimRequest(Operation.READ, 0, 8, 0))).isEqualTo(Status.EIO);
    assertThat(volume.corruptReads()).isEqualTo(1);
    assertThat(sim.run(volume, write(1, 1)))
        .as("a part can't be merged into it")
        .isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(0, 8))).as("writing it whole heals it").isEqualTo(Status.OK);
    assertThat(sim.run(volume, new SimRequest(Operation.READ, 0, 8, 0))).isEqualTo(Status.OK);
  }

  @Test
  void aWriteBetweenTwoDamagedBlocksOutsideOfMemoryFails() throws Exception {
    sim.kill();
    SimNode small = new SimNode(disk, new SimRandom(12), Set.of());
    try {
      small.residentBytes(SEGMENT_BYTES);
      // Reads that take long end one after the other.
      small.slowDevice(0, SLOW_READ_NS);
      small.start(SimNode.CYCLE_LIMIT);
      LogVolume volume = small.createVolume("a", VOLUME_SECTORS, FlushPolicy.FLUSH);
      assertThat(small.run(volume, write(0, 16))).isEqualTo(Status.OK);
      for (int i = 1; i < 8; i++) {
        assertThat(small.run(volume, write(i * 512L, 512))).isEqualTo(Status.OK);
      }
      assertThat(small.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0))).isEqualTo(Status.OK);
      damage(0);
      damage(1);
      assertThat(small.run(volume, write(4, 8))).isEqualTo(Status.EIO);
      assertThat(small.run(volume, new SimRequest(Operation.WRITE_ZEROES, 4, 8, 0)))
          .isEqualTo(Status.EIO);
      assertThat(small.run(volume, write(0, 16))).isEqualTo(Status.OK);
      assertThat(small.run(volume, write(4, 8))).isEqualTo(Status.OK);
    } finally {
      small.free();
    }
  }

  @Test
  void writingThePartOfABlockThatEndsAVolumeHealsIt() throws Exception {
    LogVolume volume = sim.createVolume("a", 13, FlushPolicy.FLUSH);
    assertThat(sim.run(volume, write(8, 5))).isEqualTo(Status.OK);
    damage(0);
    assertThat(sim.run(volume, new SimRequest(Operation.READ, 8, 5, 0))).isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(9, 4))).as("not all of it").isEqualTo(Status.EIO);
    assertThat(sim.run(volume, write(8, 5))).isEqualTo(Status.OK);
    SimRequest read = new SimRequest(Operation.READ, 8, 5, 0);
    assertThat(sim.run(volume, read)).isEqualTo(Status.OK);
    assertThat(read.takeStamps()).containsOnly(1);
  }

  /** Flips a bit of the payload block with a number, on the disk and in memory. */
  private void damage(int number) {
    List<LogImage.Payload> payloads = LogImage.ofCache(disk).payloads();
    disk.flipBit(payloads.get(number).slot(), payloads.get(number).offset() + 100, 1);
  }

  private static SimRequest write(long firstSector, int sectors) {
    return new SimRequest(Operation.WRITE, firstSector, sectors, 1);
  }
}
