package io.plinth.target.admin;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** A node without disks: remembers volumes, and answers or fails as told. */
final class FakeNodeControl implements NodeControl {
  private final Map<String, VolumeInfo> volumes = new TreeMap<>();
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
    volumes.put(
        name,
        new VolumeInfo(
            name,
            old.id(),
            old.sizeBytes(),
            old.mappedBytes(),
            connections,
            old.flushPolicy(),
            0,
            1,
            0));
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
    VolumeInfo info =
        new VolumeInfo(
            spec.name(),
            volumes.size() + 1,
            spec.sizeBytes(),
            4096,
            0,
            spec.flushPolicy(),
            0,
            1,
            0);
    volumes.put(spec.name(), info);
    return CompletableFuture.completedFuture(info);
  }

  @Override
  public synchronized CompletableFuture<List<VolumeInfo>> listVolumes() {
    return CompletableFuture.completedFuture(List.copyOf(volumes.values()));
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> showVolume(String name) {
    VolumeInfo info = volumes.get(name);
    return info == null ? notFound(name) : CompletableFuture.completedFuture(info);
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
  public synchronized CompletableFuture<NodeInfo> nodeInfo() {
    return nodeAnswer;
  }

  private static <T> CompletableFuture<T> notFound(String name) {
    return fail(ControlException.Kind.NOT_FOUND, "no volume '" + name + "'");
  }

  private static <T> CompletableFuture<T> fail(ControlException.Kind kind, String message) {
    return CompletableFuture.failedFuture(new ControlException(kind, message));
  }
}
