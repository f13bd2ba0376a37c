package io.plinth.target.node;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.RandomSource;
import io.plinth.engine.api.Status;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.LogRecovery;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.RecoveryVisitor;
import io.plinth.log.recovery.SuperblockStore;
import io.plinth.log.replication.Replicator;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.volume.BackgroundJob;
import io.plinth.target.volume.Checkpointer;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayDeque;
import java.util.Locale;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;

/**
 * One log of a node from opening to closing: superblock, recovery, journal and the volumes on it.
 * On the log's core.
 */
final class NodeLog implements CycleTask, Checkpointer.Superblocks {
  /** 2025-01-01, so that the number of starts stays within 31 bits for long. */
  private static final long FIRST_SECOND = 1_735_689_600L;

  private final LogResources resources;
  private final NodePeers peers;
  private final VolumeStore store;
  private final SuperblockStore superblocks;
  private final CompletableFuture<Void> opened = new CompletableFuture<>();
  private Superblock.Values superblock;
  private Journal journal;
  private Replicator replicator;
  private NodeForwarding forwarding;
  private ReplicaMoves moves;
  private String summary = "";
  private boolean superblockWritten;
  private boolean isNew;
  private LogContent content;

  /** Work that was asked for; the first one is under way. */
  private final ArrayDeque<BackgroundJob> jobs = new ArrayDeque<>();

  private final CycleTask jobTask = this::work;

  /** What is in a log beside the blocks of its volumes. */
  interface LogContent extends RecoveryVisitor {
    /** Takes back what {@link #extension} gave to the checkpoint; empty when there is none. */
    void onCheckpoint(byte[] extension) throws RecoveryException;

    /** All of the log has been seen; before the first client. */
    void onRecovered() throws RecoveryException;

    /** Records can be appended; before the first client. */
    void onOpened(Replicator replicator, boolean clean);

    /** Returns whether {@link #extension} has the effect of all records that were appended. */
    boolean isSettled();

    /** Returns what a checkpoint has to keep. */
    byte[] extension();

    /** Returns how many bytes of {@link #extension} are settings of volumes. */
    int settingsBytes();
  }

  NodeLog(LogResources resources, Set<PlantedBug> plantedBugs) {
    this.resources = resources;
    this.peers = resources.peers();
    this.store =
        new VolumeStore(
            resources.core(),
            resources.storage().segmentBytes(),
            resources.storage().maxSegments(),
            peers.members(),
            plantedBugs);
    this.superblocks = new SuperblockStore(resources.storage());
  }

  VolumeStore store() {
    return store;
  }

  Core core() {
    return resources.core();
  }

  /** Returns what recovery found, for people. */
  String summary() {
    return summary;
  }

  /** Returns how often the log has been opened; clients of earlier openings were disconnected. */
  long epoch() {
    return superblock.starts();
  }

  /** Returns this log's figures; any thread, approximately. */
  LogStatistics statistics() {
    return new LogStatistics(
        resources.core().id(),
        resources.storage().segmentBytes(),
        journal.segmentsInUse(),
        journal.spareSegments(),
        journal.availableSegments(),
        store.liveBlocks(),
        journal.counters().dataBlocks(),
        journal.counters().payloadBlocks() + journal.counters().headerBlocks(),
        store.checkpointer().completed(),
        store.cleaner().cleanedSegments(),
        store.cleaner().movedBlocks(),
        journal.counters().populationWaits(),
        journal.counters().segmentWaits(),
        store.indexBytes(),
        store.indexMemory());
  }

  /**
   * Begins to speak with clients of other nodes, and to forward to them; the log is open.
   *
   * @param bugs empty except in tests
   * @return what takes their connections, those of the replicator too
   */
  Acceptor forward(ClusterMap cluster, LongSupplier chance, Set<ForwardingBug> bugs) {
    forwarding = new NodeForwarding(this, cluster, peers, chance, bugs);
    return forwarding.port();
  }

  /** Returns how its volumes are served on other nodes; null without a cluster. */
  NodeForwarding forwarding() {
    return forwarding;
  }

