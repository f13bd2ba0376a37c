package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Timers;
import io.plinth.log.replication.Members;
import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.GroupMove;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.VolumeGroup;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

/**
 * Moves the replicas of the volumes of one log that this node leads to where the catalogue wants
 * them, one step at a time (see {@link GroupMove}), and lets replicas of this node go that their
 * groups can do without. On the log's core; nothing happens while nothing is to be moved.
 *
 * <p>What the catalogue says here may be old. That makes no step wrong that the rules of the group
 * allow: it is only turned back by whoever knows more. Nothing is dropped for it either, as that
 * needs the leave of the group.
 */
final class ReplicaMoves {
  private static final long IDLE_NS = TimeUnit.SECONDS.toNanos(1);

  /** Who lacks no more than that, of what is written all the time, has everything. */
  private static final long CLOSE_ENTRIES = 1024;

  private final Core core;
  private final NodeLog log;
  private final ClusterBugs bugs;
  private final int self;
  private final long stepNs;
  private final BiConsumer<Integer, Integer> placed;
  private final Timers.Task timer = this::onTimer;
  private final Map<Integer, Watch> watched = new TreeMap<>();
  private boolean timing;
  private List<Integer> leaving = List.of();

  /** What is known of a group that may have to move. */
  private static final class Watch {
    private Catalogue.Entry entry;

    /** What is to be done when this node's replica may go; null while it stays. */
    private Runnable whenFree;

    /** The members, and the term, as they were when the step before was seen. */
    private Members seen;

    private long seenTerm;

    /** What is durable up to here has the step before. */
    private long barrier;

    Watch(Catalogue.Entry entry) {
      this.entry = entry;
    }
  }

  /**
   * Creates this for a log.
   *
   * @param stepNs how long to wait between two steps
   * @param placed told the group and the number of a move that is done, again and again until the
   *     catalogue knows; on this core
   */
  ReplicaMoves(
      NodeLog log, int self, long stepNs, ClusterBugs bugs, BiConsumer<Integer, Integer> placed) {
    this.core = log.core();
    this.log = log;
    this.self = self;
    this.stepNs = stepNs;
    this.bugs = bugs;
    this.placed = placed;
  }

  /** A volume is here, or has other places than before. */
  void watch(Catalogue.Entry entry) {
    if (entry.moves() == 0) {
      return;
    }
    watched.computeIfAbsent(entry.group(), group -> new Watch(entry)).entry = entry;
    time();
  }

  /** A volume is gone. */
  void forget(int group) {
    Watch _ = watched.remove(group);
  }

  /**
   * This node is to have no replica of a volume any more.
   *
   * @param whenFree called, again and again, when the group can do without it
   */
  void leave(Catalogue.Entry entry, Runnable whenFree) {
    Watch watch = watched.computeIfAbsent(entry.group(), group -> new Watch(entry));
    watch.entry = entry;
    watch.whenFree = whenFree;
    time();
  }

  /** It has none any more. */
  void left(int group) {
    Watch watch = watched.get(group);
    if (watch != null) {
      watch.whenFree = null;
    }
  }

  /** These nodes are to lead nothing that another one can lead. */
  void leaving(List<Integer> nodes) {
    leaving = List.copyOf(nodes);
    time();
  }

  private void time() {
    boolean busy =
        leaving.contains(self)
            || watched.values().stream()
                .anyMatch(watch -> watch.entry.isMoving() || watch.whenFree != null);
    if (!timing && (busy || !watched.isEmpty())) {
      timing = true;
      long _ = core.timers().schedule(core.clock().nowNs() + (busy ? stepNs : IDLE_NS), timer);
    }
  }

  private void onTimer(long nowNs) {
    timing = false;
    for (Watch watch : List.copyOf(watched.values())) {
      LogVolume volume = log.store().volume(watch.entry.group());
      if (volume != null) {
        step(watch, volume.group());
      }
    }
    if (leaving.contains(self)) {
      log.store().volumes().forEach(volume -> handOver(volume.group().replica()));
    }
    time();
  }

  private void handOver(Replica replica) {
    if (replica.leads() && !replica.isAlone()) {
      List<Integer> staying =
          replica.members().voters().stream().filter(node -> !leaving.contains(node)).toList();
      GroupMove.successor(staying, this::isReachable, node -> isUpToDate(replica, node, 0))
          .ifPresent(replica::transferLeadership);
    }
  }

  private boolean isReachable(int node) {
    return node == self || log.replicator().isReachable(node);
  }

  private void step(Watch watch, VolumeGroup group) {
    Catalogue.Entry entry = watch.entry;
    if (watch.whenFree != null && !entry.nodes().contains(self)) {
      if (group.mayGo() || bugs.has(CatalogueBug.DROPPED_WITHOUT_LEAVE)) {
        watch.whenFree.run();
      } else {
        group.askToGo(entry.members());
      }
    }
    Replica replica = group.replica();
    if (!replica.leads() || replica.isAlone()) {
      watch.seen = null;
      return;
    }
    Members members = replica.members();
    if (!members.equals(watch.seen) || watch.seenTerm != replica.term()) {
      watch.seen = members;
      watch.seenTerm = replica.term();
      watch.barrier = replica.lastIndex();
    }
    if (!replica.flush(watch.barrier)) {
      return;
    }
    GroupMove.Step next =
        GroupMove.next(
            members,
            entry.wanted(),
            self,
            this::isReachable,
            node -> isUpToDate(replica, node, watch.barrier));
    carryOut(replica, next, entry);
  }

  private boolean isUpToDate(Replica replica, int node, long barrier) {
    if (bugs.has(CatalogueBug.PROMOTED_BEFORE_CAUGHT_UP)) {
      return true;
    }
    return replica.hasDurably(node, barrier) && replica.entriesBehind(node) <= CLOSE_ENTRIES;
  }

  private void carryOut(Replica replica, GroupMove.Step next, Catalogue.Entry entry) {
    switch (next.kind()) {
      case ADD -> {
        boolean early = bugs.has(CatalogueBug.OLD_REPLICA_REMOVED_FIRST);
        int going = early ? going(replica, entry) : 0;
        boolean _ = going > 0 ? replica.remove(going) : replica.addLearner(next.node());
      }
      case PROMOTE -> {
        boolean _ = replica.promote(next.node());
      }
      case REMOVE -> {
        boolean _ = replica.remove(next.node());
      }
      case HAND_OVER -> {
        boolean _ = replica.transferLeadership(next.node());
      }
      case DONE -> {
        if (entry.isMoving()) {
          placed.accept(entry.group(), entry.moves());
        }
      }
      case WAIT -> {}
    }
  }

  private int going(Replica replica, Catalogue.Entry entry) {
    for (int voter : replica.voters()) {
      if (voter != self && !entry.wanted().contains(voter)) {
        return voter;
      }
    }
    return 0;
  }
}
