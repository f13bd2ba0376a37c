package io.plinth.target.node;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.RandomSource;
import io.plinth.engine.api.Status;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Moment;
import io.plinth.target.volume.Resyncs;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.VerifyReport;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDiff;
import io.plinth.target.volume.VolumeDirectory;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.target.volume.VolumeSpace;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * The volumes of one data directory. The catalogue and its commands belong to log 0 and its core;
 * each volume to the log that the catalogue names.
 *
 * <p>This is the door; the rooms behind it are
 *
 * <ul>
 *   <li>{@link NodeLogs}: the logs, each a {@link NodeLog}, and their figures
 *   <li>{@link NodeCatalogue}: which volumes there are, and the order of their changes
 *   <li>{@link NodeLogContent}: recovery and checkpoints of both
 *   <li>{@link NodeReplicas}: what the catalogue says is carried out; {@link NodeMembership}: which
 *       node of its cluster this is
 *   <li>{@link NodeVolumes}: what clients find
 *   <li>{@link VolumeCreation}, {@link VolumeChanges}, {@link VolumeQueries}: commands
 *   <li>{@link NodeKeeper}: which nodes are well, and where replicas are to be; {@link
 *       ReplicaMoves} lets the groups follow
 *   <li>{@link NodeScrub}: the scrubs
 * </ul>
 */
public final class StorageNode implements VolumeDirectory {
  /** Between the name of a volume and that of a snapshot. */
  public static final char SNAPSHOT_SEPARATOR = '@';

  private final NodeSettings settings;
  private final RandomSource random;
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeMembership membership;
  private final NodeReplicas replicas;
  private final VolumeCreation creation;
  private final VolumeChanges changes;
  private final VolumeQueries queries;
  private final NodeScrub scrub;
  private final NodeKeeper keeper;

  /**
   * Creates a node; {@link #openLog} opens its logs.
   *
   * @param resources one for each log, log 0 first
   */
  public StorageNode(NodeSettings settings, RandomSource random, List<LogResources> resources) {
    this.settings = settings;
    this.random = random;
    logs = new NodeLogs(resources, settings.plantedBugs());
    ClusterBugs bugs = settings.clusterBugs();
    catalogue = new NodeCatalogue(logs, settings.plantedBugs(), bugs);
    volumes =
        new NodeVolumes(
            settings.defaultVolume(), node -> logs.first().replicator().isReachable(node));
    membership = new NodeMembership(settings.cluster(), bugs);
    replicas = new NodeReplicas(logs, catalogue, volumes, membership, bugs);
    creation = new VolumeCreation(logs, catalogue, volumes, membership, replicas);
    boolean early = settings.plantedBugs().contains(PlantedBug.SETTINGS_BEFORE_DURABLE);
    VolumeUse use = new VolumeUse(logs, catalogue, volumes, membership, bugs);
    changes = new VolumeChanges(logs, catalogue, volumes, replicas, use, early, bugs);
    queries = new VolumeQueries(logs, catalogue, volumes);
    scrub = new NodeScrub(logs.all());
    keeper = new NodeKeeper(logs, catalogue, replicas, volumes, membership, settings.keeper(), use);
  }

  // The life of the node.

  /**
   * Recovers and opens one log; log 0 first, each when the one before is open. On the log's core.
   *
   * @return completes on the core when the log is open
   * @throws RecoveryException when the log must not be opened; one line that says why
   */
  public CompletableFuture<Void> openLog(int number) throws RecoveryException {
    return logs.get(number).open(settings, random, logs.nodeIdFor(number), content(number));
  }

  /**
   * Recovers a log without opening it, for looking at what it holds: log 0 first. {@link #free}
   * ends it; nothing else may be asked of this node but {@link #store} and {@link
   * #recoverySummaries}.
   *
   * @return what was found
   * @throws RecoveryException when the log could not be opened; one line that says why
   */
  public RecoveredLog recoverLog(int number) throws RecoveryException {
    return logs.get(number).recover(settings, random, logs.nodeIdFor(number), content(number));
  }

  private NodeLogContent content(int number) {
    return new NodeLogContent(number, logs, catalogue, volumes, membership, settings.clusterBugs());
  }

  /** Makes the recovered volumes available; on log 0's core, when all logs are open. */
  public void publishRecovered() throws RecoveryException {
    catalogue.lead(replicas);
    replicas.onNodes();
    replicas.showRecovered();
    replicas.onRoles();
    catalogue.watch();
    keeper.start();
  }

