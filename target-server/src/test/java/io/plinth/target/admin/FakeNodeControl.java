package io.plinth.target.admin;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** A node that answers or fails as told. */
final class FakeNodeControl extends MemoryNode {
  private CompletableFuture<NodeInfo> nodeAnswer;
  private boolean scrubbing;

  FakeNodeControl() {
    super(1L << 40);
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
                        0, 1, 64 << 20, 12, 3, 40, 5L << 20, 4096, 8192, 6, 7, 8, 10, 11, 9, 0, 0,
                        0, 0)),
                "clean: nothing to replay",
                List.of(new NodeInfo.DutyCycle(0, 0, 850), new NodeInfo.DutyCycle(1, 2, 40_123))));
  }

  /** What {@link #nodeInfo} returns from now on. */
  synchronized void answerNodeWith(CompletableFuture<NodeInfo> answer) {
    nodeAnswer = answer;
  }

  /** One block of each kind has changed, told one at a time when no more are asked for. */
  @Override
  public synchronized CompletableFuture<DiffInfo> diff(
      String volume, String from, String to, long offset, int limit) {
    boolean isThere = hasSnapshot(volume, from) && (to == null || hasSnapshot(volume, to));
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
            volume(volume).sizeBytes(),
            extents.subList(0, Math.min(limit, extents.size())),
            next));
  }

  @Override
  public synchronized CompletableFuture<List<VolumeStats>> stats(String name) {
    List<VolumeInfo> asked = volumesOf(name);
    if (asked == null) {
      return notFound(name);
    }
    List<VolumeStats> result = new ArrayList<>();
    for (VolumeInfo volume : asked) {
      result.add(
          new VolumeStats(
              volume.name(), List.of(new OperationStats("read", 10, 1, 40_960, 1, 2, 3, 4, 5))));
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
            List.of(),
            0,
            List.of()));
  }

  @Override
  public synchronized CompletableFuture<NodeInfo> nodeInfo() {
    return nodeAnswer;
  }
}