  /** Lets its replicas move; the log is open. */
  void move(ReplicaMoves ofLog) {
    moves = ofLog;
  }

  /** Returns what moves its replicas; null without a cluster. */
  ReplicaMoves moves() {
    return moves;
  }

  /** Other nodes are known, or are elsewhere; the log is open. On the core. */
  void know(ClusterMap cluster, int log) {
    for (ClusterMap.Member member : cluster.members()) {
      if (member.number() != cluster.self()) {
        String address = member.address(log);
        replicator.addPeer(member.number(), log, address);
        forwarding.client().addPeer(member.number(), address);
      }
    }
  }

  /** Returns who speaks for the groups of this log; null before it is open. */
  Replicator replicator() {
    return replicator;
  }

  /** Returns whether the way to the same log of another node is open; on the core. */
  boolean isConnected(int node) {
    return replicator.isConnected(node);
  }

  UUID nodeId() {
    return superblock.nodeId();
  }

  /**
   * Finds what the log holds and takes it into the store. Writes nothing but what recovery cuts
   * off.
   *
   * @return what was found; empty for a new log
   */
  RecoveredLog recover(NodeSettings settings, RandomSource random, UUID nodeId, LogContent content)
      throws RecoveryException {
    this.content = content;
    LogStorage storage = resources.storage();
    Superblock.Values found = superblocks.read(resources.name());
    isNew = found == null;
    superblock = isNew ? newLog(settings, random, nodeId) : found;
    store.limitIndexMemory(settings.indexBytesPerLog());
    content.onCheckpoint(store.load(resources.name(), storage, superblock.checkpoint()));
    RecoveredLog recovered =
        LogRecovery.recover(
            resources.name(),
            storage,
            superblock,
            settings.bootId(),
            settings.plantedBugs(),
            content);
    content.onRecovered();
    summary = isNew ? resources.name() + ": new" : describe(superblock, recovered, settings);
    return recovered;
  }

  private Superblock.Values newLog(NodeSettings settings, RandomSource random, UUID nodeId) {
    UUID id = nodeId == null ? new UUID(random.nextLong(), random.nextLong()) : nodeId;
    return new Superblock.Values(
        resources.storage().segmentBytes(),
        0,
        random.nextLong(),
        id,
        settings.bootId(),
        startsBefore(),
        0,
        Superblock.Start.NEW,
        Superblock.CheckpointPlace.NONE,
        true);
  }

  /**
   * Other nodes tell the lives of a log by the number of its starts. A new one may follow another
   * whose directory is lost: it counts on from the seconds of the clock.
   */
  private long startsBefore() {
    return peers.cluster().isEmpty()
        ? 0
        : Math.max(0, resources.core().clock().epochMs() / 1000 - FIRST_SECOND);
  }

  /**
   * Recovers the log and opens it.
   *
   * @return completes on this core when records can be appended
   */
  CompletableFuture<Void> open(
      NodeSettings settings, RandomSource random, UUID nodeId, LogContent content)
      throws RecoveryException {
    RecoveredLog recovered = recover(settings, random, nodeId, content);
    Superblock.Values found = superblock;
    boolean clean = found.clean() && recovered.nextSequence() - 1 == found.durableSequence();
    journal =
        new Journal(
            resources.name(),
            resources.core(),
            resources.storage(),
            found.logId(),
            (int) found.starts() + 1,
            recovered,
            clean,
            settings.residentBytesPerLog(),
            settings.spareSegmentsPerLog(),
            store,
            settings.plantedBugs());
    superblock = opened(found, settings.bootId(), recovered.durableSequence());
    writeSuperblock();
    long replayedBytes =
        recovered.segments().stream().mapToLong(RecoveredLog.Segment::usedBytes).sum();
    store.checkpointer().recovered(found.start(), replayedBytes);
    store.retention().configure(settings.retentionMs());
    replicator = replicator(settings, random);
    store.start(journal, replicator, clean, this);
    content.onOpened(replicator, clean);
    store.scrubber().configure(settings.scrubPerLog());
    // What the journal has sealed is committed before the store looks for work; all before replies
    // are sent.
    resources.core().addCycleTask(replicator::beforeSeal);
    resources.core().addCycleTask(journal);
    resources.core().addCycleTask(replicator::afterSeal);
    resources.core().addCycleTask(store);
    resources.core().addCycleTask(this);
    return opened;
  }

