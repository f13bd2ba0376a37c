package io.plinth.tools.simulator;

import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.concurrent.CompletableFuture;

/** A volume or snapshot that the simulator's client uses, beside the model of it. */
final class SimVolume {
  /** How far a command about it has come. */
  enum State {
    CREATING,
    PRESENT,
    /** It will be what {@link #next} is. */
    CHANGING,
    DELETING,
    /** A failed sync has left open what it is. */
    UNKNOWN
  }

  final String name;
  final FlushPolicy policy;

  /** The volume that this is a snapshot of, or null. */
  final SimVolume origin;

  VolumeModel model;
  VolumeModel next;
  State state = State.CREATING;
  CompletableFuture<?> transition = CompletableFuture.completedFuture(null);

  /** The settings that were acknowledged. */
  VolumeSettings settings = VolumeSettings.DEFAULT;

  /** The settings that are on their way, or null. */
  VolumeSettings nextSettings;

  /** What the model is a copy of while this is being made, or null. */
  SimVolume source;

  /** Whether the transition must succeed, however full the disk is. */
  boolean mustSucceed;

  /**
   * Whether a power cut may take the volume: its creation was on its way when the process died, and
   * nothing that followed is known to be durable.
   */
  boolean mayVanish;

  /** The volume of the running node; null while there is none. */
  IndexedVolume handle;

  /** Creates a volume. */
  SimVolume(String name, FlushPolicy policy, VolumeModel model) {
    this(name, policy, null, model);
  }

  private SimVolume(String name, FlushPolicy policy, SimVolume origin, VolumeModel model) {
    this.name = name;
    this.policy = policy;
    this.origin = origin;
    this.model = model;
  }

  /** Creates the snapshot of a volume that is about to be taken. */
  static SimVolume snapshot(SimVolume origin, String snapshotName) {
    String name = origin.name + StorageNode.SNAPSHOT_SEPARATOR + snapshotName;
    return new SimVolume(name, origin.policy, origin, origin.model.beginCopy(name));
  }

  boolean isSnapshot() {
    return origin != null;
  }

  /** Returns the name of a snapshot within its volume. */
  String snapshotName() {
    return name.substring(origin.name.length() + 1);
  }

  boolean isUsable() {
    return state == State.PRESENT;
  }

  long sizeBytes() {
    return (long) model.sectors() * SimRequest.SECTOR_BYTES;
  }

  /** Ends being made: what is written to the source from now on is not in the copy. */
  void endCopy() {
    if (source != null) {
      source.model.endCopy(model);
      source = null;
    }
  }
}
