package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.node.NodeException;
import io.plinth.target.node.NodeScrub.LogScrub;
import io.plinth.target.volume.DamageReport.Damage;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Scrubber;
import io.plinth.tools.simulator.disk.LogImage;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** When scrubs run and how fast, by the simulated clock; and what they can't check. */
class ScrubPaceSimTest {
  private static final int SEGMENT_BYTES = 1 << 20;
  private static final long CYCLE_NS = 20_000;
  private static final int VOLUME_BLOCKS = 1024;
  private static final long BURST_BYTES = 2 * (64 << 10);

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 48);
  private final SimNode sim = new SimNode(disk, new SimRandom(1), Set.of());

  @AfterEach
  void free() {
    sim.free();
    disk.close();
  }

  private LogVolume start(long bytesPerSecond, long intervalNs) throws Exception {
    sim.scrub(new Scrubber.Settings(bytesPerSecond, intervalNs));
    sim.start(SimNode.CYCLE_LIMIT);
    LogVolume volume = sim.createVolume("v", VOLUME_BLOCKS * 8, FlushPolicy.FLUSH);
    for (long block = 0; block < VOLUME_BLOCKS; block += 64) {
      assertThat(sim.run(volume, new SimRequest(Operation.WRITE, block * 8, 64 * 8, 1))).isZero();
    }
    return volume;
  }

  private Scrubber scrubber() {
    return sim.node().store(0).scrubber();
  }

  private void startScrub() {
    CompletableFuture<Void> started = sim.node().scrub().start();
    sim.await(started::isDone);
    assertThat(started.isCompletedExceptionally()).isFalse();
  }

  private LogScrub status() {
    CompletableFuture<List<LogScrub>> status = sim.node().scrub().status();
    sim.await(status::isDone);
    return status.resultNow().getFirst();
  }

  @Test
  void aPassReadsAsFastAsItMayAndNoFaster() throws Exception {
    long bytesPerSecond = 16L << 20;
    LogVolume _ = start(bytesPerSecond, 0);
    startScrub();
    long startCycle = sim.cycles();
    long remainingMs = -1;
    while (scrubber().progress().running()) {
      sim.cycle();
      Scrubber.Pass pass = scrubber().progress().current();
      long elapsedNs = (sim.cycles() - startCycle) * CYCLE_NS;
      if (pass != null) {
        assertThat(pass.bytesRead())
            .isLessThanOrEqualTo(elapsedNs * bytesPerSecond / 1_000_000_000 + BURST_BYTES);
        if (remainingMs < 0 && pass.bytesDone() > pass.bytesTotal() / 2) {
          remainingMs = pass.remainingMs();
        }
      }
    }
    Scrubber.Pass pass = scrubber().progress().last();
    assertThat(pass.complete()).isTrue();
    assertThat(pass.bytesRead()).isGreaterThan(VOLUME_BLOCKS * 4096L);
    assertThat(pass.bytesDone()).isEqualTo(pass.bytesTotal());
    assertThat(pass.segmentsDone()).isEqualTo(pass.segmentsTotal()).isGreaterThan(3);
    long wholeMs = pass.bytesRead() * 1000 / bytesPerSecond;
    assertThat(pass.endedMs() - pass.startedMs()).isBetween(wholeMs - 10, wholeMs * 5 / 4);
    assertThat(remainingMs).as("half way").isBetween(wholeMs / 3, wholeMs * 2 / 3);
  }

  @Test
  void aPassStandsBackWhileClientsAreBusyAndGoesOnAllTheSame() throws Exception {
    LogVolume volume = start(1L << 30, 0);
    startScrub();
    long startCycle = sim.cycles();
    while (scrubber().progress().running()) {
      for (int i = 0; i < 8; i++) {
        sim.submit(volume, new SimRequest(Operation.CACHE, 0, 8, 0));
      }
      sim.cycle();
    }
    long elapsedMs = TimeUnit.NANOSECONDS.toMillis((sim.cycles() - startCycle) * CYCLE_NS);
    long reads = scrubber().progress().last().bytesRead() / (64 << 10);
    assertThat(elapsedMs).isBetween(reads * 25, reads * 75);
    startScrub();
    sim.await(() -> !scrubber().progress().running());
    Scrubber.Pass alone = scrubber().progress().last();
    assertThat(alone.endedMs() - alone.startedMs()).isLessThan(elapsedMs / 10);
  }

  @Test
  void passesBeginByThemselves() throws Exception {
    long intervalNs = TimeUnit.MILLISECONDS.toNanos(300);
    LogVolume _ = start(1L << 30, intervalNs);
    assertThat(scrubber().progress().nextMs()).isPositive();
    sim.await(() -> scrubber().progress().last() != null);
    long first = scrubber().progress().last().startedMs();
    assertThat(first).isGreaterThanOrEqualTo(300);
    sim.await(() -> scrubber().progress().last().startedMs() > first);
    assertThat(scrubber().progress().last().startedMs()).isBetween(first + 299, first + 302);
  }

  @Test
  void withoutAnIntervalNothingBeginsByItself() throws Exception {
    LogVolume _ = start(1L << 30, 0);
    assertThat(scrubber().progress().nextMs()).isEqualTo(-1);
    for (int i = 0; i < 10_000; i++) {
      sim.cycle();
    }
    assertThat(scrubber().progress().last()).isNull();
  }

  @Test
  void withoutARateThereIsNoScrub() throws Exception {
    LogVolume _ = start(0, 1);
    CompletableFuture<Void> started = sim.node().scrub().start();
    sim.await(started::isDone);
    assertThat(started.exceptionNow())
        .isInstanceOf(NodeException.class)
        .hasMessage("scrubs are switched off: log.scrub-rate is 0");
    assertThat(scrubber().progress().nextMs()).isEqualTo(-1);
  }

  @Test
  void aPassThatIsStoppedIsNotComplete() throws Exception {
    LogVolume _ = start(1 << 20, 0);
    startScrub();
    sim.await(() -> scrubber().progress().current().bytesRead() > 0);
    CompletableFuture<Void> stopped = sim.node().scrub().stop();
    sim.await(stopped::isDone);
    assertThat(scrubber().progress().running()).isFalse();
    Scrubber.Pass pass = scrubber().progress().last();
    assertThat(pass.complete()).isFalse();
    assertThat(pass.bytesDone()).isLessThan(pass.bytesTotal());
    // The read that was in flight disturbs nobody.
    startScrub();
    sim.await(() -> scrubber().progress().current().segmentsDone() > 0);
    assertThat(status().damage()).isEmpty();
  }

  @Test
  void blocksBehindADamagedHeaderAreToldOf() throws Exception {
    LogVolume volume = start(1L << 30, 0);
    assertThat(sim.run(volume, new SimRequest(Operation.FLUSH, 0, 0, 0))).isZero();
    LogImage image = LogImage.ofDisk(disk);
    LogImage.Payload payload = image.payloads().getFirst();
    LogImage.Header header =
        image.headers().stream()
            .filter(one -> one.slot() == payload.slot() && one.offset() > 0)
            .filter(one -> one.sequence() == payload.sequence())
            .findFirst()
            .orElseThrow();
    disk.rotBit(header.slot(), header.offset() + 50, 3);
    startScrub();
    sim.await(() -> !scrubber().progress().running());
    assertThat(status().damage())
        .containsExactly(
            new Damage(
                payload.slot(),
                payload.offset(),
                64,
                "can't be checked: the header of its batch is damaged",
                List.of(),
                ""));
    assertThat(scrubber().progress().last().damagedBlocks()).isEqualTo(64);
    // Nobody needs the header any more.
    assertThat(sim.run(volume, new SimRequest(Operation.WRITE, 0, 512, 2))).isZero();
    startScrub();
    sim.await(() -> !scrubber().progress().running());
    assertThat(status().damage()).isEmpty();
    assertThat(scrubber().progress().last().damagedBlocks()).isZero();
  }
}
