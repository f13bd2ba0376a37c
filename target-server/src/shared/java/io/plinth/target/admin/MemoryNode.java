package io.plinth.target.admin;

import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/**
 * A node without disks, for tests: remembers volumes and snapshots. What it answers about itself,
 * and about what is in volumes, is up to those who extend it.
 */
public abstract class MemoryNode implements NodeControl {
  private static final HistoryInfo HISTORY = new HistoryInfo(1_795_500_000_000L, 17, 4711);
  private static final long SNAPSHOT_MS = 1_767_225_600_000L;

  private final long mostBytes;
  private final Map<String, VolumeInfo> volumes = new TreeMap<>();
  private final Map<String, SnapshotInfo> snapshots = new TreeMap<>();

  /**
   * Creates an empty node.
   *
   * @param mostBytes volumes that are larger find no room
   */
  protected MemoryNode(long mostBytes) {
    this.mostBytes = mostBytes;
  }

  /** Has a volume, or has it changed. */
  public final synchronized void add(VolumeInfo volume) {
    volumes.put(volume.name(), volume);
  }

  /** Pretends that clients are attached. */
  public final synchronized void attach(String name, int connections) {
    VolumeInfo info = volumes.get(name);
    add(copy(info, info.sizeBytes(), connections, settings(info), info.space()));
  }

  /** Returns a volume, or null. */
  protected final synchronized VolumeInfo volume(String name) {
    return volumes.get(name);
  }

  /** Returns the volumes of that name, or all in the order of their names; null for none. */
  protected final synchronized List<VolumeInfo> volumesOf(String nameOrNull) {
    if (nameOrNull == null) {
      return List.copyOf(volumes.values());
    }
    return volumes.containsKey(nameOrNull) ? List.of(volumes.get(nameOrNull)) : null;
  }

  protected final synchronized boolean hasSnapshot(String volume, String snapshot) {
    return snapshots.containsKey(volume + "@" + snapshot);
  }

