package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Sizes that clients change, while other requests are on their way. */
class ResizeSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final long VOLUME_BYTES = 4L << 20;
  private static final int RUNS = 300;

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 40);
  private final SimRandom random = new SimRandom(7);
  private final SimNode sim = new SimNode(disk, random, Set.of());
  private LogVolume volume;

  @BeforeEach
  void start() throws Exception {
    sim.start(SimNode.CYCLE_LIMIT);
    volume = sim.createVolume("v", VOLUME_BYTES / 512, FlushPolicy.FLUSH);
  }

  @AfterEach
  void freeMemory() {
    sim.free();
    disk.close();
  }

  /** How a change of size has ended. */
  private record Ended(int status, String problem) {}

  private CompletableFuture<Ended> begin(long bytes) {
    CompletableFuture<Ended> ended = new CompletableFuture<>();
    sim.node()
        .resize(volume, bytes, (status, problem) -> ended.complete(new Ended(status, problem)));
    return ended;
  }

  private Ended resize(long bytes) {
    CompletableFuture<Ended> ended = begin(bytes);
    sim.await(ended::isDone);
    return ended.resultNow();
  }

  private void restart() throws Exception {
    sim.losePower();
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
    volume = sim.node().findVolume("v");
  }

  @Test
  void aNewSizeIsDurableWhenItIsAnswered() throws Exception {
    sim.storage().holdSyncs();
    CompletableFuture<Ended> grown = begin(2 * VOLUME_BYTES);
    for (int i = 0; i < 500; i++) {
      sim.cycle();
    }
    assertThat(grown.isDone()).as("answered before it is durable").isFalse();
    sim.storage().releaseSyncs();
    sim.await(grown::isDone);
    assertThat(grown.resultNow()).isEqualTo(new Ended(Status.OK, null));
    restart();
    assertThat(volume.sizeBytes()).isEqualTo(2 * VOLUME_BYTES);
    assertThat(resize(VOLUME_BYTES / 2).status()).isEqualTo(Status.OK);
    restart();
    assertThat(volume.sizeBytes()).isEqualTo(VOLUME_BYTES / 2);
  }

  @Test
  void whatIsRefusedSaysWhyAndChangesNothing() {
    SimRequest write = new SimRequest(Operation.WRITE, VOLUME_BYTES / 512 - 8, 8, 1);
    assertThat(sim.run(volume, write)).isEqualTo(Status.OK);
    assertThat(resize(VOLUME_BYTES / 2))
        .isEqualTo(
            new Ended(Status.EPERM, "volume v has data beyond 2097152 bytes; trim it or force it"));
    assertThat(resize(VOLUME_BYTES - 512).status()).as("in a block").isEqualTo(Status.EINVAL);
    CompletableFuture<Ended> first = begin(2 * VOLUME_BYTES);
    assertThat(resize(3 * VOLUME_BYTES))
        .isEqualTo(new Ended(Status.EPERM, "volume v is being changed already"));
    sim.await(first::isDone);
    assertThat(volume.sizeBytes()).isEqualTo(2 * VOLUME_BYTES);
  }

  @Test
  void anotherVolumeOfTheSameNameIsNotResized() throws Exception {
    LogVolume old = volume;
    CompletableFuture<Void> deleted = sim.node().deleteVolume("v", true);
    sim.await(deleted::isDone);
    volume = sim.createVolume("v", VOLUME_BYTES / 512, FlushPolicy.FLUSH);
    LogVolume made = volume;
    volume = old;
    assertThat(resize(2 * VOLUME_BYTES).status()).isEqualTo(Status.ESHUTDOWN);
    assertThat(made.sizeBytes()).isEqualTo(VOLUME_BYTES);
  }

  /**
   * A write beyond the new end is on its way when a client shrinks the volume: it fails, or the
   * volume stays as large as it is. It is not acknowledged and then cut off.
   */
  @Test
  void noWriteIsAcknowledgedAndThenCutOff() {
    int kept = 0;
    int cut = 0;
    long first = VOLUME_BYTES / 2 / 512;
    for (int run = 0; run < RUNS; run++) {
      SimRequest write = new SimRequest(Operation.WRITE, first, 8, run + 1);
      CompletableFuture<Ended> ended = null;
      int lead = random.nextInt(4);
      if (random.oneIn(2)) {
        sim.submit(volume, write);
        for (int i = 0; i < lead; i++) {
          sim.cycle();
        }
        ended = begin(VOLUME_BYTES / 2);
      } else {
        ended = begin(VOLUME_BYTES / 2);
        for (int i = 0; i < lead; i++) {
          sim.cycle();
        }
        sim.submit(volume, write);
      }
      CompletableFuture<Ended> shrunk = ended;
      sim.await(() -> write.isDone() && shrunk.isDone());
      if (write.status() == Status.OK) {
        assertThat(shrunk.resultNow().status()).as("run %s", run).isEqualTo(Status.EPERM);
        SimRequest read = new SimRequest(Operation.READ, first, 8, 0);
        assertThat(sim.run(volume, read)).isEqualTo(Status.OK);
        assertThat(read.takeStamps()).containsOnly(run + 1);
        assertThat(sim.run(volume, new SimRequest(Operation.TRIM, first, 8, 0)))
            .isEqualTo(Status.OK);
        kept++;
      } else {
        assertThat(write.status()).isEqualTo(Status.ENOSPC);
        assertThat(shrunk.resultNow().status()).isEqualTo(Status.OK);
        assertThat(resize(VOLUME_BYTES).status()).isEqualTo(Status.OK);
        cut++;
      }
    }
    assertThat(kept).as("runs in which the write came first").isGreaterThan(10);
    assertThat(cut).as("runs in which the change came first").isGreaterThan(10);
  }
}
