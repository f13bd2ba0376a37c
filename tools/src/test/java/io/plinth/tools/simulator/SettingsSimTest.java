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

  @Test
  void allOfThemTogetherHaveALimitAndFitACheckpoint() throws Exception {
    int most = Catalogue.MAXIMUM_SETTINGS_BYTES / LARGEST.encodedBytes();
    for (int i = 0; i < most; i++) {
      assertThat(create("v" + i).isCompletedExceptionally()).as("volume %s", i).isFalse();
    }
    CompletableFuture<LogVolume> refused = create("more");
    assertThat(refused.exceptionNow())
        .isInstanceOf(NodeException.class)
        .hasMessage("the settings of all volumes together would take more than 4194304 bytes");
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
