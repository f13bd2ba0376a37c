package io.plinth.target.main;

import io.plinth.engine.metrics.LatencyRecorder;
import io.plinth.engine.net.SocketAddresses;
import io.plinth.target.admin.CloneSpec;
import io.plinth.target.admin.ClusterInfo;
import io.plinth.target.admin.ControlException;
import io.plinth.target.admin.DiffInfo;
import io.plinth.target.admin.HistoryInfo;
import io.plinth.target.admin.JoinSpec;
import io.plinth.target.admin.NodeControl;
import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.NodesInfo;
import io.plinth.target.admin.OperationStats;
import io.plinth.target.admin.ReplicasInfo;
import io.plinth.target.admin.RestoreSpec;
import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.admin.SnapshotInfo;
import io.plinth.target.admin.SpaceInfo;
import io.plinth.target.admin.VerifyInfo;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.admin.VolumeStats;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.node.NodeException;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogPoint;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VolumeDiff;
import io.plinth.target.volume.VolumeGroup;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.target.volume.VolumeStatistics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Lets the admin API see and change a storage node. */
final class NodeControlAdapter implements NodeControl {
  private final StorageNode node;
  private final Supplier<NodeInfo> nodeInfo;

  NodeControlAdapter(StorageNode node, Supplier<NodeInfo> nodeInfo) {
    this.node = node;
    this.nodeInfo = nodeInfo;
  }

