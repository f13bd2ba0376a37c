package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** A node without disks: remembers volumes, and answers or fails as told. */
final class FakeNodeControl implements NodeControl {
  private static final HistoryInfo HISTORY = new HistoryInfo(1_795_500_000_000L, 17, 4711);
  private final Map<String, VolumeInfo> volumes = new TreeMap<>();
  private final Map<String, SnapshotInfo> snapshots = new TreeMap<>();
  private CompletableFuture<NodeInfo> nodeAnswer;

  FakeNodeControl() {
    nodeAnswer =
        CompletableFuture.completedFuture(
            new NodeInfo(
                "0.1.0",
                "7f3a",
                NodeInfo.State.RUNNING,
                "/srv/plinth",
                4711,
                2,
                61_000,
                List.of(new NodeInfo.Listener("nbd", "127.0.0.1:10809")),
                1L << 40,
                3L << 30,
                List.of(
                    new NodeInfo.LogInfo(
                        0, 1, 64 << 20, 12, 3, 40, 5L << 20, 4096, 8192, 6, 7, 8, 10, 11, 9)),
                "clean: nothing to replay",
                List.of(new NodeInfo.DutyCycle(0, 0, 850), new NodeInfo.DutyCycle(1, 2, 40_123))));
  }

  /** What {@link #nodeInfo} returns from now on. */
  synchronized void answerNodeWith(CompletableFuture<NodeInfo> answer) {
    nodeAnswer = answer;
  }

  /** Pretends that clients are attached. */
  synchronized void attach(String name, int connections) {
    VolumeInfo old = volumes.get(name);
    put(name, old.sizeBytes(), connections, old.flushPolicy());
  }

  private boolean scrubbing;

  private VolumeInfo put(String name, long sizeBytes, int connections, FlushPolicy policy) {
    long id = volumes.containsKey(name) ? volumes.get(name).id() : volumes.size() + 1;
    int count = snapshotsOf(name).size();
    VolumeInfo info =
        new VolumeInfo(
            name,
            id,
            sizeBytes,
            4096,
            count,
            connections,
            policy,
            null,
            null,
            List.of(),
            0,
            1,
            0,
            HISTORY,
            null);
    volumes.put(name, info);
    return info;
  }

  private static VolumeSettings settings(VolumeInfo info) {
    return new VolumeSettings(
        info.description() == null ? "" : info.description(),
        Optional.ofNullable(info.tls()),
        info.tlsAllow());
  }

