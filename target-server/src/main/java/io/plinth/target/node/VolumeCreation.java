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
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * How volumes come to be: empty, as clones, or as what another one was. On a node by itself each
 * begins to exist in its own log first, and when that is durable, in the catalogue; if the node
 * dies between the two, the next start drops it. In a cluster the catalogue has it first, and each
 * member begins its replica when it learns of it.
 */
final class VolumeCreation {
  private static final int DEFAULT_REPLICAS = 3;

  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeMembership membership;
  private final NodeReplicas replicas;

  /** Finds what a volume begins as, or null for an empty one; on the core of its log. */
  private interface Source {
    IndexedVolume find() throws NodeException;
  }

  /**
   * A volume on its way.
   *
   * @param settings what it begins with, as of when it is asked
   * @param room for those
   */
  private record Beginning(
      CompletableFuture<LogVolume> result,
      Supplier<VolumeSettings> settings,
      NodeCatalogue.Room room) {}

  VolumeCreation(
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeVolumes volumes,
      NodeMembership membership,
      NodeReplicas replicas) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.membership = membership;
    this.replicas = replicas;
  }

  CompletableFuture<LogVolume> create(
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      VolumeSettings settings,
      OptionalInt wantedReplicas) {
    return catalogue.onCore(result -> {
      IntPredicate inService = node -> catalogue.takesReplicas(node);
      int nodes =
          membership.isAlone()
              ? 1
              : (int) IntStream.of(membership.cluster().numbers()).filter(inService).count();
      int wanted = wantedReplicas.orElse(Math.min(nodes, DEFAULT_REPLICAS));
      if (wanted > nodes) {
        throw new NodeException(
            NodeException.Reason.INVALID,
            wanted
                + " replicas need as many nodes, and "
                + (membership.isAlone() ? "this one is in no cluster" : "in service are " + nodes));
      }
      catalogue.requireLead();
      reserve(name, result);
      Beginning beginning = beginning(result, () -> settings);
      Catalogue.Entry entry = entry(catalogue.leastUsedLog(), name, sizeBytes, flushPolicy);
      if (membership.isAlone()) {
        begin(beginning, entry, () -> null);
        return;
      }
      NodeVolumes.requireTree(logs.get(entry.log()).store());
      List<Integer> members = membership.place(entry.group(), wanted, inService);
      enter(beginning, entry.on(members), null);
    });
  }

  CompletableFuture<LogVolume> copy(String source, String name, FlushPolicy flushPolicy) {
    return catalogue.onCore(result -> {
      requireAlone("clones");
      int at = source.indexOf(StorageNode.SNAPSHOT_SEPARATOR);
      LogVolume origin = volumes.require(at < 0 ? source : source.substring(0, at));
      String snapshot = at < 0 ? null : source.substring(at + 1);
      if (snapshot != null) {
        NodeVolumes.requireSnapshot(origin, snapshot);
      }
      reserve(name, result);
      Beginning beginning = beginning(result, () -> origin.settings().ofCopy());
      Catalogue.Entry entry = entry(catalogue.logOf(origin), name, origin.sizeBytes(), flushPolicy);
      begin(
          beginning,
          entry,
          () -> snapshot == null ? origin : NodeVolumes.requireSnapshot(origin, snapshot));
    });
  }

  CompletableFuture<LogVolume> restore(
      String source, Moment moment, String name, FlushPolicy flushPolicy) {
    return catalogue.onCore(result -> {
      requireAlone("volumes as they were at a moment");
      LogVolume origin = volumes.require(source);
      requirePast(origin, moment);
      reserve(name, result);
      Beginning beginning = beginning(result, () -> origin.settings().ofCopy());
      Catalogue.Entry entry = entry(catalogue.logOf(origin), name, origin.sizeBytes(), flushPolicy);
      NodeLog log = logs.get(entry.log());
      HistoryRestore job =
          new HistoryRestore(
              origin,
              moment,
              entry.group(),
              name,
              flushPolicy,
              restored ->
                  catalogue.onCore(() -> enterRestored(beginning, entry, source, restored)));
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

  /** A source's replicas apply their entries at different times, and their logs differ. */
  private void requireAlone(String what) throws NodeException {
    if (!membership.isAlone()) {
      throw new NodeException(
          NodeException.Reason.INVALID, "a cluster has no " + what + ": copy the volume instead");
    }
  }

  private void reserve(String name, CompletableFuture<?> result) throws NodeException {
    if (catalogue.find(name) != null || !catalogue.reserve(name, result)) {
      throw new NodeException(NodeException.Reason.EXISTS, "volume " + name + " exists already");
    }
  }

  private Catalogue.Entry entry(int log, String name, long sizeBytes, FlushPolicy flushPolicy) {
    return new Catalogue.Entry(
        catalogue.takeGroup(),
        log,
        name,
        sizeBytes,
        flushPolicy,
        VolumeSettings.DEFAULT,
        List.of());
  }

  /** Makes sure that there is room for what the volume would begin with now. */
  private Beginning beginning(
      CompletableFuture<LogVolume> result, Supplier<VolumeSettings> settings) throws NodeException {
    Beginning beginning = new Beginning(result, settings, catalogue.room(result));
    beginning.room.require(VolumeSettings.DEFAULT, settings.get());
    return beginning;
  }

  private void begin(Beginning beginning, Catalogue.Entry entry, Source source) {
    NodeLog log = logs.get(entry.log());
    boolean accepted =
        log.core()
            .execute(() -> {
              try {
                NodeVolumes.requireTree(log.store());
                log.store()
                    .create(
                        entry.group(),
                        entry.name(),
                        entry.sizeBytes(),
                        entry.flushPolicy(),
                        source.find(),
                        (volume, status) ->
                            catalogue.onCore(() -> enterCreated(beginning, entry, volume, status)));
              } catch (NodeException e) {
                beginning.result.completeExceptionally(e);
              }
            });
    if (!accepted) {
      beginning.result.completeExceptionally(NodeException.unavailable());
    }
  }

  private void enterCreated(
      Beginning beginning, Catalogue.Entry entry, LogVolume volume, int status) {
    if (status == Status.OK) {
      enter(beginning, entry, volume);
    } else {
      beginning.result.completeExceptionally(NodeException.ofStatus(status));
    }
  }

  private void enterRestored(
      Beginning beginning, Catalogue.Entry entry, String source, HistoryRestore.Result restored) {
    if (restored.volume() == null) {
      beginning.result.completeExceptionally(
          new NodeException(
              NodeException.Reason.INVALID,
              "can't restore volume " + source + ": " + restored.problem()));
    } else {
      enter(beginning, entry, restored.volume());
    }
  }

  /**
   * The volume is in its log, or will be where it has members: it has a place in the catalogue, or
   * goes again.
   */
  private void enter(Beginning beginning, Catalogue.Entry plain, LogVolume volume) {
    Catalogue.Entry entry = plain.with(beginning.settings.get());
    try {
      // Those of the source may have grown meanwhile.
      beginning.room.require(VolumeSettings.DEFAULT, entry.settings());
    } catch (NodeException e) {
      drop(beginning, volume, e);
      return;
    }
    catalogue.propose(
        Catalogue.encodeCreate(entry),
        status -> {
          if (status != Status.OK) {
            drop(beginning, volume, NodeException.ofStatus(status));
            return;
          }
          CompletableFuture<?> _ =
              replicas
                  .arrival(entry)
                  .thenAccept(arrived -> {
                    boolean _ = beginning.result.complete(arrived.local());
                  });
        });
  }

  /** A start would do it as well, and until then the volume would keep its space. */
  private void drop(Beginning beginning, LogVolume volume, NodeException why) {
    if (volume != null) {
      NodeLog log = logs.of(volume);
      if (!log.core().execute(() -> log.store().remove(volume))) {
        beginning.result.completeExceptionally(NodeException.unavailable());
      }
    }
    beginning.result.completeExceptionally(why);
  }
}
