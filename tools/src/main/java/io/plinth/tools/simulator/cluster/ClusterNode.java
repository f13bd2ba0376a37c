package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.node.ClusterStatus;
import io.plinth.target.node.LogResources;
import io.plinth.target.node.NodePeers;
import io.plinth.target.node.NodeSettings;
import io.plinth.target.node.NodesStatus;
import io.plinth.target.node.StorageNode;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Scrubber;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * A simulated machine with a node of a cluster, which has a core for each log, and which can be
 * killed, lose its power, sleep, end in order, lose its disk, and be started again; put together as
 * {@code PlinthServer} does.
 */
final class ClusterNode {
  static final int SEGMENT_BYTES = 1 << 20;

  /** A tenth of the product's, so that elections take a tenth of the time. */
  static final long TICK_NS = 2_000_000;

  private static final String CLUSTER = "sim";
  private static final int SPARE_SEGMENTS = 2;

  /** 2026-01-01: lives of a log are numbered from the seconds of the clock on. */
  private static final long FIRST_MS = 1_767_225_600_000L;

  /** How often the node is asked how it is. */
  private static final int CYCLES_PER_LOOK = 8;

  /** Between two steps of an orderly stop, so that what was sent last is on its way. */
  private static final int LAST_CYCLES = 4;

  private enum Life {
    DOWN,
    STARTING,
    OPEN,
    HANDING_OVER,
    DRAINING,
    CLOSING,
    LEAVING
  }

  /** A log of the node: its disk, and in a life of the node what runs it. */
  private static final class Part {
    private SimDisk disk;
    private SimCore core;
    private SimLogStorage storage;
    private SimHost host;
  }

  final int number;
  private final ClusterSettings settings;
  private final List<Part> parts = new ArrayList<>();
  private UUID bootId;
  private StorageNode node;
  private Life life = Life.DOWN;
  private int lives;
  private CompletableFuture<Void> step;
  private int opening;
  private CompletableFuture<ClusterStatus> looking;
  private ClusterStatus status;
  private CompletableFuture<NodesStatus> lookingAtNodes;
  private NodesStatus nodesStatus;
  private int cycles;
  private int startsOfDisk;
  private int lastCycles;
  private long epochMs = FIRST_MS;
  private long pausedNs;
  private long sleptNs;
  private long absentUntilNs;

  /** As the file {@code cluster} in its data directory says. */
  private boolean isNew = true;

  /** What the next start may find, until it is over. */
  private RottenHeader rotten;

  /** How many starts were refused. */
  long refusals;

  int slowSyncNs;
  int slowReadNs;
  long residentBytes = 1 << 30;
  long indexBytes;

  /** How often this node has become a member, of what it was new to. */
  int joins;

  long resyncs;

  ClusterNode(int number, ClusterSettings settings) {
    this.number = number;
    this.settings = settings;
    for (int log = 0; log < settings.logs(); log++) {
      parts.add(new Part());
    }
    replaceDisks();
    this.bootId = new UUID(1, number);
  }

  private void replaceDisks() {
    parts.forEach(part -> part.disk = new SimDisk(SEGMENT_BYTES, settings.segments()));
  }

  void start() {
    lives++;
    startsOfDisk++;
    boolean joins = number == settings.joiner();
    ClusterMap cluster =
        new ClusterMap(
            CLUSTER, number, isNew, joins, joins ? settings.members() : settings.first());
    List<LogResources> resources = new ArrayList<>();
    for (int log = 0; log < parts.size(); log++) {
      resources.add(resources(cluster, log));
    }
    node =
        new StorageNode(
            new NodeSettings(
                bootId,
                residentBytes,
                indexBytes,
                SPARE_SEGMENTS,
                0,
                Scrubber.Settings.OFF,
                Optional.empty(),
                cluster,
                settings.bugs(),
                settings.clusterBugs(),
                settings.keeper()),
            settings.random(),
            resources);
    status = null;
    looking = null;
    nodesStatus = null;
    lookingAtNodes = null;
    life = Life.STARTING;
    opening = 0;
    open();
  }

