package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.node.NodeException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Settings of volumes: when they are answered, and how much of them there may be. */
class SettingsSimTest {
  private static final int SEGMENT_BYTES = 16 << 20;
  private static final long VOLUME_BYTES = 1 << 20;
  private static final VolumeSettings LARGEST =
      new VolumeSettings(
          "x".repeat(VolumeSettings.MAXIMUM_DESCRIPTION_BYTES),
          Optional.of(TlsMode.REQUIRED),
          Collections.nCopies(
              VolumeSettings.MAXIMUM_NAMES,
              "CN=" + "x".repeat(VolumeSettings.MAXIMUM_NAME_BYTES - 3)));

  private static final String FULL =
      "the settings of all volumes together would take more than 4194304 bytes";

  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, 16);
  private final SimNode sim = new SimNode(disk, new SimRandom(5), Set.of());

  @BeforeEach
  void start() throws Exception {
    assertThat(sim.start(SimNode.CYCLE_LIMIT)).isTrue();
  }

  @AfterEach
  void freeMemory() {
    sim.free();
    disk.close();
  }

  private CompletableFuture<LogVolume> create(String name) {
    CompletableFuture<LogVolume> created =
        sim.node().createVolume(name, VOLUME_BYTES, FlushPolicy.FLUSH, LARGEST);
    sim.await(created::isDone);
    return created;
  }

  @Test
  void noAnswerAndNoEffectBeforeTheSyncHasEnded() throws Exception {
    LogVolume volume = sim.createVolume("v", VOLUME_BYTES / 512, FlushPolicy.FLUSH);
    sim.storage().holdSyncs();
    CompletableFuture<Void> changed =
        sim.node()
            .changeSettings(
                "v", new SettingsChange(EnumSet.allOf(SettingsChange.Key.class), LARGEST));
    for (int i = 0; i < 500; i++) {
      sim.cycle();
    }
    assertThat(changed.isDone()).as("answered without a sync").isFalse();
    assertThat(volume.settings()).isEqualTo(VolumeSettings.DEFAULT);
    sim.storage().releaseSyncs();
    sim.await(changed::isDone);
    assertThat(volume.settings()).isEqualTo(LARGEST);
    sim.losePower();
    start();
    assertThat(sim.node().findVolume("v").settings()).isEqualTo(LARGEST);
  }

  /** Fills all room but for one volume with the largest settings. */
  private int fillButForOne() {
    int most = Catalogue.MAXIMUM_SETTINGS_BYTES / LARGEST.encodedBytes();
    for (int i = 0; i < most - 1; i++) {
      assertThat(create("v" + i).isCompletedExceptionally()).as("volume %s", i).isFalse();
    }
    return most - 1;
  }

  private CompletableFuture<Void> setLargest(String name) {
    return sim.node()
        .changeSettings(name, new SettingsChange(EnumSet.allOf(SettingsChange.Key.class), LARGEST));
  }

  @Test
  void changesUnderWayCount() throws Exception {
    int filled = fillButForOne();
    sim.createVolume("plain", VOLUME_BYTES / 512, FlushPolicy.FLUSH);
    sim.storage().holdSyncs();
    CompletableFuture<LogVolume> created =
        sim.node().createVolume("a", VOLUME_BYTES, FlushPolicy.FLUSH, LARGEST);
    CompletableFuture<LogVolume> second =
        sim.node().createVolume("b", VOLUME_BYTES, FlushPolicy.FLUSH, LARGEST);
    CompletableFuture<Void> changed = setLargest("plain");
    sim.await(() -> second.isDone() && changed.isDone());
    assertThat(created.isDone()).as("answered without a sync").isFalse();
    assertThat(second.exceptionNow()).hasMessage(FULL);
    assertThat(changed.exceptionNow()).hasMessage(FULL);
    sim.storage().releaseSyncs();
    sim.await(created::isDone);
    assertThat(created.isCompletedExceptionally()).isFalse();
    // What was promised is not counted twice, and not for ever.
    CompletableFuture<Void> deleted = sim.node().deleteVolume("a", false);
    sim.await(deleted::isDone);
    assertThat(create("b").isCompletedExceptionally()).as("there is room again").isFalse();
    assertThat(sim.node().volumes()).hasSize(filled + 2);
  }

  /** A clone begins with the names of its source as they are when it is entered. */
  @Test
  void aCloneWhoseSourceHasGrownMeanwhileHasRoomOrIsNotThere() throws Exception {
    int filled = fillButForOne();
    sim.createVolume("plain", VOLUME_BYTES / 512, FlushPolicy.FLUSH);
    sim.storage().holdSyncs();
    CompletableFuture<Void> changed = setLargest("plain");
    CompletableFuture<LogVolume> clone = sim.node().cloneVolume("plain", "copy", FlushPolicy.FLUSH);
    for (int i = 0; i < 100; i++) {
      sim.cycle();
    }
    sim.storage().releaseSyncs();
    sim.await(() -> changed.isDone() && clone.isDone());
    assertThat(changed.isCompletedExceptionally()).isFalse();
    assertThat(clone.exceptionNow()).hasMessage(FULL);
    sim.await(() -> sim.node().store(0).volumes().size() == filled + 1);
    assertThat(sim.node().findVolume("copy")).isNull();
    sim.losePower();
    start();
    assertThat(sim.node().volumes()).hasSize(filled + 1);
    assertThat(sim.node().findVolume("plain").settings()).isEqualTo(LARGEST);
  }

  @Test
  void allOfThemTogetherHaveALimitAndFitACheckpoint() throws Exception {
    int most = Catalogue.MAXIMUM_SETTINGS_BYTES / LARGEST.encodedBytes();
    for (int i = 0; i < most; i++) {
      assertThat(create("v" + i).isCompletedExceptionally()).as("volume %s", i).isFalse();
    }
    CompletableFuture<LogVolume> refused = create("more");
    assertThat(refused.exceptionNow()).isInstanceOf(NodeException.class).hasMessage(FULL);
    CompletableFuture<LogVolume> clone = sim.node().cloneVolume("v0", "copy", FlushPolicy.FLUSH);
    sim.await(clone::isDone);
    assertThat(clone.isCompletedExceptionally()).as("a clone has its source's names").isTrue();
    sim.close();
    start();
    assertThat(sim.node().volumes()).hasSize(most);
    assertThat(sim.node().volumes()).allMatch(volume -> volume.settings().equals(LARGEST));

    CompletableFuture<Void> deleted = sim.node().deleteVolume("v1", false);
    sim.await(deleted::isDone);
    assertThat(create("more").isCompletedExceptionally()).as("there is room again").isFalse();
  }
}
