package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.node.NodeException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.VolumeSettings;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A log has as many volumes and snapshots as a checkpoint can describe, and no more. */
@Timeout(60)
class TreeLimitSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final int TREES = SEGMENT_BYTES / 2 / 256;

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 48);
  private final SimNode sim = new SimNode(disk, new SimRandom(7), Set.of());

  @AfterEach
  void freeMemory() {
    sim.free();
    disk.close();
  }

  @Test
  void whatWouldBeOneTooManyIsRefusedAndALogThatIsFullOfThemStarts() throws Exception {
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    assertThat(
            failure(sim.node().createVolume("v", 4096, FlushPolicy.FLUSH, VolumeSettings.DEFAULT)))
        .isNull();
    for (int i = 1; i < TREES; i++) {
      assertThat(failure(sim.node().createSnapshot("v", "s" + i))).isNull();
    }
    assertRefused(sim.node().createSnapshot("v", "one-more"));
    assertRefused(sim.node().cloneVolume("v", "copy", FlushPolicy.FLUSH));
    assertRefused(
        sim.node().createVolume("other", 4096, FlushPolicy.FLUSH, VolumeSettings.DEFAULT));

    sim.close();
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    assertThat(sim.node().findVolume("v").snapshots()).hasSize(TREES - 1);
    assertRefused(sim.node().createSnapshot("v", "one-more"));
    assertThat(failure(sim.node().deleteSnapshot("v", "s1", false))).isNull();
    assertThat(failure(sim.node().createSnapshot("v", "one-more"))).isNull();
  }

  private void assertRefused(CompletableFuture<?> future) {
    assertThat(failure(future))
        .isInstanceOf(NodeException.class)
        .hasMessage(
            "the log holds "
                + TREES
                + " volumes and snapshots, those kept for log.retention among them, and can't hold"
                + " more; delete some");
  }

  private Throwable failure(CompletableFuture<?> future) {
    sim.await(future::isDone);
    return future.isCompletedExceptionally() ? future.exceptionNow() : null;
  }
}