  /** Returns who speaks for the groups of this log. */
  private Replicator replicator(NodeSettings settings, RandomSource random) {
    PeerIdentity self =
        PeerIdentity.of(
            peers.cluster().orElse(superblock.nodeId()),
            peers.members().node(),
            resources.core().id(),
            superblock.starts(),
            settings.bootId());
    // Of its own, because the node's may be used by any core.
    SplittableRandom chance = new SplittableRandom(random.nextLong());
    return new Replicator(
        resources.core(),
        journal,
        peers.dialler(),
        self,
        chance::nextLong,
        peers.tickNs(),
        settings.clusterBugs().replication());
  }

  /**
   * Hands the lead of all groups to other nodes, as far as they can take it within a moment.
   *
   * @return completes on this core, in any case
   */
  CompletableFuture<Void> handOver() {
    CompletableFuture<Void> done = new CompletableFuture<>();
    if (replicator == null || peers.peers().isEmpty()) {
      done.complete(null);
      return done;
    }
    resources.core().addCycleTask(new HandOver(resources.core(), replicator, done));
    return done;
  }

  /** Lets the peers go; nothing is sent or taken any more. */
  void leavePeers() {
    if (forwarding != null) {
      forwarding.stop();
    }
    if (replicator != null) {
      replicator.stop();
    }
  }

  /** Stops appending, makes everything durable and notes that the log ends in order. */
  CompletableFuture<Void> close() {
    CompletableFuture<Void> closed = new CompletableFuture<>();
    if (journal == null) {
      closed.complete(null);
      return closed;
    }
    if (journal.failure() != Status.OK) {
      closed.completeExceptionally(
          new IllegalStateException(resources.name() + " has failed before"));
      return closed;
    }
    store.scrubber().configure(Scrubber.Settings.OFF);
    // So that the next start has nothing to replay.
    store.checkpointer().request(status -> stopAndClose(closed));
    return closed;
  }

  private void stopAndClose(CompletableFuture<Void> closed) {
    journal.stop();
    store.whenDurable(status -> {
      if (status != Status.OK) {
        closed.completeExceptionally(
            new IllegalStateException(resources.name() + ": " + Status.name(status)));
        return;
      }
      superblock = closed(superblock, journal.sealedSequence());
      boolean accepted =
          superblocks.write(
              superblock,
              (context, result) -> {
                if (Status.isError(result)) {
                  closed.completeExceptionally(
                      new IllegalStateException(
                          resources.name()
                              + ": can't write the superblock: "
                              + Status.name(result)));
                } else {
                  closed.complete(null);
                }
              },
              0);
      if (!accepted) {
        closed.completeExceptionally(
            new IllegalStateException("no slot on the ring for the superblock"));
      }
    });
  }

  @Override
  public boolean write(
      Superblock.Start start,
      Superblock.CheckpointPlace place,
      long durableSequence,
      Completion completion) {
    Superblock.Values switched = switched(superblock, start, place, durableSequence);
    if (!superblockWritten || !superblocks.write(switched, completion, 0)) {
      return false;
    }
    superblock = switched;
    return true;
  }

  @Override
  public boolean isSettled() {
    return content.isSettled();
  }

  @Override
  public byte[] extension() {
    return content.extension();
  }

  @Override
  public int settingsBytes() {
    return content.settingsBytes();
  }

  /** Lets a job run when those before it are done; on the core. */
  void run(BackgroundJob job) {
    jobs.add(job);
    if (jobs.size() == 1) {
      resources.core().addCycleTask(jobTask);
    }
  }

