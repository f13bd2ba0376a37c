package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.node.NodeException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Changes of a volume that come in one duty cycle with requests which they forbid. */
class CommandOrderSimTest {
  private static final long MIB = 1 << 20;
  private static final long BEYOND = 8 * MIB;

  private final SimDisk disk = new SimDisk((int) MIB, 400);
  private final SimNode sim = new SimNode(disk, new SimRandom(11), Set.of());
  private LogVolume volume;

  @BeforeEach
  void start() throws Exception {
    sim.start(SimNode.CYCLE_LIMIT);
    volume = sim.createVolume("v", MIB / 512, FlushPolicy.FLUSH);
    SimRequest write = new SimRequest(Operation.WRITE, 0, 8, 7);
    assertThat(sim.run(volume, write)).isEqualTo(Status.OK);
    await(sim.node().createSnapshot("v", "s"));
    await(sim.node().resizeVolume("v", 64 * MIB, false));
  }

  @AfterEach
  void freeMemory() {
    sim.kill();
    disk.close();
  }

  @Test
  void aWriteBehindAShrinkIsBeyondTheEnd() throws Exception {
    assertWriteIsRefusedBehind(sim.node().resizeVolume("v", MIB, false));
  }

  @Test
  void aWriteBehindARollbackIsBeyondTheEnd() throws Exception {
    assertWriteIsRefusedBehind(sim.node().rollback("v", "s", false));
  }

  /** The change has one hop behind it, from core 0 to the volume's core. */
  private void assertWriteIsRefusedBehind(CompletableFuture<Void> change) throws RecoveryException {
    sim.cycle();
    SimRequest write = new SimRequest(Operation.WRITE, BEYOND / 512, 8, 1);
    write.askedOf(sim.storage());
    assertThat(volume.core().execute(() -> assertThat(volume.submit(write)).isTrue())).isTrue();
    sim.await(() -> write.isDone() && change.isDone());
    assertThat(change.isCompletedExceptionally()).isFalse();
    assertThat(write.status()).isEqualTo(Status.ENOSPC);
    assertThat(volume.mappedBytes()).isEqualTo(4096);
    restart();
    assertThat(volume.sizeBytes()).isEqualTo(MIB);
    assertThat(volume.mappedBytes()).isEqualTo(4096);
  }

  @Test
  void aCloneBehindTheDeletionOfItsSnapshotIsRefusedAndLeavesNothing() throws Exception {
    // From none to more than the hops that both take.
    for (int cycles = 0; cycles < 6; cycles++) {
      String name = "c" + cycles;
      await(sim.node().createSnapshot("v", name));
      CompletableFuture<Void> deleted = sim.node().deleteSnapshot("v", name, false);
      for (int i = 0; i < cycles; i++) {
        sim.cycle();
      }
      CompletableFuture<LogVolume> cloned =
          sim.node().cloneVolume("v@" + name, name, FlushPolicy.FLUSH);
      sim.await(() -> deleted.isDone() && cloned.isDone());
      assertThat(deleted.isCompletedExceptionally()).isFalse();
      assertThat(cloned.isCompletedExceptionally()).as("after %d cycles", cycles).isTrue();
      assertThat(((NodeException) cloned.exceptionNow()).reason())
          .isEqualTo(NodeException.Reason.NOT_FOUND);
      restart();
      assertThat(sim.node().volumes()).containsExactly(volume);
    }
  }

  private void restart() throws RecoveryException {
    sim.kill();
    sim.start(SimNode.CYCLE_LIMIT);
    volume = sim.node().findVolume("v");
  }

  private void await(CompletableFuture<?> future) {
    sim.await(future::isDone);
    assertThat(future.isCompletedExceptionally()).isFalse();
  }
}