  /**
   * Completes when this node has begun all replicas that it may have had before its data directory
   * was empty. Of a node whose {@link ClusterMap#isNew}.
   */
  public CompletableFuture<Void> begunAll() {
    return replicas.begunAll();
  }

  /** That is durable: what the node begins from here on is new. Any thread. */
  public void settle() {
    catalogue.onCore(membership::settle);
  }

  /**
   * Hands the lead of a log's groups to other nodes, as far as they can take it within a second;
   * before clients are sent away. On the log's core.
   *
   * @return completes on the core, in any case
   */
  public CompletableFuture<Void> handOver(int number) {
    return logs.get(number).handOver();
  }

  /**
   * Begins to speak with other nodes about the volumes of a log that is open; on its core, before
   * {@link #publishRecovered}.
   *
   * @return what takes their connections
   */
  public Acceptor meetPeers(int number) {
    SplittableRandom chance = new SplittableRandom(random.nextLong());
    NodeLog log = logs.get(number);
    log.move(
        new ReplicaMoves(
            log,
            membership.cluster().self(),
            settings.keeper().lookNs() / 10,
            settings.clusterBugs(),
            (group, move) -> catalogue.onCore(() -> keeper.placed(group, move))));
    return log.forward(membership.cluster(), chance::nextLong, settings.clusterBugs().forwarding());
  }

  /** Lets the other nodes go; on the log's core. */
  public void leavePeers(int number) {
    logs.get(number).leavePeers();
  }

  /**
   * Makes a log durable and closes it in order; clients must be gone. On the log's core.
   *
   * @return completes on the core
   */
  public CompletableFuture<Void> closeLog(int number) {
    return logs.get(number).close();
  }

  /** Frees memory when all cores have stopped. */
  public void free() {
    logs.free();
  }

  // How it is.

  /** Returns how many logs there are. */
  public int logCount() {
    return logs.count();
  }

  /** Returns the volumes of a log. */
  public VolumeStore store(int log) {
    return logs.get(log).store();
  }

  /** Returns the journal of a log, for statistics. */
  public Journal journal(int log) {
    return logs.get(log).store().journal();
  }

  /** Returns what recovery found, a line for each log. */
  public List<String> recoverySummaries() {
    return logs.recoverySummaries();
  }

  /** Returns the identity of the node, kept in its data directory. */
  public UUID nodeId() {
    return logs.first().nodeId();
  }

  /** Returns how often a volume's log has been opened. */
  public long epoch(LogVolume volume) {
    return logs.of(volume).epoch();
  }

  /** Returns the end of a volume's log; any thread, approximately. */
  public long position(LogVolume volume) {
    return logs.storeOf(volume).journal().sealedSequence();
  }

  /** Returns the bytes that the logs' segments take; any thread, approximately. */
  public long logUsedBytes() {
    return logs.usedBytes();
  }

  /** Returns the bytes that the logs may take; any thread. */
  public long logCapacityBytes() {
    return logs.capacityBytes();
  }

  /**
   * Returns whether a log has failed and acknowledges nothing any more; any thread, approximately.
   */
  public boolean hasFailed() {
    return logs.hasFailed();
  }

  /** Returns the figures of the logs, log 0 first; any thread, approximately. */
  public List<LogStatistics> logStatistics() {
    return logs.statistics();
  }

  /** Returns the scrubs of all logs. */
  public NodeScrub scrub() {
    return scrub;
  }

  /** Returns the nodes of the cluster as they are known now; any thread. */
  public ClusterMap cluster() {
    return membership.cluster();
  }

  /** Tells how the cluster is; any thread. */
  public CompletableFuture<ClusterStatus> clusterStatus() {
    return catalogue.onCore(result -> result.complete(clusterStatusNow()));
  }

  private ClusterStatus clusterStatusNow() {
    List<Integer> connected = new ArrayList<>();
    for (ClusterMap.Member member : membership.cluster().members()) {
      if (logs.first().isConnected(member.number())) {
        connected.add(member.number());
      }
    }
    int stopped = 0;
    for (LogVolume volume : volumes.local()) {
      stopped += volume.group().standing().stopped() ? 1 : 0;
    }
    List<String> resyncs = new ArrayList<>();
    long completed = 0;
    long sentBytes = 0;
    for (NodeLog log : logs.all()) {
      Resyncs ofLog = log.store().resyncs();
      for (Resyncs.Progress one : ofLog.progress()) {
        resyncs.add(
            "node " + one.node() + "'s replica of volume " + one.volume() + " " + one.text());
      }
      completed += ofLog.completed();
      sentBytes += ofLog.sentBytes();
    }
    return new ClusterStatus(
        catalogue.leader(),
        catalogue.replica().members(),
        connected,
        catalogue.entries().size(),
        catalogue.isRecovering(),
        stopped,
        resyncs,
        completed,
        sentBytes);
  }