  private LogResources resources(ClusterMap cluster, int log) {
    Part part = parts.get(log);
    part.core = new SimCore(log, epochMs);
    part.host = settings.network().attach(number, part.core);
    SimLogStorage storage = new SimLogStorage(part.disk, part.core, settings.random());
    part.storage = storage;
    storage.slowSyncs(slowSyncNs);
    storage.slowReads(slowReadNs);
    NodePeers real = NodePeers.of(cluster, log, part.host, replicator -> {});
    NodePeers peers =
        new NodePeers(
            real.cluster(), real.members(), real.peers(), real.dialler(), TICK_NS, real.accepts());
    return new LogResources("log-" + log, part.core, storage, peers);
  }

  /** Begins to open the next log. */
  private void open() {
    try {
      step = node.openLog(opening);
    } catch (RecoveryException e) {
      refused(e.getMessage());
    }
  }

  /** Only a header that has rotted lets a start be refused, and nothing is changed by that. */
  private void refused(String why) {
    if (rotten == null || !rotten.isThere()) {
      throw new Violation(Guarantee.G6, "node " + number + " does not start: " + why);
    }
    refusals++;
    mendHeader();
    down(false);
  }

  private void mendHeader() {
    if (rotten != null) {
      rotten.mend();
      rotten = null;
    }
  }

  private void opened() {
    if (step.isCompletedExceptionally()) {
      refused(step.exceptionNow().getMessage());
      return;
    }
    if (++opening < parts.size()) {
      open();
      return;
    }
    ClusterMap.Member self = settings.members().get(number - 1);
    for (int log = 0; log < parts.size(); log++) {
      Object _ = parts.get(log).host.listen(self.address(log), node.meetPeers(log));
    }
    try {
      node.publishRecovered();
    } catch (RecoveryException e) {
      refused(e.getMessage());
      return;
    }
    mendHeader();
    life = Life.OPEN;
    if (isNew) {
      int begun = lives;
      CompletableFuture<?> _ =
          node.begunAll()
              .thenRun(() -> {
                if (begun == lives && isNew) {
                  isNew = false;
                  joins++;
                  node.settle();
                }
              });
    }
  }

  /** Lets time pass. */
  void cycle(long stepNs) {
    if (life == Life.DOWN) {
      return;
    }
    if (pausedNs > 0) {
      pausedNs -= stepNs;
      sleptNs += stepNs;
      return;
    }
    for (Part part : parts) {
      part.core.cycle(stepNs + sleptNs);
    }
    sleptNs = 0;
    switch (life) {
      case STARTING -> {
        if (step.isDone()) {
          opened();
        }
      }
      case OPEN -> {
        requireStopped();
        look();
      }
      case HANDING_OVER -> {
        if (step.isDone()) {
          life = Life.DRAINING;
        }
      }
      case CLOSING -> {
        if (step.isDone()) {
          closed();
        }
      }
      case LEAVING -> {
        if (--lastCycles <= 0) {
          down(false);
        }
      }
      case DRAINING, DOWN -> {}
    }
  }

  private void look() {
    if (looking != null && looking.isDone()) {
      long before = status == null ? 0 : status.resyncsCompleted();
      status = looking.resultNow();
      resyncs += status.resyncsCompleted() - before;
      looking = null;
    }
    if (looking == null && cycles++ % CYCLES_PER_LOOK == 0) {
      looking = node.clusterStatus();
    }
    if (lookingAtNodes != null && lookingAtNodes.isDone()) {
      boolean knows = !lookingAtNodes.isCompletedExceptionally();
      nodesStatus = knows ? lookingAtNodes.resultNow() : null;
      lookingAtNodes = null;
    }
    if (lookingAtNodes == null && settings.moves() && cycles % CYCLES_PER_LOOK == 1) {
      lookingAtNodes = node.nodesStatus();
    }
  }

