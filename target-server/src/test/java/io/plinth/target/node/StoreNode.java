package io.plinth.target.node;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.GroupMembers;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.Replicator;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.forward.PeerPort;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * A simulated machine with one real log and the volumes of a cluster of three, which can be killed,
 * lose its power, sleep, and be started again.
 */
final class StoreNode {
  static final int NODES = 3;
  static final int SEGMENT_BYTES = 1 << 20;
  static final long VOLUME_BYTES = 400 * 4096;
  static final long TICK_NS = 2_000_000;
  private static final int[] MEMBERS = {1, 2, 3};
  private static final UUID CLUSTER = new UUID(77, 78);
  private static final int SPARE_SEGMENTS = 2;

  /** Until the lives of new logs begin to be numbered by the clock. */
  private static final long YEARS_MS = 1_735_689_600_000L;

  final int number;
  SimDisk disk;
  private final int segments;

  /** How many entries a group keeps at most for others; zero for what a log holds. */
  int mostKept;

  /** It may have had replicas that are lost with its disk. */
  private boolean wiped;

  private long epochOffsetMs;

  private final SimNetwork network;
  private final SimRandom random;
  private final int volumes;
  private final Set<PlantedBug> bugs;
  private UUID bootId = new UUID(1, 1);
  private NodeLog log;
  private CompletableFuture<Void> opened;
  SimCore core;
  private SimHost host;
  SimLogStorage storage;
  boolean up;
  int life;
  int slowSyncNs;
  int slowReadNs;
  long residentBytes = 1 << 30;

  /** Null for a node whose clients speak with its own replicas only. */
  private ForwardSide forwarding;

  private boolean forwards;

  /** Once in each life: who has left a volume since is not to have it again. */
  private boolean joined;

  private boolean hasReplicas = true;
  private Set<ForwardingBug> forwardingBugs = Set.of();
  long indexBytes;
  private long pausedNs;
  private long sleptNs;

  StoreNode(
      int number,
      SimNetwork network,
      SimRandom random,
      int volumes,
      int segments,
      Set<PlantedBug> bugs) {
    this.number = number;
    this.segments = segments;
    this.disk = new SimDisk(SEGMENT_BYTES, segments);
    this.network = network;
    this.random = random;
    this.volumes = volumes;
    this.bugs = bugs;
  }

  /**
   * Lets clients use the volumes of all nodes through this one.
   *
   * @param replicas whether it has some of its own
   */
  StoreNode forwards(boolean replicas, Set<ForwardingBug> planted) {
    forwards = true;
    hasReplicas = replicas;
    forwardingBugs = planted;
    return this;
  }

  void start() throws RecoveryException {
    life++;
    joined = false;
    core = new SimCore(0, (core == null ? 0 : core.epochMs()) + epochOffsetMs);
    epochOffsetMs = 0;
    host = network.attach(number, core);
    if (forwards) {
      forwarding =
          new ForwardSide(
              number,
              life,
              core,
              host,
              random,
              forwardingBugs,
              group -> hasReplicas && isOpen() ? volume(group) : null);
    }
    if (!hasReplicas) {
      up = true;
      opened = CompletableFuture.completedFuture(null);
      forwarding.start(volumes, group -> null);
      return;
    }
    storage = new SimLogStorage(disk, core, random);
    storage.slowSyncs(slowSyncNs);
    storage.slowReads(slowReadNs);
    List<NodePeers.Peer> others = new ArrayList<>();
    for (int node : MEMBERS) {
      if (node != number) {
        others.add(new NodePeers.Peer(node, 0, "node-" + node));
      }
    }
    NodePeers peers =
        new NodePeers(
            Optional.of(CLUSTER),
            new GroupMembers(number, group -> new int[] {number}),
            others,
            host,
            TICK_NS,
            replicator -> {
              replicator.keepAtMost(mostKept);
              Acceptor acceptor =
                  forwards
                      ? new PeerPort(replicator::accept, forwarding.server::accept)
                      : replicator::accept;
              Object _ = host.listen("node-" + number, acceptor);
            });
    log = new NodeLog(new LogResources("node-" + number, core, storage, peers), bugs);
    NodeSettings settings =
        new NodeSettings(
            bootId,
            residentBytes,
            indexBytes,
            SPARE_SEGMENTS,
            0,
            Scrubber.Settings.OFF,
            Optional.empty(),
            ClusterMap.alone(),
            bugs);
    up = true;
    opened = log.open(settings, random, new UUID(0, number), new Content());
    if (forwards) {
      forwarding.start(volumes, group -> null);
    }
  }

