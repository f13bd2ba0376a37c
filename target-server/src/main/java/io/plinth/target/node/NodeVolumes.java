package io.plinth.target.node;

import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.IntPredicate;

/** The volumes that are there for clients. Changed on log 0's core, read by any thread. */
final class NodeVolumes {
  private final Optional<String> defaultVolume;
  private final IntPredicate isReachable;

  // Replaced as a whole.
  private volatile List<ShownVolume> volumes = List.of();

  /**
   * Creates one without volumes.
   *
   * @param isReachable whether another node is heard; asked on log 0's core
   */
  NodeVolumes(Optional<String> defaultVolume, IntPredicate isReachable) {
    this.defaultVolume = defaultVolume;
    this.isReachable = isReachable;
  }

  /** Returns the volumes in the order of their names. */
  List<ShownVolume> all() {
    return volumes;
  }

  /** Returns those of which this node has a replica. */
  List<LogVolume> local() {
    return volumes.stream().map(ShownVolume::local).filter(Objects::nonNull).toList();
  }

  /** Returns a volume, or with {@code volume@snapshot} what it was; null when it is not there. */
  Volume findExport(String name) {
    int at = name.indexOf(StorageNode.SNAPSHOT_SEPARATOR);
    if (at < 0) {
      ShownVolume volume = find(name);
      return volume == null ? null : volume.export();
    }
    LogVolume volume = findLocal(name.substring(0, at));
    SnapshotVolume snapshot = volume == null ? null : volume.snapshot(name.substring(at + 1));
    return snapshot == null || snapshot.isHidden() ? null : snapshot;
  }

  /** Returns a volume, or null; the empty name stands for the default one, or the only one. */
  ShownVolume find(String name) {
    List<ShownVolume> current = volumes;
    String wanted = name;
    if (name.isEmpty()) {
      if (defaultVolume.isPresent()) {
        wanted = defaultVolume.get();
      } else {
        return current.size() == 1 ? current.get(0) : null;
      }
    }
    for (ShownVolume volume : current) {
      if (volume.name().equals(wanted)) {
        return volume;
      }
    }
    return null;
  }

  /** Returns the volume of a group, or null. */
  ShownVolume find(int group) {
    for (ShownVolume volume : volumes) {
      if (volume.entry().group() == group) {
        return volume;
      }
    }
    return null;
  }

  /** Returns this node's replica of a volume, or null; see {@link #find(String)}. */
  LogVolume findLocal(String name) {
    ShownVolume volume = find(name);
    return volume == null ? null : volume.local();
  }

  /** Returns the volume that is named; no name is none. */
  ShownVolume requireShown(String name) throws NodeException {
    ShownVolume volume = name.isEmpty() ? null : find(name);
    if (volume == null) {
      throw noSuchVolume(name);
    }
    return volume;
  }

  /**
   * Returns this node's replica of the volume that is named; another node has one if it has none:
   * the leader if that is known, else one that can be reached. On log 0's core.
   */
  LogVolume require(String name) throws NodeException {
    ShownVolume volume = requireShown(name);
    if (volume.local() == null) {
      throw elsewhere(volume);
    }
    return volume.local();
  }

  private NodeException elsewhere(ShownVolume volume) {
    int leader = volume.facade() == null ? Replica.NO_NODE : volume.facade().leader();
    List<Integer> members = volume.entry().members();
    int asked = Replica.NO_NODE;
    for (int node : members) {
      boolean isBetter = asked == Replica.NO_NODE || node == leader;
      if (isBetter && isReachable.test(node)) {
        asked = node;
      }
    }
    return asked == Replica.NO_NODE
        ? NodeException.unreachable("volume " + volume.name(), members)
        : NodeException.onlyAt("volume " + volume.name(), asked);
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

  void include(ShownVolume volume) {
    List<ShownVolume> changed = new ArrayList<>(volumes);
    changed.removeIf(shown -> shown.entry().group() == volume.entry().group());
    changed.add(volume);
    changed.sort(Comparator.comparing(ShownVolume::name));
    volumes = List.copyOf(changed);
  }

  /** The catalogue has other settings for a volume that may be here. */
  void change(Catalogue.Entry entry) {
    ShownVolume volume = find(entry.group());
    if (volume != null) {
      include(volume.with(entry));
    }
  }

  void exclude(int group) {
    List<ShownVolume> changed = new ArrayList<>(volumes);
    changed.removeIf(shown -> shown.entry().group() == group);
    volumes = List.copyOf(changed);
  }
}
