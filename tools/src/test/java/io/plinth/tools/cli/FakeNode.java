package io.plinth.tools.cli;

import io.plinth.target.admin.CloneSpec;
import io.plinth.target.admin.ControlException;
import io.plinth.target.admin.DiffInfo;
import io.plinth.target.admin.HistoryInfo;
import io.plinth.target.admin.NodeControl;
import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.OperationStats;
import io.plinth.target.admin.RestoreSpec;
import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.admin.SnapshotInfo;
import io.plinth.target.admin.SpaceInfo;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.admin.VolumeStats;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** A node without disks behind a real admin API. */
final class FakeNode implements NodeControl {
  private static final HistoryInfo HISTORY = new HistoryInfo(1_795_500_000_000L, 17, 4711);
  private final Map<String, VolumeInfo> volumes = new TreeMap<>();
  private final Map<String, SnapshotInfo> snapshots = new TreeMap<>();
  private final ArrayDeque<ScrubInfo> scrubs = new ArrayDeque<>();

  synchronized void add(VolumeInfo volume) {
    volumes.put(volume.name(), volume);
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec) {
    if (volumes.containsKey(spec.name())) {
      return fail(
          ControlException.Kind.ALREADY_EXISTS, "volume '" + spec.name() + "' exists already");
    }
    return CompletableFuture.completedFuture(
        with(put(spec.name(), 7, spec.sizeBytes(), 0, spec.flushPolicy()), spec.settings()));
  }

  private VolumeInfo put(String name, long id, long sizeBytes, long mapped, FlushPolicy policy) {
    int count = snapshotsOf(name).size();
    VolumeInfo info =
        new VolumeInfo(
            name, id, sizeBytes, mapped, count, 0, policy, null, null, List.of(), 1, 1, 0, HISTORY,
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
      return fail(ControlException.Kind.ALREADY_EXISTS, "snapshot '" + name + "' exists already");
    }
    SnapshotInfo made =
        new SnapshotInfo(
            snapshot, 1_767_225_600_000L, info.sizeBytes(), info.mappedBytes(), 0, null);
    snapshots.put(name, made);
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
      return fail(ControlException.Kind.IN_USE, "snapshot '" + name + "' has clients attached");
    }
    snapshots.remove(name);
    return CompletableFuture.completedFuture(null);
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> rollback(
      String volume, String snapshot, boolean force) {
    SnapshotInfo to = snapshots.get(volume + "@" + snapshot);
    return to == null ? notFound(volume + "@" + snapshot) : resize(volume, to.sizeBytes(), force);
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
    return CompletableFuture.completedFuture(
        put(volume, info.id(), sizeBytes, info.mappedBytes(), info.flushPolicy()));
  }

  /**
   * Three ranges of 1 MiB from 1 GiB on have changed, told in parts that end in the middle of one.
   */
  @Override
  public synchronized CompletableFuture<DiffInfo> diff(
      String volume, String from, String to, long offset, int limit) {
    if (!snapshots.containsKey(volume + "@" + from)) {
      return notFound(volume + "@" + from);
    }
    List<DiffInfo.Extent> extents = new ArrayList<>();
    long position = Math.max(offset, 1L << 30);
    long end = (1L << 30) + (to == null ? 3L << 20 : 0);
    if (position < end) {
      boolean second = position >= (1L << 30) + (2 << 20);
      extents.add(
          new DiffInfo.Extent(position, 1 << 20, second ? DiffInfo.Kind.ZERO : DiffInfo.Kind.DATA));
      position += 1 << 20;
    }
    return CompletableFuture.completedFuture(
        new DiffInfo(volume, from, to, 64L << 40, extents, position < end ? position : null));
  }

  @Override
  public synchronized CompletableFuture<List<VolumeStats>> stats(String name) {
    if (name != null && !volumes.containsKey(name)) {
      return notFound(name);
    }
    List<VolumeStats> result = new ArrayList<>();
    for (VolumeInfo volume : volumes.values()) {
      if (name == null || name.equals(volume.name())) {
        long count = volume.connections();
        result.add(
            new VolumeStats(
                volume.name(),
                List.of(
                    new OperationStats(
                        "read",
                        count,
                        0,
                        count * 4096,
                        850,
                        12_340,
                        999_950,
                        1_500_000,
                        4_000_000_000L),
                    new OperationStats("write", 0, 0, 0, 0, 0, 0, 0, 0))));
      }
    }
    return CompletableFuture.completedFuture(result);
  }

  /** What is answered about scrubs, the last one again and again. */
  synchronized void answerScrubWith(ScrubInfo... answers) {
    scrubs.clear();
    scrubs.addAll(List.of(answers));
  }

  @Override
  public CompletableFuture<ScrubInfo> startScrub() {
    return scrubInfo();
  }

  @Override
  public CompletableFuture<ScrubInfo> stopScrub() {
    return scrubInfo();
  }

  @Override
  public synchronized CompletableFuture<ScrubInfo> scrubInfo() {
    return CompletableFuture.completedFuture(
        scrubs.size() > 1 ? scrubs.removeFirst() : scrubs.getFirst());
  }

  @Override
  public CompletableFuture<NodeInfo> nodeInfo() {
    return CompletableFuture.completedFuture(
        new NodeInfo(
            "0.1.0",
            "7f3a",
            NodeInfo.State.RUNNING,
            "/srv/plinth",
            4711,
            2,
            93_784_000,
            List.of(
                new NodeInfo.Listener("nbd", "127.0.0.1:10809"),
                new NodeInfo.Listener("nbd", "unix:/run/plinth.sock")),
            1L << 40,
            3L << 29,
            List.of(
                new NodeInfo.LogInfo(
                    0, 0, 64 << 20, 21, 3, 16_360, 1L << 30, 8L << 30, 10L << 30, 5, 7, 12_345, 17,
                    2, 9 << 20),
                new NodeInfo.LogInfo(
                    1, 1, 64 << 20, 1, 1, 16_382, 8192, 0, 4096, 0, 0, 0, 0, 0, 4096)),
            "clean: nothing to replay",
            List.of(new NodeInfo.DutyCycle(0, 0, 850), new NodeInfo.DutyCycle(1, 2, 40_123))));
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