  /** Returns how it sees all nodes if it leads the catalogue, as it said last; else null. */
  NodesStatus nodesStatus() {
    return isOpen() ? nodesStatus : null;
  }

  /** Returns whether nodes of this cluster are drained and given up. */
  boolean hasMoves() {
    return settings.moves();
  }

  /** Nobody starts it before that moment. */
  void absentUntil(long nowNs) {
    absentUntilNs = nowNs;
  }

  /** Returns whether nobody starts it now. */
  boolean isAbsent() {
    return settings.network().nowNs() < absentUntilNs;
  }

  // How it is.

  boolean isUp() {
    return life != Life.DOWN;
  }

  /** Returns whether clients can use it. */
  boolean isOpen() {
    return life == Life.OPEN;
  }

  /** Returns whether it waits for its clients to have their answers before it ends. */
  boolean isDraining() {
    return life == Life.DRAINING;
  }

  boolean isPaused() {
    return pausedNs > 0;
  }

  /** Returns which of its lives this is. */
  int life() {
    return lives;
  }

  StorageNode node() {
    return node;
  }

  /** Returns how it sees the cluster, as it said last. */
  ClusterStatus status() {
    return status;
  }

  /** Returns whether it leads the catalogue, as it said last. */
  boolean leadsCatalogue() {
    return isOpen() && status != null && status.leader() == number;
  }

  /** Returns whether it has begun all that it may have had before its disk was empty. */
  boolean isMember() {
    return !isNew;
  }

  /** Returns whether it has all that it promised, and takes part everywhere. */
  boolean isHealthy() {
    if (!isOpen() || isNew || status == null || status.recovering()) {
      return false;
    }
    // Those too that are not shown to clients yet.
    for (LogVolume volume : replicas()) {
      Replica replica = volume.group().replica();
      if (!replica.isRunning() || replica.isRecovering()) {
        return false;
      }
    }
    return true;
  }

  /** Returns what is in its logs, those volumes too that are not shown to clients. */
  List<LogVolume> replicas() {
    List<LogVolume> all = new ArrayList<>();
    for (int log = 0; log < parts.size(); log++) {
      all.addAll(node.store(log).volumes());
    }
    return all;
  }

  /** Returns whether its replica of a volume leads, shown to clients or not. */
  boolean leads(String volume) {
    return isOpen()
        && replicas().stream().anyMatch(one -> one.name().equals(volume) && one.group().leads());
  }

  /** Returns a replica that has stopped for good, or null. */
  LogVolume stoppedVolume() {
    if (isOpen() && status != null && status.stopped() > 0 && !hasFailedLog()) {
      for (LogVolume volume : node.volumes()) {
        if (volume.group().isStopped()) {
          return volume;
        }
      }
    }
    return null;
  }

  String describe() {
    StringBuilder text = new StringBuilder("node ").append(number).append(' ').append(life);
    text.append(isNew ? " new" : "");
    if (life != Life.OPEN) {
      return text.toString();
    }
    text.append(status == null ? "" : " catalogue led by " + status.leader());
    text.append(status != null && status.recovering() ? " recovering" : "");
    for (LogVolume volume : replicas()) {
      Replica replica = volume.group().replica();
      text.append(", ")
          .append(volume.name())
          .append('=')
          .append(volume.group().id())
          .append(' ')
          .append(replica.role())
          .append(" term ")
          .append(replica.term())
          .append(" last ")
          .append(replica.lastIndex())
          .append(" committed ")
          .append(replica.committedIndex())
          .append(" applied ")
          .append(volume.group().appliedIndex())
          .append(replica.isRunning() ? "" : " not running")
          .append(replica.isRecovering() ? " recovering" : "");
    }
    return text.toString();
  }

  // What happens to it.