  /**
   * Tells how the nodes of the cluster are; any thread. Fails with a {@link NodeException}, also
   * when another node leads the catalogue, which knows.
   */
  public CompletableFuture<NodesStatus> nodesStatus() {
    return keeper.status();
  }

  /**
   * Admits a node to the cluster; any thread.
   *
   * @param member as the other nodes are to reach it, without names that have to be looked up
   * @return what there is to say, when it is admitted; fails with a {@link NodeException}
   */
  public CompletableFuture<List<String>> admitNode(ClusterMap.Member member) {
    return keeper.admit(member);
  }

  /**
   * Lets the replicas of a node go to others; any thread.
   *
   * @param replacement the node that should get them; 0 for any
   * @param dryRun only tells what would be done
   * @return what is to move, and what can't and why, when that is decided; fails with a {@link
   *     NodeException}
   */
  public CompletableFuture<List<String>> drainNode(int number, int replacement, boolean dryRun) {
    return keeper.drain(number, replacement, dryRun);
  }

  /** Takes a node back into service that was drained, is being drained or was removed. */
  public CompletableFuture<List<String>> undrainNode(int number) {
    return keeper.undrain(number);
  }

  /**
   * Does without a node from now on; any thread.
   *
   * @param lost although it has replicas, because it will not come back
   * @return what is to be rebuilt, as {@link #drainNode}
   */
  public CompletableFuture<List<String>> removeNode(int number, boolean lost) {
    return keeper.remove(number, lost);
  }

  // What clients find.

  @Override
  public Volume find(String name) {
    return volumes.findExport(name);
  }

  @Override
  public List<String> snapshots(String name) {
    LogVolume volume = volumes.findLocal(name);
    return volume == null
        ? List.of()
        : volume.visibleSnapshots().stream().map(SnapshotVolume::snapshotName).toList();
  }

  @Override
  public List<Volume> list() {
    return volumes.all().stream().map(ShownVolume::export).toList();
  }

  /**
   * Returns the volumes of which this node has a replica, in the order of their names; any thread.
   */
  public List<LogVolume> volumes() {
    return volumes.local();
  }

  /** Returns what the catalogue knows of all volumes that are shown to clients; any thread. */
  public List<Catalogue.Entry> entries() {
    return volumes.all().stream().map(ShownVolume::entry).toList();
  }

  /** Returns the volumes of the cluster of which this node has no replica; any thread. */
  public List<Catalogue.Entry> remoteVolumes() {
    return volumes.all().stream()
        .filter(volume -> volume.local() == null)
        .map(ShownVolume::entry)
        .toList();
  }

  /**
   * Returns this node's replica of a volume by name, or null; the empty name stands for the default
   * volume, or the only one. Any thread.
   */
  public LogVolume findVolume(String name) {
    return volumes.findLocal(name);
  }

  /**
   * Returns this node's replica of a volume; any thread. Fails with a {@link NodeException}, also
   * when only other nodes have one: it names one of them.
   */
  public CompletableFuture<LogVolume> replica(String name) {
    return queries.replica(name);
  }

  /**
   * Returns how many clients of this node, and other nodes for theirs, use a volume; any thread.
   */
  public int attachmentCount(LogVolume volume) {
    ShownVolume shown = volumes.find(volume.group().id());
    return shown == null ? 0 : shown.attachmentCount();
  }

  @Override
  public void resize(Volume volume, long sizeBytes, Resized done) {
    CompletableFuture<?> _ =
        changes
            .resize(volume.name(), candidate -> isOf(volume, candidate), sizeBytes, false)
            .whenComplete((nothing, failure) -> {
              int status = failure instanceof NodeException e ? e.status() : Status.EIO;
              // When the core takes nothing any more, the client has gone as well.
              boolean _ =
                  volume
                      .core()
                      .execute(() -> {
                        if (failure == null) {
                          done.resized(Status.OK, null);
                        } else {
                          done.resized(status, failure.getMessage());
                        }
                      });
            });
  }

  /** Returns whether what a client uses is, or has here, a replica. */
  private static boolean isOf(Volume export, LogVolume candidate) {
    return candidate.equals(export instanceof ForwardedVolume facade ? facade.local() : export);
  }

  // Commands.