  private VolumeInfo with(VolumeInfo info, VolumeSettings settings) {
    VolumeInfo changed =
        new VolumeInfo(
            info.name(),
            info.id(),
            info.sizeBytes(),
            info.mappedBytes(),
            info.snapshots(),
            info.connections(),
            info.flushPolicy(),
            settings.description().isEmpty() ? null : settings.description(),
            settings.tls().orElse(null),
            settings.tlsAllow(),
            info.core(),
            info.epoch(),
            info.corruptReads(),
            info.history(),
            info.space());
    volumes.put(info.name(), changed);
    return changed;
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> changeSettings(
      String volume, SettingsChange change) {
    VolumeInfo info = volumes.get(volume);
    return info == null
        ? notFound(volume)
        : CompletableFuture.completedFuture(with(info, change.applyTo(settings(info))));
  }

  private List<SnapshotInfo> snapshotsOf(String volume) {
    return snapshots.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(volume + "@"))
        .map(Map.Entry::getValue)
        .toList();
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec) {
    if (volumes.containsKey(spec.name())) {
      return fail(
          ControlException.Kind.ALREADY_EXISTS, "volume '" + spec.name() + "' exists already");
    }
    if (spec.sizeBytes() > 1L << 40) {
      return fail(ControlException.Kind.NO_SPACE, "no room in the log for '" + spec.name() + "'");
    }
    return CompletableFuture.completedFuture(
        with(put(spec.name(), spec.sizeBytes(), 0, spec.flushPolicy()), spec.settings()));
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> cloneVolume(CloneSpec spec) {
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
            settings(source).ofCopy()));
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> restoreVolume(RestoreSpec spec) {
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
            settings(source).ofCopy()));
  }

  @Override
  public synchronized CompletableFuture<List<VolumeInfo>> listVolumes() {
    return CompletableFuture.completedFuture(List.copyOf(volumes.values()));
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> showVolume(String name, boolean space) {
    VolumeInfo info = volumes.get(name);
    return info == null
        ? notFound(name)
        : CompletableFuture.completedFuture(space ? withSpace(info) : info);
  }

  @Override
  public synchronized CompletableFuture<Void> deleteVolume(String name, boolean force) {
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
  public synchronized CompletableFuture<List<SnapshotInfo>> listSnapshots(
      String volume, boolean space) {
    return volumes.containsKey(volume)
        ? CompletableFuture.completedFuture(
            snapshotsOf(volume).stream().map(info -> space ? withSpace(info) : info).toList())
        : notFound(volume);
  }

  @Override
  public synchronized CompletableFuture<SnapshotInfo> createSnapshot(
      String volume, String snapshot) {
    VolumeInfo info = volumes.get(volume);
    if (info == null) {
      return notFound(volume);
    }
    String name = volume + "@" + snapshot;
    if (snapshots.containsKey(name)) {
      return fail(ControlException.Kind.ALREADY_EXISTS, "'" + name + "' exists already");
    }
    SnapshotInfo made = new SnapshotInfo(snapshot, 1_000_000, info.sizeBytes(), 4096, 0, null);
    snapshots.put(name, made);
    put(volume, info.sizeBytes(), info.connections(), info.flushPolicy());
    return CompletableFuture.completedFuture(made);
  }

  @Override
  public synchronized CompletableFuture<Void> deleteSnapshot(
      String volume, String snapshot, boolean force) {
    String name = volume + "@" + snapshot;
    if (!snapshots.containsKey(name)) {
      return notFound(name);
    }
    if (volumes.get(volume).connections() > 0 && !force) {
      return fail(ControlException.Kind.IN_USE, "'" + name + "' has clients attached");
    }
    snapshots.remove(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> rollback(
      String volume, String snapshot, boolean force) {
    SnapshotInfo to = snapshots.get(volume + "@" + snapshot);
    if (to == null) {
      return notFound(volume + "@" + snapshot);
    }
    return resize(volume, to.sizeBytes(), force);
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> resize(
      String volume, long sizeBytes, boolean force) {
    VolumeInfo info = volumes.get(volume);
    if (info == null) {
      return notFound(volume);
    }
    if (info.connections() > 0 && !force) {
      return fail(ControlException.Kind.IN_USE, "volume '" + volume + "' has clients attached");
    }
    return CompletableFuture.completedFuture(put(volume, sizeBytes, 0, info.flushPolicy()));
  }

  /** One block of each kind has changed, told one at a time when no more are asked for. */
  @Override
  public synchronized CompletableFuture<DiffInfo> diff(
      String volume, String from, String to, long offset, int limit) {
    boolean isThere =
        snapshots.containsKey(volume + "@" + from)
            && (to == null || snapshots.containsKey(volume + "@" + to));
    if (!isThere) {
      return notFound(volume + "@" + from);
    }
    List<DiffInfo.Extent> extents = new ArrayList<>();
    extents.add(new DiffInfo.Extent(4096, 4096, DiffInfo.Kind.DATA));
    extents.add(new DiffInfo.Extent(8192, 4096, DiffInfo.Kind.ZERO));
    extents.removeIf(extent -> extent.offset() < offset);
    Long next = extents.size() > limit ? (Long) extents.get(limit).offset() : null;
    return CompletableFuture.completedFuture(
        new DiffInfo(
            volume,
            from,
            to,
            volumes.get(volume).sizeBytes(),
            extents.subList(0, Math.min(limit, extents.size())),
            next));
  }

  @Override
  public synchronized CompletableFuture<List<VolumeStats>> stats(String name) {
    if (name != null && !volumes.containsKey(name)) {
      return notFound(name);
    }
    List<VolumeStats> result = new ArrayList<>();
    for (String volume : name == null ? volumes.keySet() : List.of(name)) {
      result.add(
          new VolumeStats(
              volume, List.of(new OperationStats("read", 10, 1, 40_960, 1, 2, 3, 4, 5))));
    }
    return CompletableFuture.completedFuture(result);
  }

  @Override
  public synchronized CompletableFuture<ScrubInfo> startScrub() {
    scrubbing = true;
    return scrubInfo();
  }

  @Override
  public synchronized CompletableFuture<ScrubInfo> stopScrub() {
    scrubbing = false;
    return scrubInfo();
  }

  @Override
  public synchronized CompletableFuture<ScrubInfo> scrubInfo() {
    ScrubInfo.State state = scrubbing ? ScrubInfo.State.RUNNING : ScrubInfo.State.IDLE;
    return CompletableFuture.completedFuture(
        new ScrubInfo(
            state,
            List.of(new ScrubInfo.LogScrub(0, state, 1 << 20, 3600, true, null, null, null)),
            List.of()));
  }

  @Override
  public synchronized CompletableFuture<NodeInfo> nodeInfo() {
    return nodeAnswer;
  }

  /** A fifth of what is mapped is its own. */
  private static VolumeInfo withSpace(VolumeInfo info) {
    return new VolumeInfo(
        info.name(),
        info.id(),
        info.sizeBytes(),
        info.mappedBytes(),
        info.snapshots(),
        info.connections(),
        info.flushPolicy(),
        info.description(),
        info.tls(),
        info.tlsAllow(),
        info.core(),
        info.epoch(),
        info.corruptReads(),
        info.history(),
        space(info.mappedBytes()));
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

  private static <T> CompletableFuture<T> notFound(String name) {
    return fail(ControlException.Kind.NOT_FOUND, "no volume '" + name + "'");
  }

  private static <T> CompletableFuture<T> fail(ControlException.Kind kind, String message) {
    return CompletableFuture.failedFuture(new ControlException(kind, message));
  }
}
