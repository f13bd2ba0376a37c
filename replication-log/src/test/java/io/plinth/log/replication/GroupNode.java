package io.plinth.log.replication;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.recovery.LogRecovery;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.SuperblockStore;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftConfig;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.IntFunction;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A simulated machine with one log and one replica or some, which can be killed, lose its power,
 * and be started again. The first block of a WRITE, and the text of a COMMAND, is the number of the
 * proposal; the payload follows from it.
 */
final class GroupNode implements JournalListener {
  static final int GROUP = 7;
  static final UUID CLUSTER = new UUID(77, 78);
  static final long TICK_NS = 2_000_000;
  private static final int SEGMENT_BYTES = 1 << 19;
  private static final int MAX_SEGMENTS = 800;

  final int number;
  final SimDisk disk = new SimDisk(SEGMENT_BYTES, MAX_SEGMENTS);
  private final SimNetwork network;
  private final SimRandom random;
  private final RaftConfig config;
  private final int[] members;
  private final Set<ReplicationBug> bugs;
  private final CRC32C crc = new CRC32C();
  private UUID bootId = new UUID(1, 1);
  private Superblock.Values superblock;
  private SuperblockStore superblocks;
  SimCore core;
  SimHost host;
  SimLogStorage storage;
  Journal journal;
  Replicator replicator;
  Replica replica;

  /** The replicas of all groups; the first one is {@link #replica}. */
  final List<Replica> replicas = new ArrayList<>();

  int groups = 1;
  IntFunction<ReplicaListener> listeners;
  long tickNs = TICK_NS;

  /** What the log held at the newest start. */
  RecoveredGroup found;

  boolean up;
  int life;
  int slowSyncNs;
  int slowReadNs;
  private long pausedNs;
  private long sleptNs;
  long residentBytes = 1 << 30;

  GroupNode(
      int number,
      SimNetwork network,
      SimRandom random,
      RaftConfig config,
      int[] members,
      ReplicaListener listener,
      Set<ReplicationBug> bugs) {
    this.number = number;
    this.network = network;
    this.random = random;
    this.config = config;
    this.members = members;
    this.listeners = group -> listener;
    this.bugs = bugs;
  }

  void start() throws RecoveryException {
    life++;
    up = true;
    core = new SimCore(0, core == null ? 0 : core.epochMs());
    host = network.attach(number, core);
    storage = new SimLogStorage(disk, core, random);
    storage.slowSyncs(slowSyncNs);
    storage.slowReads(slowReadNs);
    superblocks = new SuperblockStore(storage);
    String name = "node-" + number;

    Superblock.Values before = superblocks.read(name);
    if (before == null) {
      before =
          new Superblock.Values(
              SEGMENT_BYTES,
              0,
              1000 + number,
              new UUID(0, number),
              bootId,
              0,
              0,
              Superblock.Start.NEW,
              Superblock.CheckpointPlace.NONE,
              true);
    }
    GroupRecovery recoveredGroups =
        new GroupRecovery(number, group -> Membership.of(members), bugs);
    RecoveredLog recovered =
        LogRecovery.recover(name, storage, before, bootId, Set.of(), recoveredGroups);
    boolean clean = before.clean() && recovered.nextSequence() - 1 == before.durableSequence();
    journal =
        new Journal(
            name,
            core,
            storage,
            before.logId(),
            (int) before.starts() + 1,
            recovered,
            clean,
            residentBytes,
            2,
            this,
            Set.of());
    superblock =
        new Superblock.Values(
            before.segmentBytes(),
            before.generation() + 1,
            before.logId(),
            before.nodeId(),
            bootId,
            before.starts() + 1,
            recovered.durableSequence(),
            before.start(),
            before.checkpoint(),
            false);
    PeerIdentity self = PeerIdentity.of(CLUSTER, number, 0, superblock.starts(), bootId);
    replicator = new Replicator(core, journal, host, self, random::nextLong, tickNs, bugs);
    for (int member : members) {
      if (member != number) {
        replicator.addPeer(member, 0, "node-" + member);
      }
    }
    core.addCycleTask(replicator::beforeSeal);
    core.addCycleTask(journal);
    core.addCycleTask(replicator::afterSeal);
    found = recoveredGroups.group(GROUP);
    boolean accepted =
        superblocks.write(superblock, (context, result) -> open(recoveredGroups, clean, result), 0);
    if (!accepted) {
      throw new IllegalStateException("the superblock is not written");
    }
  }

