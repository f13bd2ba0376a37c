package io.plinth.target.node;

import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Status;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.volume.LogVolume;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out what the catalogue says: volumes that this node is to have a replica of begin, or are
 * here already, and are shown to clients; those that were deleted go. On log 0's core, and on that
 * of the volume's log.
 */
final class NodeReplicas implements NodeCatalogue.Effects {
  private static final Logger LOG = LoggerFactory.getLogger(NodeReplicas.class);

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
      boolean complete = catalogue.isComplete() && catalogue.isCurrent();
      if (!early && (!complete || !underWay.isEmpty())) {
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
    boolean mayBegin = catalogue.isCurrent();
    boolean mayBeLost = membership.isNew() && !isYoung && !bugs.has(CatalogueBug.NEW_NODE_COUNTS);
    onCoreOf(
        entry,
        () -> {
          LogVolume local = logs.get(entry.log()).store().volume(entry.group());
          if (local == null && mayBegin && isDue(entry)) {
            join(entry, mayBeLost, volume -> show(entry, volume, arrival));
          } else {
            show(entry, local, arrival);
          }
        });
  }

  private boolean isDue(Catalogue.Entry entry) {
    return membership.isDue(entry) || bugs.has(CatalogueBug.REPLICA_EVERYWHERE);
  }

  private CompletableFuture<ShownVolume> begin(int group) {
    CompletableFuture<ShownVolume> future = new CompletableFuture<>();
    underWay.put(group, future);
    CompletableFuture<?> _ = future.whenComplete((done, failure) -> underWay.remove(group, future));
    return future;
  }

  /**
   * Begins a replica, on the core of the volume's log. Of a volume that has never been moved it is
   * one of those that the group began with. Else it has to be given everything first, and takes no
   * part before that: it does not know who the members were at the first entry.
   */
  private void join(Catalogue.Entry entry, boolean recovering, Consumer<LogVolume> then) {
    NodeLog log = logs.get(entry.log());
    boolean early = bugs.has(CatalogueBug.NEWCOMER_BEGINS_AS_MEMBER);
    boolean original = entry.moves() == 0 || early;
    int[] members =
        (early ? entry.nodes() : entry.members())
            .stream()
                .filter(node -> original || node != membership.cluster().self())
                .mapToInt(Integer::intValue)
                .toArray();
    boolean here =
        log.store()
            .join(
                entry.group(),
                entry.name(),
                entry.sizeBytes(),
                entry.flushPolicy(),
                members,
                recovering || !original);
    if (!here) {
      log.store().awaitReady(() -> join(entry, recovering, then));
      return;
    }
    LogVolume volume = log.store().volume(entry.group());
    if (membership.isAlone()) {
      then.accept(volume);
    } else {
      log.store().whenDurable(status -> then.accept(volume));
    }
  }

  /** On the core of the volume's log. */
  private void show(
      Catalogue.Entry created, LogVolume local, CompletableFuture<ShownVolume> arrival) {
    ShownVolume.Facts facts = new ShownVolume.Facts(created);
    ForwardedVolume facade = null;
    if (!membership.isAlone()) {
      NodeForwarding forwarding = logs.get(created.log()).forwarding();
      facade = forwarding.client().add(created.group(), facts, created.nodes());
      facade.local(local);
      logs.get(created.log()).moves().watch(created);
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
      log.moves().forget(entry.group());
    }
    LogVolume volume = log.store().volume(entry.group());
    if (volume != null && !bugs.has(CatalogueBug.DELETED_REPLICA_STAYS)) {
      log.store().remove(volume);
    }
    catalogue.onCore(() -> departure.complete(shown));
  }

  @Override
  public void onSet(Catalogue.Entry entry) {
    ShownVolume shown = volumes.find(entry.group());
    boolean moves =
        shown == null
            || shown.entry().moves() != entry.moves()
            || shown.entry().isMoving() != entry.isMoving();
    if (!bugs.has(CatalogueBug.SETTINGS_NOT_SHOWN)) {
      volumes.change(entry);
    }
    if (moves && !membership.isAlone()) {
      place(entry);
    }
  }

  @Override
  public void onNodes() {
    know(catalogue.nodes());
  }

  /** Speaks with these nodes from now on, where they are. */
  void know(Collection<Catalogue.Node> nodes) {
    if (membership.isAlone() || nodes.isEmpty()) {
      return;
    }
    membership.know(nodes);
    ClusterMap known = membership.cluster();
    for (int i = 0; i < logs.count(); i++) {
      int number = i;
      NodeLog log = logs.get(i);
      boolean _ = log.core().execute(() -> log.know(known, number));
    }
  }

  @Override
  public void onRoles() {
    if (membership.isAlone()) {
      return;
    }
    List<Integer> leaving =
        IntStream.of(membership.cluster().numbers())
            .filter(node -> catalogue.role(node).isLeaving())
            .boxed()
            .toList();
    for (NodeLog log : logs.all()) {
      boolean _ = log.core().execute(() -> log.moves().leaving(leaving));
    }
  }