  private List<SnapshotInfo> snapshotsOf(String volume) {
    return snapshots.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(volume + "@"))
        .map(Map.Entry::getValue)
        .toList();
  }

  private static VolumeSettings settings(VolumeInfo info) {
    return new VolumeSettings(
        info.description() == null ? "" : info.description(),
        Optional.ofNullable(info.tls()),
        info.tlsAllow());
  }

  private void count(VolumeInfo info, int more) {
    add(
        new VolumeInfo(
            info.name(),
            info.id(),
            info.sizeBytes(),
            info.mappedBytes(),
            info.snapshots() + more,
            info.connections(),
            info.flushPolicy(),
            info.description(),
            info.tls(),
            info.tlsAllow(),
            info.core(),
            info.epoch(),
            info.corruptReads(),
            info.history(),
            info.space(),
            info.replicas()));
  }

  private static VolumeInfo copy(
      VolumeInfo info, long sizeBytes, int connections, VolumeSettings settings, SpaceInfo space) {
    return new VolumeInfo(
        info.name(),
        info.id(),
        sizeBytes,
        info.mappedBytes(),
        info.snapshots(),
        connections,
        info.flushPolicy(),
        settings.description().isEmpty() ? null : settings.description(),
        settings.tls().orElse(null),
        settings.tlsAllow(),
        info.core(),
        info.epoch(),
        info.corruptReads(),
        info.history(),
        space,
        info.replicas());
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> createVolume(
      VolumeSpec spec, OptionalInt replicas) {
    if (volumes.containsKey(spec.name())) {
      return fail(
          ControlException.Kind.ALREADY_EXISTS, "volume '" + spec.name() + "' exists already");
    }
    if (spec.sizeBytes() > mostBytes) {
      return fail(ControlException.Kind.NO_SPACE, "no room in the log for '" + spec.name() + "'");
    }
    VolumeInfo plain =
        new VolumeInfo(
            spec.name(),
            volumes.size() + 1,
            spec.sizeBytes(),
            4096L,
            0,
            0,
            spec.flushPolicy(),
            null,
            null,
            List.of(),
            0,
            1,
            0,
            HISTORY,
            null,
            null);
    VolumeInfo info = copy(plain, spec.sizeBytes(), 0, spec.settings(), null);
    add(info);
    return CompletableFuture.completedFuture(info);
  }

  @Override
  public synchronized CompletableFuture<VerifyInfo> startVerify(String volume) {
    return volumes.containsKey(volume)
        ? fail(ControlException.Kind.INVALID, "volume " + volume + " has one replica")
        : notFound(volume);
  }

  @Override
  public synchronized CompletableFuture<VerifyInfo> verifyInfo(String volume) {
    return notFound(volume);
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> moveLead(String volume, int node) {
    VolumeInfo info = volumes.get(volume);
    return info == null
        ? notFound(volume)
        : fail(
            ControlException.Kind.INVALID, "node " + node + " has no replica of volume " + volume);
  }

  @Override
  public CompletableFuture<NodesInfo> nodesInfo() {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> drainNode(int node, int replacement, boolean dryRun) {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> admitNode(JoinSpec spec) {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public final CompletableFuture<NodesInfo.Outcome> undrainNode(int node) {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public final CompletableFuture<NodesInfo.Outcome> removeNode(int node, boolean lost) {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public final CompletableFuture<ClusterInfo> clusterInfo() {
    return fail(ControlException.Kind.NOT_FOUND, "this node is in no cluster");
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> cloneVolume(CloneSpec spec) {
    VolumeInfo source = volumes.get(spec.sourceVolume());
    boolean isThere =
        source != null
            && (spec.source().equals(source.name()) || snapshots.containsKey(spec.source()));
    if (!isThere) {
      return notFound(spec.source());
    }
    return createVolume(
        new VolumeSpec(
            spec.name(),
            source.sizeBytes(),
            spec.flushPolicy().orElse(source.flushPolicy()),
            settings(source).ofCopy()),
        OptionalInt.empty());
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> restoreVolume(RestoreSpec spec) {
    VolumeInfo source = volumes.get(spec.source());
    if (source == null) {
      return notFound(spec.source());
    }
    if (spec.moment().batch() < HISTORY.fromPosition()) {
      return fail(ControlException.Kind.INVALID, "the log goes back to position 17");
    }
    return createVolume(
        new VolumeSpec(
            spec.name(),
            source.sizeBytes(),
            spec.flushPolicy().orElse(source.flushPolicy()),
            settings(source).ofCopy()),
        OptionalInt.empty());
  }

  @Override
  public final synchronized CompletableFuture<List<VolumeInfo>> listVolumes() {
    return CompletableFuture.completedFuture(List.copyOf(volumes.values()));
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> showVolume(String name, boolean space) {
    VolumeInfo info = volumes.get(name);
    return info == null
        ? notFound(name)
        : CompletableFuture.completedFuture(space ? withSpace(info) : info);
  }

  @Override
  public final synchronized CompletableFuture<Void> deleteVolume(String name, boolean force) {
    VolumeInfo info = volumes.get(name);
    if (info == null) {
      return notFound(name);
    }
    if (info.connections() > 0 && !force) {
      return fail(ControlException.Kind.IN_USE, "volume '" + name + "' has clients attached");
    }
    volumes.remove(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public final synchronized CompletableFuture<List<SnapshotInfo>> listSnapshots(
      String volume, boolean space) {
    return volumes.containsKey(volume)
        ? CompletableFuture.completedFuture(
            snapshotsOf(volume).stream().map(info -> space ? withSpace(info) : info).toList())
        : notFound(volume);
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> changeSettings(
      String volume, SettingsChange change) {
    VolumeInfo info = volumes.get(volume);
    if (info == null) {
      return notFound(volume);
    }
    VolumeSettings changed = change.applyTo(settings(info));
    add(copy(info, info.sizeBytes(), info.connections(), changed, info.space()));
    return CompletableFuture.completedFuture(volumes.get(volume));
  }

  @Override
  public final synchronized CompletableFuture<SnapshotInfo> createSnapshot(
      String volume, String snapshot) {
    VolumeInfo info = volumes.get(volume);
    if (info == null) {
      return notFound(volume);
    }
    String name = volume + "@" + snapshot;
    if (snapshots.containsKey(name)) {
      return fail(ControlException.Kind.ALREADY_EXISTS, "snapshot '" + name + "' exists already");
    }
    count(info, 1);
    SnapshotInfo made =
        new SnapshotInfo(snapshot, SNAPSHOT_MS, info.sizeBytes(), info.mappedBytes(), 0, null);
    snapshots.put(name, made);
    return CompletableFuture.completedFuture(made);
  }

  @Override
  public final synchronized CompletableFuture<Void> deleteSnapshot(
      String volume, String snapshot, boolean force) {
    String name = volume + "@" + snapshot;
    if (!snapshots.containsKey(name)) {
      return notFound(name);
    }
    if (volumes.get(volume).connections() > 0 && !force) {
      return fail(ControlException.Kind.IN_USE, "snapshot '" + name + "' has clients attached");
    }
    snapshots.remove(name);
    count(volumes.get(volume), -1);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> rollback(
      String volume, String snapshot, boolean force) {
    SnapshotInfo to = snapshots.get(volume + "@" + snapshot);
    return to == null ? notFound(volume + "@" + snapshot) : resize(volume, to.sizeBytes(), force);
  }

  @Override
  public final synchronized CompletableFuture<VolumeInfo> resize(
      String volume, long sizeBytes, boolean force) {
    VolumeInfo info = volumes.get(volume);
    if (info == null) {
      return notFound(volume);
    }
    if (info.connections() > 0 && !force) {
      return fail(ControlException.Kind.IN_USE, "volume '" + volume + "' has clients attached");
    }
    add(copy(info, sizeBytes, 0, settings(info), info.space()));
    return CompletableFuture.completedFuture(volumes.get(volume));
  }

  /** A fifth of what is mapped is its own. */
  private static VolumeInfo withSpace(VolumeInfo info) {
    return copy(
        info, info.sizeBytes(), info.connections(), settings(info), space(info.mappedBytes()));
  }

  private static SnapshotInfo withSpace(SnapshotInfo info) {
    return new SnapshotInfo(
        info.name(),
        info.createdMs(),
        info.sizeBytes(),
        info.mappedBytes(),
        info.connections(),
        space(info.mappedBytes()));
  }

  private static SpaceInfo space(long mapped) {
    return new SpaceInfo(mapped / 5, mapped - mapped / 5, true);
  }

  protected static <T> CompletableFuture<T> notFound(String name) {
    return fail(ControlException.Kind.NOT_FOUND, "no volume '" + name + "'");
  }

  protected static <T> CompletableFuture<T> fail(ControlException.Kind kind, String message) {
    return CompletableFuture.failedFuture(new ControlException(kind, message));
  }
}
