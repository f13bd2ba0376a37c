package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.HistoryRestore;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Moment;
import io.plinth.target.volume.VolumeSettings;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/**
 * How volumes come to be: empty, as clones, or as what another one was. Each begins to exist in its
 * own log first, and when that is durable, in the catalogue; if the node dies between the two, the
 * next start drops it.
 */
final class VolumeCreation {
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;

  /** Finds what a volume begins as, or null for an empty one; on the core of its log. */
  private interface Source {
    IndexedVolume find() throws NodeException;
  }

  VolumeCreation(NodeLogs logs, NodeCatalogue catalogue, NodeVolumes volumes) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
  }

  CompletableFuture<LogVolume> create(
      String name, long sizeBytes, FlushPolicy flushPolicy, VolumeSettings settings) {
    return catalogue.onCore(result -> {
      catalogue.requireRoom(VolumeSettings.DEFAULT, settings);
      reserve(name, result);
      Catalogue.Entry entry = entry(catalogue.leastUsedLog(), name, sizeBytes, flushPolicy);
      begin(result, entry, () -> settings, () -> null);
    });
  }

  CompletableFuture<LogVolume> copy(String source, String name, FlushPolicy flushPolicy) {
    return catalogue.onCore(result -> {
      int at = source.indexOf(StorageNode.SNAPSHOT_SEPARATOR);
      LogVolume origin = volumes.require(at < 0 ? source : source.substring(0, at));
      String snapshot = at < 0 ? null : source.substring(at + 1);
      if (snapshot != null) {
        NodeVolumes.requireSnapshot(origin, snapshot);
      }
      catalogue.requireRoom(VolumeSettings.DEFAULT, origin.settings().ofCopy());
      reserve(name, result);
      Catalogue.Entry entry = entry(catalogue.logOf(origin), name, origin.sizeBytes(), flushPolicy);
      begin(
          result,
          entry,
          () -> origin.settings().ofCopy(),
          () -> snapshot == null ? origin : NodeVolumes.requireSnapshot(origin, snapshot));
    });
  }

  CompletableFuture<LogVolume> restore(
      String source, Moment moment, String name, FlushPolicy flushPolicy) {
    return catalogue.onCore(result -> {
      LogVolume origin = volumes.require(source);
      requirePast(origin, moment);
      catalogue.requireRoom(VolumeSettings.DEFAULT, origin.settings().ofCopy());
      reserve(name, result);
      Catalogue.Entry entry = entry(catalogue.logOf(origin), name, origin.sizeBytes(), flushPolicy);
      NodeLog log = logs.get(entry.log());
      HistoryRestore job =
          new HistoryRestore(
              origin,
              moment,
              entry.group(),
              name,
              flushPolicy,
              restored -> catalogue.onCore(() -> enterRestored(result, entry, origin, restored)));
      if (!log.core().execute(() -> log.run(job))) {
        result.completeExceptionally(NodeException.unavailable());
      }
    });
  }

  private void requirePast(LogVolume origin, Moment moment) throws NodeException {
    long position = logs.storeOf(origin).journal().sealedSequence();
    long nowMs = origin.core().clock().epochMs();
    if (moment.batch() != Long.MAX_VALUE && moment.batch() > position) {
      throw new NodeException(
          NodeException.Reason.INVALID,
          "position " + moment.batch() + " is beyond the end of the log, which is " + position);
    }
    if (moment.epochMs() != Long.MAX_VALUE && moment.epochMs() > nowMs) {
      throw new NodeException(
          NodeException.Reason.INVALID,
          Instant.ofEpochMilli(moment.epochMs())
              + " has not come yet: here it is "
              + Instant.ofEpochMilli(nowMs));
    }
  }

  private void reserve(String name, CompletableFuture<?> result) throws NodeException {
    if (volumes.find(name) != null || !catalogue.reserve(name, result)) {
      throw new NodeException(NodeException.Reason.EXISTS, "volume " + name + " exists already");
    }
  }

  private Catalogue.Entry entry(int log, String name, long sizeBytes, FlushPolicy flushPolicy) {
    return new Catalogue.Entry(
        catalogue.takeGroup(), log, name, sizeBytes, flushPolicy, VolumeSettings.DEFAULT);
  }

  private void begin(
      CompletableFuture<LogVolume> result,
      Catalogue.Entry entry,
      Supplier<VolumeSettings> settings,
      Source source) {
    NodeLog log = logs.get(entry.log());
    boolean accepted =
        log.core()
            .execute(() -> {
              try {
                log.store()
                    .create(
                        entry.group(),
                        entry.name(),
                        entry.sizeBytes(),
                        entry.flushPolicy(),
                        source.find(),
                        (volume, status) ->
                            catalogue.onCore(
                                () -> enter(result, entry.with(settings.get()), volume, status)));
              } catch (NodeException e) {
                result.completeExceptionally(e);
              }
            });
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
  }

  private void enterRestored(
      CompletableFuture<LogVolume> result,
      Catalogue.Entry entry,
      LogVolume source,
      HistoryRestore.Result restored) {
    if (restored.volume() == null) {
      result.completeExceptionally(
          new NodeException(
              NodeException.Reason.INVALID,
              "can't restore volume " + source.name() + ": " + restored.problem()));
    } else {
      enter(result, entry.with(source.settings().ofCopy()), restored.volume(), Status.OK);
    }
  }

  private void enter(
      CompletableFuture<LogVolume> result, Catalogue.Entry entry, LogVolume volume, int status) {
    if (status != Status.OK) {
      result.completeExceptionally(NodeException.ofStatus(status));
      return;
    }
    catalogue.propose(
        Catalogue.encodeCreate(entry),
        proposed -> {
          if (proposed != Status.OK) {
            result.completeExceptionally(NodeException.ofStatus(proposed));
            return;
          }
          volume.settings(entry.settings());
          volumes.include(volume);
          result.complete(volume);
        });
  }
}