  /**
   * A replica whose deletion was not durable when the machine lost its power is there again, and
   * stays until the catalogue knows of it. If that does not come entry by entry, nobody says that
   * the volume was deleted.
   */
  @Override
  public void onReplaced() {
    if (membership.isAlone() || bugs.has(CatalogueBug.UNKNOWN_REPLICA_STAYS)) {
      return;
    }
    for (NodeLog log : logs.all()) {
      boolean _ =
          log.core()
              .execute(() -> {
                List<Integer> here =
                    log.store().volumes().stream().map(volume -> volume.group().id()).toList();
                catalogue.onCore(() -> dropDeleted(log, here));
              });
    }
  }

  private void dropDeleted(NodeLog log, List<Integer> groups) {
    for (int group : groups) {
      boolean isDeleted = catalogue.find(group) == null && catalogue.isBefore(group);
      if (isDeleted && !underWay.containsKey(group)) {
        boolean _ =
            log.core()
                .execute(() -> {
                  LogVolume volume = log.store().volume(group);
                  if (volume != null) {
                    log.store().remove(volume);
                  }
                });
      }
    }
  }

  /**
   * The catalogue is as new as all that this node has done by it before its start: what was left
   * alone until now is done.
   */
  @Override
  public void onCurrent() {
    catalogue.entries().forEach(this::place);
  }

  /** Lets this node have a replica if it is to have one, and ask to go if it is not. */
  private void place(Catalogue.Entry entry) {
    CompletableFuture<ShownVolume> before = arrival(entry);
    CompletableFuture<ShownVolume> done = begin(entry.group());
    boolean mayBegin = catalogue.isCurrent();
    boolean isNew = membership.isNew() && !bugs.has(CatalogueBug.NEW_NODE_COUNTS);
    CompletableFuture<?> _ =
        before.whenComplete((shown, failure) ->
            onCoreOf(
                entry,
                () -> {
                  LogVolume local = logs.get(entry.log()).store().volume(entry.group());
                  if (local == null && mayBegin && isDue(entry)) {
                    join(entry, isNew, volume -> placed(entry, shown, volume, mayBegin, done));
                  } else {
                    placed(entry, shown, local, mayBegin, done);
                  }
                }));
  }

  /** On the core of the volume's log. */
  private void placed(
      Catalogue.Entry entry,
      ShownVolume shown,
      LogVolume local,
      boolean mayLeave,
      CompletableFuture<ShownVolume> done) {
    if (shown == null) {
      show(entry, local, done);
      return;
    }
    shown.facade().members(entry.nodes());
    shown.facade().local(local);
    ReplicaMoves moves = logs.get(entry.log()).moves();
    moves.watch(entry);
    if (local != null && mayLeave && !isDue(entry)) {
      moves.leave(entry, () -> catalogue.onCore(() -> drop(entry.group())));
    }
    include(entry.group(), shown, local, done);
  }

  private void include(
      int group, ShownVolume shown, LogVolume local, CompletableFuture<ShownVolume> done) {
    catalogue.onCore(() -> {
      Catalogue.Entry entry = catalogue.find(group);
      ShownVolume current = shown.on(entry == null ? shown.entry() : entry, local);
      if (entry != null) {
        volumes.include(current);
      }
      done.complete(current);
    });
  }

  /**
   * The group can do without this node's replica. What the catalogue says of that is made durable
   * here first: a start must not begin one by an older state of it.
   */
  private void drop(int group) {
    logs.first()
        .store()
        .whenDurable(status -> {
          Catalogue.Entry entry = catalogue.find(group);
          if (status != Status.OK || entry == null || isDue(entry)) {
            return;
          }
          CompletableFuture<ShownVolume> before = arrival(entry);
          CompletableFuture<ShownVolume> done = begin(group);
          CompletableFuture<?> _ =
              before.whenComplete(
                  (shown, failure) -> onCoreOf(entry, () -> drop(entry, shown, done)));
        });
  }

  private void drop(Catalogue.Entry entry, ShownVolume shown, CompletableFuture<ShownVolume> done) {
    NodeLog log = logs.get(entry.log());
    LogVolume local = log.store().volume(entry.group());
    boolean goes =
        shown != null
            && local != null
            && (local.group().mayGo() || bugs.has(CatalogueBug.DROPPED_WITHOUT_LEAVE));
    if (goes) {
      LOG.info(
          "volume {} (group {}): its replica has moved to another node, and is given up here",
          entry.name(),
          entry.group());
      shown.facade().local(null);
      log.store().remove(local);
      log.moves().left(entry.group());
    }
    include(entry.group(), shown, goes ? null : local, done);
  }

  /** When the core takes nothing any more, the node stops, and the next start does it. */
  private void onCoreOf(Catalogue.Entry entry, Runnable task) {
    boolean _ = logs.get(entry.log()).core().execute(task);
  }
}