  /** Lets the core not run for a while; its clock goes on. */
  void pause(long durationNs) {
    pausedNs = durationNs;
  }

  /** Begins to end in order; clients ask for nothing more. */
  void stop() {
    life = Life.HANDING_OVER;
    step = all(node::handOver);
  }

  /** Its clients have had their answers. */
  void drained() {
    life = Life.CLOSING;
    step = all(node::closeLog);
  }

  private CompletableFuture<Void> all(IntFunction<CompletableFuture<Void>> ofLog) {
    return CompletableFuture.allOf(
        IntStream.range(0, parts.size()).mapToObj(ofLog).toArray(CompletableFuture[]::new));
  }

  private void closed() {
    if (hasFailedLog()) {
      // It ends with an error.
      down(false);
      return;
    }
    if (step.isCompletedExceptionally()) {
      throw new Violation(
          Guarantee.PROGRESS,
          "node " + number + " could not close its log: " + step.exceptionNow().getMessage());
    }
    for (int log = 0; log < parts.size(); log++) {
      node.leavePeers(log);
      parts.get(log).host.closeAll();
    }
    lastCycles = LAST_CYCLES;
    life = Life.LEAVING;
  }

  void kill() {
    if (isUp()) {
      down(false);
    }
  }

  /** A header has rotted. */
  void rot(RottenHeader header) {
    rotten = header;
  }

  boolean hasRottenHeader() {
    return rotten != null;
  }

  /** The next sync of one of its logs fails. */
  void failSync(int log) {
    parts.get(log).storage.failOneSync();
  }

  /** No further sync fails. */
  void endFailing() {
    if (isUp()) {
      parts.forEach(part -> part.storage.endFailing());
    }
  }

  /** Returns whether it was told that a sync has failed. */
  boolean hasFailedLog() {
    return isUp() && parts.stream().anyMatch(part -> part.storage.hasFailedSync());
  }

  /** After a failed sync no replica takes part in anything. */
  private void requireStopped() {
    for (int log = 0; log < parts.size(); log++) {
      if (parts.get(log).storage.hasFailedSync()) {
        for (LogVolume volume : node.store(log).volumes()) {
          if (volume.group().replica().isRunning()) {
            throw new Violation(
                Guarantee.FAIL_STOP,
                "node " + number + " goes on with " + volume.name() + " after a failed sync");
          }
        }
      }
    }
  }

  /** The host's file system has room for so many more segments than there are, for each log. */
  void limitDisks(int more) {
    parts.forEach(part -> part.disk.limitSegments(part.disk.slots().size() + more));
  }

  /** There is room again. */
  void unlimitDisks() {
    parts.forEach(part -> part.disk.limitSegments(Integer.MAX_VALUE));
  }

  boolean isLimited() {
    return parts.stream().anyMatch(part -> part.disk.isLimited());
  }

  int logs() {
    return parts.size();
  }

  SimDisk disk(int log) {
    return parts.get(log).disk;
  }

  void losePower() {
    down(true);
    parts.forEach(part -> part.disk.losePower(settings.random()));
    bootId = new UUID(settings.random().nextLong(), settings.random().nextLong());
  }

  /** The machine is replaced: that takes longer than its log had starts. */
  void wipe() {
    down(true);
    rotten = null;
    free();
    epochMs += (startsOfDisk + 1) * 1000L;
    startsOfDisk = 0;
    replaceDisks();
    bootId = new UUID(settings.random().nextLong(), settings.random().nextLong());
    isNew = true;
  }

  private void down(boolean silent) {
    life = Life.DOWN;
    pausedNs = 0;
    sleptNs = 0;
    epochMs = parts.get(0).core.epochMs();
    parts.forEach(part -> part.host.crash(silent));
    node.free();
  }

  /** Frees all memory, as it is. */
  void free() {
    if (isUp()) {
      life = Life.DOWN;
      node.free();
    }
    parts.forEach(part -> part.disk.close());
  }
}
