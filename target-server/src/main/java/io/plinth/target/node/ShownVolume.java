package io.plinth.target.node;

import io.plinth.target.cluster.Catalogue;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;

/**
 * A volume that clients find.
 *
 * @param entry what the catalogue knows of it
 * @param local its replica on this node, or null
 * @param facade what clients use in a cluster, whoever leads; null for a node that is in none
 * @param facts what the facade says of it; null without one
 */
record ShownVolume(Catalogue.Entry entry, LogVolume local, ForwardedVolume facade, Facts facts) {
  /** Returns one of a node that is in no cluster. */
  static ShownVolume of(Catalogue.Entry entry, LogVolume local) {
    return new ShownVolume(entry, local, null, null);
  }

  /** Returns what clients use. */
  Volume export() {
    return facade == null ? local : facade;
  }

  String name() {
    return entry.name();
  }

  /** Returns how many clients of this node, and other nodes for theirs, use it. */
  int attachmentCount() {
    return Math.max(
        facade == null ? 0 : facade.attachmentCount(), local == null ? 0 : local.attachmentCount());
  }

  /** Returns the same volume as the catalogue knows it now. */
  ShownVolume with(Catalogue.Entry changed) {
    if (local != null) {
      local.settings(changed.settings());
    }
    if (facts != null) {
      facts.settings = changed.settings();
    }
    return new ShownVolume(changed, local, facade, facts);
  }

  /** Returns the same volume with another replica on this node, or none. */
  ShownVolume on(Catalogue.Entry changed, LogVolume replica) {
    return new ShownVolume(entry, replica, facade, facts).with(changed);
  }

  /** What the catalogue knows, for any thread. */
  static final class Facts implements ForwardedVolume.Facts {
    private final String name;
    private final long sizeBytes;
    private volatile VolumeSettings settings;

    Facts(Catalogue.Entry entry) {
      name = entry.name();
      sizeBytes = entry.sizeBytes();
      settings = entry.settings();
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public long sizeBytes() {
      return sizeBytes;
    }

    @Override
    public VolumeSettings settings() {
      return settings;
    }
  }
}
