package io.plinth.tools.simulator;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.tools.simulator.check.DamagedBlocks;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.concurrent.CompletableFuture;

/** A volume that the simulator's client uses, beside the model of it. */
final class SimVolume {
  /** How far its creation or deletion has come. */
  enum State {
    CREATING,
    PRESENT,
    DELETING
  }

  final String name;
  final FlushPolicy policy;
  final VolumeModel model;
  State state = State.CREATING;
  CompletableFuture<?> transition = CompletableFuture.completedFuture(null);

  /** Whether the transition must succeed, however full the disk is. */
  boolean mustSucceed;

  /**
   * Whether a power cut may take the volume: its creation was on its way when the process died, and
   * nothing that followed is known to be durable.
   */
  boolean mayVanish;

  /** The volume of the running node; null while there is none. */
  LogVolume handle;

  SimVolume(String name, int sectors, FlushPolicy policy, DamagedBlocks damaged) {
    this.name = name;
    this.policy = policy;
    this.model = new VolumeModel(name, sectors, damaged);
  }

  boolean isUsable() {
    return state == State.PRESENT;
  }
}