  /** Creates a volume with as many replicas as is usual; see the other one. */
  public CompletableFuture<LogVolume> createVolume(
      String name, long sizeBytes, FlushPolicy flushPolicy, VolumeSettings volumeSettings) {
    return createVolume(name, sizeBytes, flushPolicy, volumeSettings, OptionalInt.empty());
  }

  /**
   * Creates a volume; any thread.
   *
   * @param volumeSettings what it begins with
   * @param wantedReplicas on how many nodes; absent for three, or fewer if there are no more
   * @return the volume, once its creation is durable, null if this node has no replica; fails with
   *     a {@link NodeException}
   */
  public CompletableFuture<LogVolume> createVolume(
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      VolumeSettings volumeSettings,
      OptionalInt wantedReplicas) {
    return creation.create(name, sizeBytes, flushPolicy, volumeSettings, wantedReplicas);
  }

  /**
   * Creates a volume with the content of a volume or of a snapshot; any thread. It has the settings
   * of its source that protect it.
   *
   * @param source {@code volume} or {@code volume@snapshot}
   * @return the volume, once its creation is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<LogVolume> cloneVolume(
      String source, String name, FlushPolicy flushPolicy) {
    return creation.copy(source, name, flushPolicy);
  }

  /**
   * Creates a volume with the content that another one had at a moment; any thread. It has the
   * settings that protect the other one now.
   *
   * @return the volume, once it is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<LogVolume> restoreVolume(
      String source, Moment moment, String name, FlushPolicy flushPolicy) {
    return creation.restore(source, moment, name, flushPolicy);
  }

  /**
   * Changes settings of a volume; any thread. They apply to clients that attach from then on.
   *
   * @return completes when the change is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> changeSettings(String name, SettingsChange change) {
    return changes.settings(name, change);
  }

  /**
   * Deletes a volume with its snapshots and disconnects its clients; any thread.
   *
   * @param force although it is in use or has snapshots
   * @return completes when the deletion is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> deleteVolume(String name, boolean force) {
    return changes.delete(name, force);
  }

  /**
   * Hands the lead of a volume to another node that has a replica of it; any thread.
   *
   * @return completes when that node leads; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> moveLead(String name, int toNode) {
    return changes.moveLead(name, toNode);
  }

  /** Takes a snapshot of a volume; any thread. Completes when it is durable. */
  public CompletableFuture<Void> createSnapshot(String name, String snapshot) {
    return changes.createSnapshot(name, snapshot);
  }

  /** Deletes a snapshot; any thread. Completes when that is durable; its space comes back later. */
  public CompletableFuture<Void> deleteSnapshot(String name, String snapshot, boolean force) {
    return changes.deleteSnapshot(name, snapshot, force);
  }

  /** Lets a volume be what it was at a snapshot; any thread. Clients are disconnected if forced. */
  public CompletableFuture<Void> rollback(String name, String snapshot, boolean force) {
    return changes.rollback(name, snapshot, force);
  }

  /**
   * Changes the size of a volume; any thread. Clients see the new size when they attach again.
   *
   * @param force although mapped blocks are cut off
   */
  public CompletableFuture<Void> resizeVolume(String name, long sizeBytes, boolean force) {
    return changes.resize(name, candidate -> true, sizeBytes, force);
  }

  // Questions.

  /**
   * Tells what has changed in a volume since a snapshot; any thread.
   *
   * @param to a later snapshot, or null for the volume as it is now
   * @param offset where to begin, at a multiple of a block
   * @param limit how many extents to tell at most
   */
  public CompletableFuture<VolumeDiff.Result> diff(
      String name, String from, String to, long offset, int limit) {
    return queries.diff(name, from, to, offset, limit);
  }

  /** Returns how many bytes of a volume or snapshot are mapped; any thread. */
  public CompletableFuture<Long> mappedBytes(IndexedVolume volume) {
    return queries.mappedBytes(volume);
  }

  /** Tells how much space only a volume or snapshot takes; any thread. */
  public CompletableFuture<VolumeSpace.Space> space(IndexedVolume volume) {
    return queries.space(volume);
  }

  /**
   * Begins to compare the replicas of a volume that this node leads, unless that is at work; any
   * thread.
   *
   * @return how it stands; fails with a {@link NodeException}
   */
  public CompletableFuture<VerifyReport> verify(String name) {
    return queries.verify(name);
  }

  /** Tells how the newest comparison of the replicas of a volume stands; any thread. */
  public CompletableFuture<VerifyReport> verifyReport(String name) {
    return queries.verifyReport(name);
  }
}
