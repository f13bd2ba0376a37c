package io.plinth.target.node;

import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** The volumes that are there for clients. Changed on log 0's core, read by any thread. */
final class NodeVolumes {
  private final Optional<String> defaultVolume;

  // Replaced as a whole.
  private volatile List<LogVolume> volumes = List.of();

  NodeVolumes(Optional<String> defaultVolume) {
    this.defaultVolume = defaultVolume;
  }

  /** Returns the volumes in the order of their names. */
  List<LogVolume> all() {
    return volumes;
  }

  /** Returns a volume, or with {@code volume@snapshot} what it was; null when it is not there. */
  Volume findExport(String name) {
    int at = name.indexOf(StorageNode.SNAPSHOT_SEPARATOR);
    if (at < 0) {
      return find(name);
    }
    LogVolume volume = find(name.substring(0, at));
    SnapshotVolume snapshot = volume == null ? null : volume.snapshot(name.substring(at + 1));
    return snapshot == null || snapshot.isHidden() ? null : snapshot;
  }

  /** Returns a volume, or null; the empty name stands for the default one, or the only one. */
  LogVolume find(String name) {
    List<LogVolume> current = volumes;
    String wanted = name;
    if (name.isEmpty()) {
      if (defaultVolume.isPresent()) {
        wanted = defaultVolume.get();
      } else {
        return current.size() == 1 ? current.get(0) : null;
      }
    }
    for (LogVolume volume : current) {
      if (volume.name().equals(wanted)) {
        return volume;
      }
    }
    return null;
  }

  /** Returns the volume of a group, or null. */
  LogVolume find(int group) {
    for (LogVolume volume : volumes) {
      if (volume.group().id() == group) {
        return volume;
      }
    }
    return null;
  }

  /** Returns the volume that is named; no name is none. */
  LogVolume require(String name) throws NodeException {
    LogVolume volume = name.isEmpty() ? null : find(name);
    if (volume == null) {
      throw noSuchVolume(name);
    }
    return volume;
  }

  static SnapshotVolume requireSnapshot(LogVolume volume, String snapshot) throws NodeException {
    SnapshotVolume found = volume.snapshot(snapshot);
    if (found == null) {
      throw new NodeException(
          NodeException.Reason.NOT_FOUND,
          "volume " + volume.name() + " has no snapshot " + snapshot);
    }
    return found;
  }

  /** Makes sure that a log may have one more volume or snapshot; on its core. */
  static void requireTree(VolumeStore store) throws NodeException {
    if (!store.hasRoomForTree()) {
      throw NodeException.tooManyTrees(store.maxTrees());
    }
  }

  static NodeException noSuchVolume(String name) {
    return new NodeException(NodeException.Reason.NOT_FOUND, "there is no volume " + name);
  }

  void include(LogVolume volume) {
    List<LogVolume> changed = new ArrayList<>(volumes);
    changed.add(volume);
    changed.sort(Comparator.comparing(LogVolume::name));
    volumes = List.copyOf(changed);
  }

  void exclude(LogVolume volume) {
    List<LogVolume> changed = new ArrayList<>(volumes);
    changed.remove(volume);
    volumes = List.copyOf(changed);
  }
}
