package io.plinth.target.node;

import io.plinth.engine.api.CycleTask;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.forward.ForwardedVolume;
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
  private final ClusterBugs bugs;

  /** Volumes on their way to clients, or from them, by their groups. */
  private final Map<Integer, CompletableFuture<ShownVolume>> underWay = new TreeMap<>();

  NodeReplicas(
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeVolumes volumes,
      NodeMembership membership,
      ClusterBugs bugs) {
    this.logs = logs;
    this.bugs = bugs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.membership = membership;
  }

  /** Shows what the catalogue has and is not shown yet; all logs are open. */
  void showRecovered() {
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (volumes.find(entry.group()) == null) {
        onCreated(entry, false);
      }
    }
  }

  /** Returns a volume once it is shown to clients. */
  CompletableFuture<ShownVolume> arrival(Catalogue.Entry entry) {
    CompletableFuture<ShownVolume> future = underWay.get(entry.group());
    return future == null ? CompletableFuture.completedFuture(volumes.find(entry.group())) : future;
  }

  /** Completes when a volume that was deleted in the catalogue is gone. */
  CompletableFuture<?> departure(int group) {
    CompletableFuture<ShownVolume> future = underWay.get(group);
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
      boolean early = bugs.has(CatalogueBug.MEMBER_BEFORE_BEGUN);
      if (!early && (!catalogue.isComplete() || !underWay.isEmpty())) {
        return 0;
      }
      logs.first().core().removeCycleTask(this);
      boolean _ = begun.complete(null);
      return 1;
    }
  }

  @Override
  public void onCreated(Catalogue.Entry entry, boolean isYoung) {
    CompletableFuture<ShownVolume> arrival = begin(entry.group());
    boolean mayBeLost = membership.isNew() && !isYoung && !bugs.has(CatalogueBug.NEW_NODE_COUNTS);
    onCoreOf(
        entry,
        () -> {
          if (membership.isMember(entry) || bugs.has(CatalogueBug.REPLICA_EVERYWHERE)) {
            join(entry, mayBeLost, arrival);
          } else {
            show(entry, null, arrival);
          }
        });
  }

  private CompletableFuture<ShownVolume> begin(int group) {
    CompletableFuture<ShownVolume> future = new CompletableFuture<>();
    underWay.put(group, future);
    CompletableFuture<?> _ = future.whenComplete((done, failure) -> underWay.remove(group, future));
    return future;
  }

  private void join(
      Catalogue.Entry entry, boolean recovering, CompletableFuture<ShownVolume> arrival) {
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
    if (membership.isAlone()) {
      show(entry, volume, arrival);
    } else {
      log.store().whenDurable(status -> show(entry, volume, arrival));
    }
  }

  /** On the core of the volume's log. */
  private void show(
      Catalogue.Entry created, LogVolume local, CompletableFuture<ShownVolume> arrival) {
    ShownVolume.Facts facts = new ShownVolume.Facts(created);
    ForwardedVolume facade = null;
    if (!membership.isAlone()) {
      NodeForwarding forwarding = logs.get(created.log()).forwarding();
      facade = forwarding.client().add(created.group(), facts, created.members());
      facade.local(local);
    }
    ShownVolume shown = new ShownVolume(created, local, facade, facts);
    catalogue.onCore(() -> {
      // It may have been deleted, or have other settings, by now.
      Catalogue.Entry entry = catalogue.find(created.group());
      ShownVolume current = entry == null ? shown : shown.with(entry);
      if (entry != null) {
        volumes.include(current);
      }
      arrival.complete(current);
    });
  }

  @Override
  public void onDeleted(Catalogue.Entry entry) {
    CompletableFuture<ShownVolume> before = arrival(entry);
    CompletableFuture<ShownVolume> departure = begin(entry.group());
    CompletableFuture<?> _ =
        before.whenComplete((volume, failure) -> {
          volumes.exclude(entry.group());
          onCoreOf(entry, () -> leave(entry, volume, departure));
        });
  }

  private void leave(
      Catalogue.Entry entry, ShownVolume shown, CompletableFuture<ShownVolume> departure) {
    NodeLog log = logs.get(entry.log());
    if (shown != null && shown.facade() != null) {
      log.forwarding().client().remove(shown.facade());
    }
    LogVolume volume = log.store().volume(entry.group());
    if (volume != null && !bugs.has(CatalogueBug.DELETED_REPLICA_STAYS)) {
      log.store().remove(volume);
    }
    catalogue.onCore(() -> departure.complete(shown));
  }

  @Override
  public void onSet(Catalogue.Entry entry) {
    if (!bugs.has(CatalogueBug.SETTINGS_NOT_SHOWN)) {
      volumes.change(entry);
    }
  }

  /** When the core takes nothing any more, the node stops, and the next start does it. */
  private void onCoreOf(Catalogue.Entry entry, Runnable task) {
    boolean _ = logs.get(entry.log()).core().execute(task);
  }
}
