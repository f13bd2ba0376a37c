package io.plinth.target.node;

import io.plinth.engine.api.CycleTask;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.LogVolume;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/**
 * Carries out what the catalogue says: volumes that this node is to have a replica of begin, or are
 * here already, and are shown to clients; those that were deleted go. On log 0's core, and on that
 * of the volume's log.
 */
final class NodeReplicas implements NodeCatalogue.Effects {
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeMembership membership;

  /** Volumes on their way to clients, or from them, by their groups. */
  private final Map<Integer, CompletableFuture<LogVolume>> underWay = new TreeMap<>();

  NodeReplicas(
      NodeLogs logs, NodeCatalogue catalogue, NodeVolumes volumes, NodeMembership membership) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.membership = membership;
  }

  /** What the catalogue has and is not here: it was on its way when the node died. */
  void beginMissing() {
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (membership.isMember(entry) && volumes.find(entry.group()) == null) {
        onCreated(entry);
      }
    }
  }

  /** Returns a volume once it is shown to clients; null if this node has no replica. */
  CompletableFuture<LogVolume> arrival(Catalogue.Entry entry) {
    CompletableFuture<LogVolume> future = underWay.get(entry.group());
    return future == null ? CompletableFuture.completedFuture(volumes.find(entry.group())) : future;
  }

  /** Completes when a volume that was deleted in the catalogue is gone. */
  CompletableFuture<?> departure(int group) {
    CompletableFuture<LogVolume> future = underWay.get(group);
    return future == null ? CompletableFuture.completedFuture(null) : future;
  }

  /** See {@link StorageNode#begunAll}. */
  CompletableFuture<Void> begunAll() {
    CompletableFuture<Void> begun = new CompletableFuture<>();
    catalogue.onCore(() -> logs.first().core().addCycleTask(new BegunAll(begun)));
    return begun;
  }

  /** Waits until the catalogue is here as its leader has it, and everything in it has begun. */
  private final class BegunAll implements CycleTask {
    private final CompletableFuture<Void> begun;

    BegunAll(CompletableFuture<Void> begun) {
      this.begun = begun;
    }

    @Override
    public int doWork(long nowNs) {
      if (!catalogue.isComplete() || !underWay.isEmpty()) {
        return 0;
      }
      logs.first().core().removeCycleTask(this);
      boolean _ = begun.complete(null);
      return 1;
    }
  }

  @Override
  public void onCreated(Catalogue.Entry entry) {
    if (!membership.isMember(entry)) {
      return;
    }
    CompletableFuture<LogVolume> arrival = begin(entry.group());
    boolean isNew = membership.isNew();
    onCoreOf(entry, () -> join(entry, isNew, arrival));
  }

  private CompletableFuture<LogVolume> begin(int group) {
    CompletableFuture<LogVolume> future = new CompletableFuture<>();
    underWay.put(group, future);
    CompletableFuture<?> _ = future.whenComplete((done, failure) -> underWay.remove(group, future));
    return future;
  }

  private void join(
      Catalogue.Entry entry, boolean recovering, CompletableFuture<LogVolume> arrival) {
    NodeLog log = logs.get(entry.log());
    int[] members = entry.members().stream().mapToInt(Integer::intValue).toArray();
    boolean here =
        log.store()
            .join(
                entry.group(),
                entry.name(),
                entry.sizeBytes(),
                entry.flushPolicy(),
                members,
                recovering);
    if (!here) {
      log.store().awaitReady(() -> join(entry, recovering, arrival));
      return;
    }
    LogVolume volume = log.store().volume(entry.group());
    Runnable shown = () -> show(volume, arrival);
    if (membership.isAlone()) {
      catalogue.onCore(shown);
    } else {
      log.store().whenDurable(status -> catalogue.onCore(shown));
    }
  }

  private void show(LogVolume volume, CompletableFuture<LogVolume> arrival) {
    // It may have been deleted, or have other settings, by now.
    Catalogue.Entry entry = catalogue.find(volume.group().id());
    if (entry != null) {
      volume.settings(entry.settings());
      volumes.include(volume);
    }
    arrival.complete(volume);
  }

  @Override
  public void onDeleted(Catalogue.Entry entry) {
    if (!membership.isMember(entry)) {
      return;
    }
    CompletableFuture<LogVolume> before = arrival(entry);
    CompletableFuture<LogVolume> departure = begin(entry.group());
    CompletableFuture<?> _ =
        before.whenComplete((volume, failure) -> {
          if (volume != null) {
            volumes.exclude(volume);
          }
          onCoreOf(entry, () -> leave(entry, departure));
        });
  }

  private void leave(Catalogue.Entry entry, CompletableFuture<LogVolume> departure) {
    NodeLog log = logs.get(entry.log());
    LogVolume volume = log.store().volume(entry.group());
    if (volume != null) {
      log.store().remove(volume);
    }
    catalogue.onCore(() -> departure.complete(volume));
  }

  @Override
  public void onSet(Catalogue.Entry entry) {
    LogVolume volume = volumes.find(entry.group());
    if (volume != null) {
      volume.settings(entry.settings());
    }
  }

  /** When the core takes nothing any more, the node stops, and the next start does it. */
  private void onCoreOf(Catalogue.Entry entry, Runnable task) {
    boolean _ = logs.get(entry.log()).core().execute(task);
  }
}
