package io.plinth.tools.cli;

import io.plinth.target.admin.DiffInfo;
import io.plinth.target.admin.MemoryNode;
import io.plinth.target.admin.NodeInfo;
import io.plinth.target.admin.NodesInfo;
import io.plinth.target.admin.OperationStats;
import io.plinth.target.admin.ScrubInfo;
import io.plinth.target.admin.VerifyInfo;
import io.plinth.target.admin.VolumeInfo;
import io.plinth.target.admin.VolumeStats;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** A node without disks behind a real admin API. */
final class FakeNode extends MemoryNode {
  private final ArrayDeque<ScrubInfo> scrubs = new ArrayDeque<>();
  private final ArrayDeque<VerifyInfo> verifies = new ArrayDeque<>();
  private final ArrayDeque<NodesInfo> nodes = new ArrayDeque<>();

  FakeNode() {
    super(Long.MAX_VALUE);
  }

  /**
   * Three ranges of 1 MiB from 1 GiB on have changed, told in parts that end in the middle of one.
   */
  @Override
  public synchronized CompletableFuture<DiffInfo> diff(
      String volume, String from, String to, long offset, int limit) {
    if (!hasSnapshot(volume, from)) {
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
    List<VolumeInfo> asked = volumesOf(name);
    if (asked == null) {
      return notFound(name);
    }
    List<VolumeStats> result = new ArrayList<>();
    for (VolumeInfo volume : asked) {
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
    return CompletableFuture.completedFuture(result);
  }

  /** What is answered about comparisons of replicas, the last one again and again. */
  synchronized void answerVerifyWith(VerifyInfo... answers) {
    verifies.clear();
    verifies.addAll(List.of(answers));
  }

  @Override
  public synchronized CompletableFuture<VerifyInfo> startVerify(String volume) {
    return verifies.isEmpty() ? super.startVerify(volume) : verifyInfo(volume);
  }

  @Override
  public synchronized CompletableFuture<VerifyInfo> verifyInfo(String volume) {
    return CompletableFuture.completedFuture(
        verifies.size() > 1 ? verifies.poll() : verifies.peek());
  }

  /** What is answered about the nodes of a cluster, the last one again and again. */
  synchronized void answerNodesWith(NodesInfo... answers) {
    nodes.clear();
    nodes.addAll(List.of(answers));
  }

  @Override
  public synchronized CompletableFuture<NodesInfo> nodesInfo() {
    return nodes.isEmpty()
        ? super.nodesInfo()
        : CompletableFuture.completedFuture(nodes.size() > 1 ? nodes.poll() : nodes.peek());
  }

  @Override
  public synchronized CompletableFuture<NodesInfo.Outcome> drainNode(
      int node, int replacement, boolean dryRun) {
    return nodes.isEmpty()
        ? super.drainNode(node, replacement, dryRun)
        : CompletableFuture.completedFuture(
            new NodesInfo.Outcome(List.of("volume demo: to node " + replacement)));
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
                    2, 9 << 20, 30 << 20, 20_000, 12_345, 1),
                new NodeInfo.LogInfo(
                    1, 1, 64 << 20, 1, 1, 16_382, 8192, 0, 4096, 0, 0, 0, 0, 0, 4096, 0, 0, 0, 0)),
            "clean: nothing to replay",
            List.of(new NodeInfo.DutyCycle(0, 0, 850), new NodeInfo.DutyCycle(1, 2, 40_123))));
  }
}
