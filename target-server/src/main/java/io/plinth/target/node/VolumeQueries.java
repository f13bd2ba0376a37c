package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Verifies;
import io.plinth.target.volume.VerifyReport;
import io.plinth.target.volume.VolumeDiff;
import io.plinth.target.volume.VolumeSpace;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** Questions about volumes that only their cores can answer, some of them bit by bit. */
final class VolumeQueries {
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;

  VolumeQueries(NodeLogs logs, NodeCatalogue catalogue, NodeVolumes volumes) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
  }

  /** Returns this node's replica of a volume; fails with where else to ask. Any thread. */
  CompletableFuture<LogVolume> replica(String name) {
    return catalogue.onCore(result -> result.complete(volumes.require(name)));
  }

  CompletableFuture<VolumeDiff.Result> diff(
      String name, String from, String to, long offset, int limit) {
    return replica(name).thenCompose(volume -> diff(volume, from, to, offset, limit));
  }

  private CompletableFuture<VolumeDiff.Result> diff(
      LogVolume volume, String from, String to, long offset, int limit) {
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

  /** Begins to compare the replicas of a volume, or goes on; tells how that stands. */
  CompletableFuture<VerifyReport> verify(String name) {
    return onLeader(
        name,
        (volume, verifies) -> {
          if (volume.group().isAlone()) {
            throw new NodeException(
                NodeException.Reason.INVALID,
                "volume "
                    + name
                    + " has one replica, so there is nothing to compare it with; 'plinth scrub start'"
                    + " checks its blocks");
          }
          verifies.start(volume);
          return verifies.report(volume);
        });
  }

  CompletableFuture<VerifyReport> verifyReport(String name) {
    return onLeader(
        name,
        (volume, verifies) -> {
          VerifyReport report = verifies.report(volume);
          if (report == null) {
            throw new NodeException(
                NodeException.Reason.NOT_FOUND,
                "no verify of volume "
                    + name
                    + " is known where it is led now; one that was at work has ended if the lead has"
                    + " moved since");
          }
          return report;
        });
  }

  /** A question about a volume that only its leader can answer. */
  private interface LeaderQuestion<T> {
    T ask(LogVolume volume, Verifies verifies) throws NodeException;
  }

  private <T> CompletableFuture<T> onLeader(String name, LeaderQuestion<T> question) {
    return replica(name).thenCompose(volume -> onLeader(volume, question));
  }

  private <T> CompletableFuture<T> onLeader(LogVolume volume, LeaderQuestion<T> question) {
    return CoreWork.on(
        volume.core(),
        result -> {
          if (!volume.group().leads()) {
            throw NodeException.elsewhere("volume " + volume.name(), volume.group().leader());
          }
          result.complete(question.ask(volume, logs.storeOf(volume).verifies()));
        });
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
