package io.plinth.target.volume;

import java.util.ArrayList;
import java.util.List;

/**
 * A volume, or one of its snapshots, as it was at one entry.
 *
 * @param name of the snapshot; empty for the volume
 * @param sizeBytes that clients see
 * @param createdMs when the snapshot was taken, in milliseconds since the Unix epoch
 * @param index a tree of its own
 */
record VolumeTree(String name, long sizeBytes, long createdMs, BlockIndex index) {
  /** Freezes a volume and all of its snapshots, in time that does not depend on their sizes. */
  static List<VolumeTree> freeze(LogVolume volume) {
    List<VolumeTree> trees = new ArrayList<>();
    for (SnapshotVolume snapshot : volume.snapshots()) {
      trees.add(
          new VolumeTree(
              snapshot.snapshotName(),
              snapshot.sizeBytes(),
              snapshot.createdMs(),
              snapshot.index().snapshot()));
    }
    trees.add(new VolumeTree("", volume.sizeBytes(), 0, volume.index().snapshot()));
    return trees;
  }
}
