package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VolumeDiff;
import io.plinth.target.volume.VolumeSpace;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** Questions about volumes that only their cores can answer, some of them bit by bit. */
final class VolumeQueries {
  private final NodeLogs logs;
  private final NodeVolumes volumes;

  VolumeQueries(NodeLogs logs, NodeVolumes volumes) {
    this.logs = logs;
    this.volumes = volumes;
  }

  CompletableFuture<VolumeDiff.Result> diff(
      String name, String from, String to, long offset, int limit) {
    LogVolume volume;
    try {
      volume = volumes.require(name);
    } catch (NodeException e) {
      return CompletableFuture.failedFuture(e);
    }
    return CoreWork.on(
        volume.core(),
        result -> {
          SnapshotVolume older = NodeVolumes.requireSnapshot(volume, from);
          IndexedVolume newer = to == null ? volume : NodeVolumes.requireSnapshot(volume, to);
          logs.of(volume)
              .run(
                  new VolumeDiff(
                      older,
                      newer,
                      offset,
                      limit,
                      found ->
                          tell(
                              result,
                              found,
                              () ->
                                  new NodeException(
                                      NodeException.Reason.NOT_FOUND,
                                      "volume "
                                          + volume.name()
                                          + ", or a snapshot, was deleted meanwhile"))));
        });
  }

  CompletableFuture<Long> mappedBytes(IndexedVolume volume) {
    return CoreWork.on(volume.core(), result -> result.complete(volume.mappedBytes()));
  }

  CompletableFuture<VolumeSpace.Space> space(IndexedVolume volume) {
    return CoreWork.on(
        volume.core(),
        result ->
            logs.of(volume)
                .run(
                    new VolumeSpace(
                        volume,
                        found ->
                            tell(result, found, () -> NodeException.ofStatus(Status.ENOENT)))));
  }

  private static <T> void tell(
      CompletableFuture<T> result, T found, Supplier<NodeException> otherwise) {
    if (found == null) {
      result.completeExceptionally(otherwise.get());
    } else {
      result.complete(found);
    }
  }
}