  private int work(long nowNs) {
    if (jobs.element().step()) {
      jobs.remove();
      if (jobs.isEmpty()) {
        resources.core().removeCycleTask(jobTask);
      }
    }
    return 1;
  }

  /** Frees memory; nothing may be in flight on the core. */
  void free() {
    if (forwarding != null) {
      forwarding.free();
    }
    if (replicator != null) {
      replicator.free();
    }
    store.close();
    superblocks.close();
  }

  /** Watches for the moment when the log can be used. */
  @Override
  public int doWork(long nowNs) {
    if (opened.isDone()) {
      resources.core().removeCycleTask(this);
      return 0;
    }
    // A new log begins with its reserve; an old one may have used it up and must open all the same.
    boolean ready = journal.isReady() && (!isNew || journal.hasReserve());
    if (superblockWritten && ready) {
      opened.complete(null);
      return 1;
    }
    int status = journal.prepareStatus();
    if (!ready && status != Status.OK) {
      String reason = status == Status.ENOSPC ? "the file system is full" : Status.name(status);
      opened.completeExceptionally(
          new RecoveryException(resources.name() + ": can't make a segment of the log: " + reason));
    }
    return 0;
  }

  private void writeSuperblock() {
    boolean accepted =
        superblocks.write(
            superblock,
            (context, result) -> {
              if (Status.isError(result)) {
                opened.completeExceptionally(
                    new RecoveryException(
                        resources.name()
                            + ": can't write the superblock: "
                            + (result == Status.ENOSPC
                                ? "the file system is full"
                                : Status.name(result))));
              } else {
                meetPeers();
              }
              superblockWritten = true;
            },
            0);
    if (!accepted) {
      throw new IllegalStateException("no slot on the ring for the superblock");
    }
  }

  /** This start's number is durable: from here on it may be told. */
  private void meetPeers() {
    for (NodePeers.Peer peer : peers.peers()) {
      replicator.addPeer(peer.node(), peer.core(), peer.address());
    }
    replicator.start();
    peers.accepts().accept(replicator);
  }

  private static Superblock.Values opened(
      Superblock.Values values, UUID bootId, long durableSequence) {
    return new Superblock.Values(
        values.segmentBytes(),
        values.generation() + 1,
        values.logId(),
        values.nodeId(),
        bootId,
        values.starts() + 1,
        durableSequence,
        values.start(),
        values.checkpoint(),
        false);
  }

  private static Superblock.Values switched(
      Superblock.Values values,
      Superblock.Start start,
      Superblock.CheckpointPlace place,
      long durableSequence) {
    return new Superblock.Values(
        values.segmentBytes(),
        values.generation() + 1,
        values.logId(),
        values.nodeId(),
        values.bootId(),
        values.starts(),
        durableSequence,
        start,
        place,
        false);
  }

  private static Superblock.Values closed(Superblock.Values values, long lastSequence) {
    return new Superblock.Values(
        values.segmentBytes(),
        values.generation() + 1,
        values.logId(),
        values.nodeId(),
        values.bootId(),
        values.starts(),
        lastSequence,
        values.start(),
        values.checkpoint(),
        true);
  }

  private String describe(Superblock.Values found, RecoveredLog recovered, NodeSettings settings) {
    String how = "closed in order";
    if (!found.clean()) {
      how =
          found.bootId().equals(settings.bootId())
              ? "the process was killed"
              : "the machine went down: writes that were not flushed may be lost";
    }
    String tail =
        recovered.tornBytes() == 0
            ? "nothing cut"
            : "unfinished tail of " + recovered.tornBytes() + " bytes cut";
    String rot =
        recovered.rottenBlocks() == 0
            ? ""
            : ", " + recovered.rottenBlocks() + " damaged blocks, reads of them fail";
    return String.format(
        Locale.ROOT,
        "%s: %s; %d segments, %d batches, %d records, %s%s",
        resources.name(),
        how,
        recovered.older().size() + recovered.segments().size(),
        recovered.batches(),
        recovered.records(),
        tail,
        rot);
  }
}