  /** The incarnation is durable: from here on it may be told. */
  private void open(GroupRecovery recoveredGroups, boolean clean, int result) {
    if (Status.isError(result)) {
      throw new IllegalStateException("superblock: " + result);
    }
    for (int i = 0; i < groups; i++) {
      RecoveredGroup group = recoveredGroups.group(GROUP + i);
      replicas.add(
          replicator.add(GROUP + i, new ReplicaStart(config, group, clean), listeners.apply(i)));
    }
    replica = replicas.get(0);
    replicator.start();
    host.listen("node-" + number, replicator::accept);
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

  private void down() {
    up = false;
    pausedNs = 0;
    sleptNs = 0;
    replica = null;
    replicas.clear();
    replicator.free();
    superblocks.close();
  }

  void free() {
    if (up) {
      superblocks.close();
      replicator.free();
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
      pausedNs = 0;
      sleptNs = 0;
    } else if (pausedNs > 0) {
      pausedNs -= stepNs;
      sleptNs += stepNs;
    } else {
      core.cycle(stepNs + sleptNs);
      sleptNs = 0;
    }
  }

  /** Proposes a WRITE of some blocks; returns its index or a refusal. */
  long write(long id, int blocks) {
    return write(replica, id, blocks);
  }

  /** Proposes a WRITE of some blocks to the group of a replica. */
  long write(Replica to, long id, int blocks) {
    long index = to.propose(RecordHeader.WRITE, 0, id, blocks);
    if (index > 0) {
      for (int i = 0; i < blocks; i++) {
        long at = journal.payloadAddress() + (long) i * LogFormat.BLOCK_BYTES;
        for (int j = 0; j < LogFormat.BLOCK_BYTES; j += 8) {
          UnsafeApi.putLong(at + j, word(id, i, j));
        }
        int _ = journal.checksum(i);
      }
    }
    return index;
  }

  /** Proposes a COMMAND. */
  long command(Replica to, long id, int bytes) {
    long index = to.propose(RecordHeader.COMMAND, 0, 0, bytes);
    if (index > 0) {
      byte[] command = new byte[bytes];
      new UnsafeBuffer(command).putLong(0, id, ByteOrder.LITTLE_ENDIAN);
      journal.command(command);
    }
    return index;
  }

  /** Proposes an UNMAP. */
  static long unmap(Replica to, long id) {
    return to.propose(RecordHeader.UNMAP, 0, id, 1);
  }

  /** Returns what an entry holds, in words; checks what can be. */
  String content(long index) {
    return content(replica, index);
  }

  /** Returns what an entry of a replica's group holds. */
  String content(Replica of, long index) {
    EntryBody body = new EntryBody();
    if (!of.describe(index, body)) {
      readFromDisk(body);
    }
    String kind = of.entryTerm(index) + " " + of.entryKind(index);
    return switch (body.type) {
      case RecordHeader.WRITE -> kind + " write " + body.firstBlock + payload(body);
      case RecordHeader.COMMAND ->
          kind
              + " command "
              + new UnsafeBuffer(body.trailerAddress, body.count)
                  .getLong(0, ByteOrder.LITTLE_ENDIAN)
              + " of "
              + body.count;
      case RecordHeader.UNMAP -> kind + " unmap " + body.firstBlock + " " + body.count;
      default -> kind;
    };
  }

  private void readFromDisk(EntryBody body) {
    RecordHeader record =
        new RecordHeader().wrap(contentAddress(body.position), RecordHeader.BYTES);
    body.type = record.type();
    body.firstBlock = record.firstBlock();
    body.count = record.blockCount();
    body.trailerAddress = record.checksumAddress();
    body.payloadAddress = contentAddress(body.place * LogFormat.BLOCK_BYTES);
  }

  private long contentAddress(long position) {
    return disk.content((int) (position / SEGMENT_BYTES)).address() + position % SEGMENT_BYTES;
  }

  /** Returns whether an entry is in memory; tells where it is. */
  boolean isInMemory(long index, EntryBody body) {
    return replica.describe(index, body);
  }

  /** One bit on the disk, by its place in the log. */
  record Bit(long position, int bit) {}

  /** Flips a bit of an entry that is not in memory: of what the caller wrote, or of its payload. */
  Bit rot(long index) {
    EntryBody body = new EntryBody();
    if (isInMemory(index, body)) {
      throw new IllegalStateException("the memory would hide it");
    }
    readFromDisk(body);
    // In front of the number of the proposal, or that number.
    long position =
        body.type == RecordHeader.COMMAND
            ? body.position + RecordHeader.BYTES + random.nextInt(8)
            : body.position + 24 + random.nextInt(8);
    if (body.type == RecordHeader.WRITE && random.oneIn(2)) {
      position =
          body.place * LogFormat.BLOCK_BYTES + random.nextInt(body.count * LogFormat.BLOCK_BYTES);
    }
    Bit bit = new Bit(position, random.nextInt(8));
    disk.rotBit((int) (position / SEGMENT_BYTES), (int) (position % SEGMENT_BYTES), bit.bit);
    return bit;
  }

  void mend(Bit bit) {
    disk.mendBit(
        (int) (bit.position / SEGMENT_BYTES), (int) (bit.position % SEGMENT_BYTES), bit.bit);
  }

  private String payload(EntryBody body) {
    NativeMemory memory = disk.content((int) (body.place * LogFormat.BLOCK_BYTES / SEGMENT_BYTES));
    for (int i = 0; i < body.count; i++) {
      long at = body.payloadAddress + (long) i * LogFormat.BLOCK_BYTES;
      int stored = UnsafeApi.getInt(body.trailerAddress + 4L * i);
      if (memory.crc32c(crc, at, LogFormat.BLOCK_BYTES) != stored) {
        return " whose block " + i + " does not match its checksum";
      }
      if (UnsafeApi.getLong(at + 8) != word(body.firstBlock, i, 8)) {
        return " with other payload";
      }
    }
    return " of " + body.count;
  }

  private static long word(long id, int block, int offset) {
    return (id * 31 + block) * 0x9E3779B97F4A7C15L + offset;
  }

  @Override
  public void onAppended(long sequence) {
    replicator.onAppended(sequence);
  }

  @Override
  public void onDurable(long sequence) {
    replicator.onDurable(sequence);
  }

  @Override
  public void onReady() {}

  @Override
  public boolean mayFreeSegments() {
    return false;
  }

  @Override
  public void onFailed(int status, long sequence) {
    replicator.onFailed("the log has failed: " + Status.name(status));
  }
}