  @Override
  public CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec, OptionalInt replicas) {
    return translated(
        node.createVolume(
                spec.name(), spec.sizeBytes(), spec.flushPolicy(), spec.settings(), replicas)
            .thenCompose(volume -> volume == null ? remoteInfo(spec.name()) : info(volume, false)));
  }

  @Override
  public CompletableFuture<VolumeInfo> cloneVolume(CloneSpec spec) {
    LogVolume source = find(spec.sourceVolume());
    if (source == null) {
      return absent(spec.sourceVolume());
    }
    FlushPolicy policy = spec.flushPolicy().orElse(source.flushPolicy());
    return translated(
        node.cloneVolume(spec.source(), spec.name(), policy)
            .thenCompose(volume -> info(volume, false)));
  }

  @Override
  public CompletableFuture<VolumeInfo> restoreVolume(RestoreSpec spec) {
    LogVolume source = find(spec.source());
    if (source == null) {
      return absent(spec.source());
    }
    FlushPolicy policy = spec.flushPolicy().orElse(source.flushPolicy());
    return translated(
        node.restoreVolume(spec.source(), spec.moment(), spec.name(), policy)
            .thenCompose(volume -> info(volume, false)));
  }

  @Override
  public CompletableFuture<List<VolumeInfo>> listVolumes() {
    CompletableFuture<List<VolumeInfo>> local = all(node.volumes(), volume -> info(volume, false));
    return translated(
        local.thenApply(list -> {
          List<VolumeInfo> volumes = new ArrayList<>(list);
          node.remoteVolumes().forEach(entry -> volumes.add(remoteInfo(entry)));
          volumes.sort(Comparator.comparing(VolumeInfo::name));
          return volumes;
        }));
  }

  private CompletableFuture<VolumeInfo> remoteInfo(String name) {
    return node.remoteVolumes().stream()
        .filter(entry -> entry.name().equals(name))
        .findFirst()
        .map(entry -> CompletableFuture.completedFuture(remoteInfo(entry)))
        .orElseGet(() -> noSuchVolume(name));
  }

  /** What a node knows of a volume that only others have replicas of. */
  private static VolumeInfo remoteInfo(Catalogue.Entry entry) {
    VolumeSettings settings = entry.settings();
    return new VolumeInfo(
        entry.name(),
        entry.group(),
        entry.sizeBytes(),
        null,
        0,
        0,
        entry.flushPolicy(),
        settings.description().isEmpty() ? null : settings.description(),
        settings.tls().orElse(null),
        settings.tlsAllow(),
        entry.log(),
        0,
        0,
        null,
        null,
        new ReplicasInfo(entry.members(), null, null, List.of()));
  }

  @Override
  public CompletableFuture<VolumeInfo> showVolume(String name, boolean space) {
    LogVolume volume = find(name);
    if (volume == null && node.remoteVolumes().stream().anyMatch(e -> e.name().equals(name))) {
      return remoteInfo(name);
    }
    return volume == null ? noSuchVolume(name) : translated(info(volume, space));
  }

  @Override
  public CompletableFuture<Void> deleteVolume(String name, boolean force) {
    return translated(node.deleteVolume(name, force));
  }

  @Override
  public CompletableFuture<List<SnapshotInfo>> listSnapshots(String name, boolean space) {
    LogVolume volume = find(name);
    return volume == null
        ? absent(name)
        : translated(all(volume.visibleSnapshots(), snapshot -> info(snapshot, space)));
  }

  @Override
  public CompletableFuture<SnapshotInfo> createSnapshot(String name, String snapshot) {
    return translated(
        node.createSnapshot(name, snapshot).thenCompose(done -> snapshotInfo(name, snapshot)));
  }

  @Override
  public CompletableFuture<Void> deleteSnapshot(String name, String snapshot, boolean force) {
    return translated(node.deleteSnapshot(name, snapshot, force));
  }

  @Override
  public CompletableFuture<VolumeInfo> rollback(String name, String snapshot, boolean force) {
    return translated(
        node.rollback(name, snapshot, force).thenCompose(done -> showVolume(name, false)));
  }

  @Override
  public CompletableFuture<VolumeInfo> resize(String name, long sizeBytes, boolean force) {
    return translated(
        node.resizeVolume(name, sizeBytes, force).thenCompose(done -> showVolume(name, false)));
  }

  @Override
  public CompletableFuture<VolumeInfo> changeSettings(String name, SettingsChange change) {
    return translated(
        node.changeSettings(name, change).thenCompose(done -> showVolume(name, false)));
  }

  @Override
  public CompletableFuture<DiffInfo> diff(
      String name, String from, String to, long offset, int limit) {
    return translated(
        node.diff(name, from, to, offset, limit)
            .thenApply(found ->
                new DiffInfo(
                    name,
                    from,
                    to,
                    found.sizeBytes(),
                    found.extents().stream().map(NodeControlAdapter::extent).toList(),
                    found.next() < 0 ? null : found.next())));
  }

  private static DiffInfo.Extent extent(VolumeDiff.Extent extent) {
    return new DiffInfo.Extent(
        extent.offset(), extent.length(), extent.zero() ? DiffInfo.Kind.ZERO : DiffInfo.Kind.DATA);
  }

  @Override
  public CompletableFuture<List<VolumeStats>> stats(String name) {
    if (name == null) {
      return CompletableFuture.completedFuture(
          node.volumes().stream().map(NodeControlAdapter::stats).toList());
    }
    LogVolume volume = find(name);
    return volume == null
        ? absent(name)
        : CompletableFuture.completedFuture(List.of(stats(volume)));
  }

  @Override
  public CompletableFuture<NodeInfo> nodeInfo() {
    return CompletableFuture.completedFuture(nodeInfo.get());
  }

  private LogVolume find(String name) {
    return name.isEmpty() ? null : node.findVolume(name);
  }

  @Override
  public CompletableFuture<ScrubInfo> startScrub() {
    return translated(node.scrub().start().thenCompose(done -> scrubInfo()));
  }

  @Override
  public CompletableFuture<ScrubInfo> stopScrub() {
    return translated(node.scrub().stop().thenCompose(done -> scrubInfo()));
  }

  @Override
  public CompletableFuture<ScrubInfo> scrubInfo() {
    return translated(node.scrub().status().thenApply(ScrubInfos::of));
  }

  @Override
  public CompletableFuture<VerifyInfo> startVerify(String name) {
    return translated(node.verify(name).thenApply(report -> VerifyInfos.of(name, report)));
  }

  @Override
  public CompletableFuture<VerifyInfo> verifyInfo(String name) {
    return translated(node.verifyReport(name).thenApply(report -> VerifyInfos.of(name, report)));
  }

  /** What is mapped, and when asked for what is shared. */
  private record Counted(long mappedBytes, SpaceInfo space) {}

  private CompletableFuture<Counted> count(IndexedVolume volume, boolean space) {
    if (!space) {
      return node.mappedBytes(volume).thenApply(mapped -> new Counted(mapped, null));
    }
    return node.space(volume)
        .thenApply(found ->
            new Counted(
                found.mappedBytes(),
                new SpaceInfo(found.uniqueBytes(), found.sharedBytes(), found.exact())));
  }

  private CompletableFuture<VolumeInfo> info(LogVolume volume, boolean space) {
    VolumeSettings settings = volume.settings();
    return count(volume, space)
        .thenApply(counted ->
            new VolumeInfo(
                volume.name(),
                volume.group().id(),
                volume.sizeBytes(),
                counted.mappedBytes(),
                volume.visibleSnapshots().size(),
                node.attachmentCount(volume),
                volume.flushPolicy(),
                settings.description().isEmpty() ? null : settings.description(),
                settings.tls().orElse(null),
                settings.tlsAllow(),
                volume.core().id(),
                node.epoch(volume),
                volume.corruptReads(),
                history(volume),
                counted.space(),
                replicas(volume)));
  }

  @Override
  public CompletableFuture<VolumeInfo> moveLead(String name, int toNode) {
    return translated(node.moveLead(name, toNode).thenCompose(done -> showVolume(name, false)));
  }

  private ReplicasInfo replicas(LogVolume volume) {
    if (node.cluster().isAlone()) {
      return null;
    }
    VolumeGroup.Standing standing = volume.group().standing();
    return new ReplicasInfo(
        IntStream.of(standing.members()).boxed().toList(),
        standing.leader() < 0 ? null : standing.leader(),
        LongStream.of(standing.behind()).anyMatch(entries -> entries < 0)
            ? null
            : LongStream.of(standing.behind()).boxed().toList(),
        volume.group().resyncs().stream()
            .map(one -> "node " + one.node() + " " + one.text())
            .toList());
  }

  @Override
  public CompletableFuture<ClusterInfo> clusterInfo() {
    if (node.cluster().isAlone()) {
      return CompletableFuture.failedFuture(
          new ControlException(
              ControlException.Kind.NOT_FOUND,
              "this node is in no cluster: its configuration has no [cluster]"));
    }
    return translated(
        node.clusterStatus()
            .thenApply(status -> ClusterInfos.of(node.cluster(), node.logCount(), status)));
  }

  @Override
  public CompletableFuture<NodesInfo> nodesInfo() {
    return translated(node.nodesStatus().thenApply(ClusterInfos::of));
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> admitNode(JoinSpec spec) {
    ListenAddress address = resolved(spec.address());
    return outcome(
        node.admitNode(
            new ClusterMap.Member(
                spec.node(),
                address.host(),
                address.port(),
                ListenAddress.parse(spec.admin()).toString(),
                spec.rack())));
  }

  /** What all nodes dial has no names that they would have to look up. */
  private static ListenAddress resolved(String address) {
    try {
      ListenAddress found =
          ListenAddress.parse(SocketAddresses.resolve(ListenAddress.parse(address).toString()));
      if (found.port() == 0) {
        throw new IllegalArgumentException("a port that is not 0 is needed");
      }
      return found;
    } catch (IllegalArgumentException e) {
      throw new ControlException(
          ControlException.Kind.INVALID, "address " + address + ": " + e.getMessage());
    }
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> drainNode(
      int number, int replacement, boolean dryRun) {
    return outcome(node.drainNode(number, replacement, dryRun));
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> undrainNode(int number) {
    return outcome(node.undrainNode(number));
  }

  @Override
  public CompletableFuture<NodesInfo.Outcome> removeNode(int number, boolean lost) {
    return outcome(node.removeNode(number, lost));
  }

  private CompletableFuture<NodesInfo.Outcome> outcome(CompletableFuture<List<String>> lines) {
    return translated(lines.thenApply(NodesInfo.Outcome::new));
  }

  private HistoryInfo history(LogVolume volume) {
    LogPoint from = volume.restorableFrom();
    return from == null
        ? null
        : new HistoryInfo(from.epochMs(), from.batch(), node.position(volume));
  }

  private CompletableFuture<SnapshotInfo> info(SnapshotVolume snapshot, boolean space) {
    return count(snapshot, space)
        .thenApply(counted ->
            new SnapshotInfo(
                snapshot.snapshotName(),
                snapshot.createdMs(),
                snapshot.sizeBytes(),
                counted.mappedBytes(),
                snapshot.attachmentCount(),
                counted.space()));
  }

  private CompletableFuture<SnapshotInfo> snapshotInfo(String name, String snapshot) {
    LogVolume volume = find(name);
    SnapshotVolume found = volume == null ? null : volume.snapshot(snapshot);
    return found == null ? noSuchVolume(name + "@" + snapshot) : info(found, false);
  }

  private static <V, I> CompletableFuture<List<I>> all(
      List<V> volumes, Function<V, CompletableFuture<I>> info) {
    CompletableFuture<List<I>> all = CompletableFuture.completedFuture(new ArrayList<>());
    for (V volume : volumes) {
      all =
          all.thenCombine(
              info.apply(volume),
              (list, one) -> {
                list.add(one);
                return list;
              });
    }
    return all;
  }

  private static VolumeStats stats(LogVolume volume) {
    List<OperationStats> operations = new ArrayList<>();
    for (Operation operation : Operation.values()) {
      VolumeStatistics.Summary summary = volume.statistics().summary(operation);
      LatencyRecorder.Summary latency = summary.latency();
      operations.add(
          new OperationStats(
              operation.name().toLowerCase(Locale.ROOT),
              latency.count(),
              summary.errors(),
              summary.bytes(),
              latency.p50Ns(),
              latency.p90Ns(),
              latency.p99Ns(),
              latency.p999Ns(),
              latency.maxNs()));
    }
    return new VolumeStats(volume.name(), operations);
  }

  /** This node has no replica of the volume: another one may have. */
  private <T> CompletableFuture<T> absent(String name) {
    return name.isEmpty()
        ? noSuchVolume(name)
        : translated(node.replica(name).thenCompose(volume -> noSuchVolume(name)));
  }

  private static <T> CompletableFuture<T> noSuchVolume(String name) {
    return CompletableFuture.failedFuture(
        new ControlException(ControlException.Kind.NOT_FOUND, "there is no volume " + name));
  }

  private <T> CompletableFuture<T> translated(CompletableFuture<T> future) {
    return future.exceptionallyCompose(failure -> {
      Throwable cause = failure.getCause() == null ? failure : failure.getCause();
      return CompletableFuture.failedFuture(cause instanceof NodeException e ? refusal(e) : cause);
    });
  }

  private ControlException refusal(NodeException e) {
    return e.reason() == NodeException.Reason.ELSEWHERE
        ? node.cluster()
            .member(e.node())
            .map(member -> ControlException.elsewhere(e.getMessage(), member.admin()))
            // It has joined, and this node has not been told where it is yet.
            .orElseGet(
                () -> new ControlException(ControlException.Kind.UNAVAILABLE, e.getMessage()))
        : new ControlException(kind(e), e.getMessage());
  }

  private static ControlException.Kind kind(NodeException e) {
    return switch (e.reason()) {
      case NOT_FOUND -> ControlException.Kind.NOT_FOUND;
      case INVALID -> ControlException.Kind.INVALID;
      case EXISTS -> ControlException.Kind.ALREADY_EXISTS;
      case IN_USE -> ControlException.Kind.IN_USE;
      case NO_SPACE -> ControlException.Kind.NO_SPACE;
      case ELSEWHERE -> ControlException.Kind.ELSEWHERE;
      case UNAVAILABLE -> ControlException.Kind.UNAVAILABLE;
    };
  }
}
