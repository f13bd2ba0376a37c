package io.plinth.tools.cli;

import io.plinth.target.admin.ControlException;
import io.plinth.target.admin.NodeControl;
import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.OperationStats;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeSpec;
import io.plinth.target.admin.VolumeStats;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** A node without disks behind a real admin API. */
final class FakeNode implements NodeControl {
  private final Map<String, VolumeInfo> volumes = new TreeMap<>();

  synchronized void add(VolumeInfo volume) {
    volumes.put(volume.name(), volume);
  }

  @Override
  public synchronized CompletableFuture<VolumeInfo> createVolume(VolumeSpec spec) {
    if (volumes.containsKey(spec.name())) {
      return fail(
          ControlException.Kind.ALREADY_EXISTS, "volume '" + spec.name() + "' exists already");
    }
    VolumeInfo info =
        new VolumeInfo(spec.name(), 7, spec.sizeBytes(), 0, 0, spec.flushPolicy(), 1, 1, 0);
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
            "clean: nothing to replay",
            List.of(new NodeInfo.DutyCycle(0, 0, 850), new NodeInfo.DutyCycle(1, 2, 40_123))));
  }

  private static <T> CompletableFuture<T> notFound(String name) {
    return fail(ControlException.Kind.NOT_FOUND, "no volume '" + name + "'");
  }

  private static <T> CompletableFuture<T> fail(ControlException.Kind kind, String message) {
    return CompletableFuture.failedFuture(new ControlException(kind, message));
  }
}