  /** What is in the log: volumes with members, and nothing else. */
  private final class Content implements NodeLog.LogContent {
    @Override
    public void onCheckpoint(byte[] extension) {}

    @Override
    public void onBatch(BatchHeader batch, long segmentSequence) {
      log.store().recoverBatch(batch, segmentSequence);
    }

    @Override
    public void onPosition(long position) {
      log.store().recoveredGroups().onPosition(position);
    }

    @Override
    public void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException {
      log.store().recoveredGroups().onRecord(record, payloadPlace);
      log.store().recover(record, payloadPlace);
    }

    @Override
    public void onRecovered() {}

    @Override
    public void onOpened(Replicator replicator, boolean clean) {}

    @Override
    public boolean isSettled() {
      return true;
    }

    @Override
    public byte[] extension() {
      return new byte[0];
    }

    @Override
    public int settingsBytes() {
      return 0;
    }
  }

  /** Returns whether the log is open, and has all volumes. */
  boolean isOpen() {
    return up && opened.isDone() && (!hasReplicas || join());
  }

  private boolean join() {
    if (joined) {
      return true;
    }
    boolean all = true;
    for (int group = 1; group <= volumes; group++) {
      FlushPolicy policy = group == 2 ? FlushPolicy.ALWAYS : FlushPolicy.FLUSH;
      boolean here = log.store().join(group, "v" + group, VOLUME_BYTES, policy, MEMBERS, wiped);
      if (here && forwards) {
        forwarding.client.volume(group).local(volume(group));
      }
      all &= here;
    }
    joined = all;
    return all;
  }

  VolumeStore store() {
    return log.store();
  }

  LogVolume volume(int group) {
    return log.store().volume(group);
  }

  /** Returns what clients of this node use. */
  Volume export(int group) {
    return forwards ? forwarding.client.volume(group) : volume(group);
  }

  ForwardSide forwarding() {
    return forwarding;
  }

  /** Returns whether the node takes part in all groups, and has lost nothing that it promised. */
  boolean isHealthy() {
    if (!isOpen()) {
      return false;
    }
    for (int group = 1; group <= volumes; group++) {
      Replica replica = volume(group).group().replica();
      if (!replica.isRunning() || replica.isRecovering()) {
        return false;
      }
    }
    return true;
  }

  void kill() {
    host.crash(false);
    down();
  }

  void losePower() {
    host.crash(true);
    down();
    disk.losePower(random);
    bootId = new UUID(random.nextLong(), random.nextLong());
  }

  /** The disk of a node that is down is replaced by an empty one. */
  void wipe() {
    disk.close();
    disk = new SimDisk(SEGMENT_BYTES, segments);
    wiped = true;
    // The lives of a new directory are numbered from the clock on, in seconds.
    epochOffsetMs = YEARS_MS + 1_000_000;
  }

  private void down() {
    up = false;
    pausedNs = 0;
    sleptNs = 0;
    freeParts();
  }

  private void freeParts() {
    if (forwards) {
      forwarding.free();
    }
    if (hasReplicas) {
      log.free();
    }
  }

  void free() {
    if (up) {
      freeParts();
    }
    disk.close();
  }

  /** Lets the core not run for a while; its clock goes on. */
  void pause(long durationNs) {
    pausedNs = durationNs;
  }

  boolean isPaused() {
    return pausedNs > 0;
  }

  void cycle(long stepNs) {
    if (!up) {
      return;
    }
    if (pausedNs > 0) {
      pausedNs -= stepNs;
      sleptNs += stepNs;
    } else {
      boolean _ = isOpen();
      core.cycle(stepNs + sleptNs);
      sleptNs = 0;
    }
  }
}
