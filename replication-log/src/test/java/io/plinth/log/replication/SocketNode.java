package io.plinth.log.replication;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import io.plinth.engine.device.SegmentDirectory;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.net.Engine;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.Role;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;

/**
 * A replica with a log of its own on a core of its own, which speaks with its peers over sockets.
 * As long as it leads it proposes writes, most of them of one block, until its log is as long as is
 * wanted.
 */
final class SocketNode implements JournalListener, ReplicaListener {
  private static final int GROUP = 3;
  private static final int MAX_SEGMENTS = 64;
  private static final int POPULATE_BYTES = 1 << 20;
  private static final long TICK_NS = 20_000_000;
  private static final int MAX_UNCOMMITTED = 128;

  /** One of so many writes has more than fit a window of what is read for a peer. */
  private static final int LARGE_ONE_IN = 500;

  private static final int LARGE_BLOCKS = 300;

  final int number;
  private final Core core;
  private final int coreId;
  private final Engine engine;
  private final Runnable changed;
  private final Consumer<String> failed;
  private final CRC32C crc = new CRC32C();
  private SegmentDirectory storage;
  private Journal journal;
  private Listener listener;
  private Replica replica;
  private final List<Replica> idle = new ArrayList<>();
  final List<Connection> accepted = new ArrayList<>();
  Replicator replicator;

  /** How long the log is to become. */
  private volatile long wanted;

  volatile boolean leads;
  volatile long committed;
  volatile int acceptedCount;

  /**
   * Creates a node; {@link #open} starts it.
   *
   * @param changed called on the core when a field that others may read has changed
   */
  SocketNode(int number, Engine engine, Runnable changed, Consumer<String> failed) {
    this.number = number;
    this.coreId = number - 1;
    this.engine = engine;
    this.core = engine.core(coreId);
    this.changed = changed;
    this.failed = failed;
  }

  /** Opens an empty log and listens; returns the address. On the core. */
  String open(Path folder, int segmentBytes, long residentBytes) throws Exception {
    storage =
        new SegmentDirectory(
            folder, engine.core(coreId).driver(), segmentBytes, MAX_SEGMENTS, POPULATE_BYTES);
    journal =
        new Journal(
            "log-" + number,
            core,
            storage,
            number,
            1,
            new RecoveredLog(List.of(), List.of(), 0, 1, 0, 0, 0, 0, 0, 0, Map.of()),
            true,
            residentBytes,
            0,
            this,
            Set.of());
    Random random = new Random(number);
    replicator =
        new Replicator(
            core,
            journal,
            engine.network(coreId),
            PeerIdentity.of(new UUID(5, 6), number, 0, 1, new UUID(7, number)),
            random::nextLong,
            TICK_NS,
            Set.of());
    listener = engine.network(coreId).listen("127.0.0.1:0", this::accept);
    return listener.address();
  }

  private ConnectionHandler accept(Connection connection) {
    accepted.add(connection);
    acceptedCount = accepted.size();
    changed.run();
    return replicator.accept(connection);
  }

  /** Begins to take part in a group of three. On the core. */
  void begin(List<String> addresses) {
    for (int peer = 1; peer <= addresses.size(); peer++) {
      if (peer != number) {
        replicator.addPeer(peer, 0, addresses.get(peer - 1));
      }
    }
    core.addCycleTask(now -> propose());
    core.addCycleTask(replicator::beforeSeal);
    core.addCycleTask(journal);
    core.addCycleTask(replicator::afterSeal);
    RaftConfig config = new RaftConfig(10, 2, AckPolicy.APPENDED, 64, 256, 1 << 20, 1024, 16, 20);
    replica =
        replicator.add(
            GROUP,
            new ReplicaStart(
                config,
                new RecoveredGroup(GroupState.first(GROUP, Membership.of(1, 2, 3)), number),
                true),
            this);
    replicator.start();
  }

  /**
   * Takes part in so many more groups, of which nobody wants anything, and which go quiet after so
   * many ticks. On the core, before {@link #begin}'s peers are reached.
   */
  void addIdle(int groups, int quietTicks) {
    RaftConfig config =
        new RaftConfig(10, 2, AckPolicy.APPENDED, 64, 256, 1 << 20, 1024, 16, 20, quietTicks);
    for (int i = 1; i <= groups; i++) {
      GroupState first = GroupState.first(GROUP + i, Membership.of(1, 2, 3));
      idle.add(
          replicator.add(
              GROUP + i,
              new ReplicaStart(config, new RecoveredGroup(first, number), true),
              new Unheard()));
    }
  }

  /** Returns how many of the idle groups rest; on the core. */
  int resting() {
    return (int) idle.stream().filter(Replica::isQuiet).count();
  }

  /** Returns the terms of the idle groups; on the core. */
  List<Long> terms() {
    return idle.stream().map(Replica::term).toList();
  }

  /** Sets how long the log is to become. */
  void want(long lastIndex) {
    wanted = lastIndex;
  }

  private int propose() {
    int work = 0;
    while (replica.role() == Role.LEADER
        && replica.lastIndex() < wanted
        && replica.lastIndex() - replica.committedIndex() < MAX_UNCOMMITTED) {
      int blocks = replica.lastIndex() % LARGE_ONE_IN == LARGE_ONE_IN - 1 ? LARGE_BLOCKS : 1;
      long index = replica.propose(RecordHeader.WRITE, 0, replica.lastIndex(), blocks);
      if (index < 0) {
        break;
      }
      for (int block = 0; block < blocks; block++) {
        long address = journal.payloadAddress() + (long) block * LogFormat.BLOCK_BYTES;
        for (int i = 0; i < LogFormat.BLOCK_BYTES; i += 8) {
          UnsafeApi.putLong(address + i, index * 0x9E3779B97F4A7C15L + block + i);
        }
        int _ = journal.checksum(block);
      }
      work++;
    }
    return work;
  }

  /** Ends connections and appends; on the core. */
  void stop() {
    replicator.stop();
    listener.close();
    engine.network(coreId).closeAll();
    journal.stop();
  }

  /** Frees the log once the core has stopped. */
  void free() {
    replicator.free();
    storage.close();
  }

  /**
   * Returns what the entries up to an index hold; on the core, which takes so long that others may
   * stand for election meanwhile, and add entries.
   */
  List<String> content(long last) {
    List<String> all = new ArrayList<>();
    NativeMemory memory = NativeMemory.reserve(4L * LARGE_BLOCKS * LogFormat.BLOCK_BYTES);
    EntryBody body = new EntryBody();
    for (long index = 1; index <= last; index++) {
      if (!replica.describe(index, body)) {
        read(body, memory);
      }
      String text = index + " " + replica.entryTerm(index) + " " + replica.entryKind(index);
      if (body.type == RecordHeader.WRITE) {
        text += " " + body.firstBlock;
        for (int block = 0; block < body.count; block++) {
          crc.reset();
          for (int i = 0; i < LogFormat.BLOCK_BYTES; i++) {
            long address = body.payloadAddress + (long) block * LogFormat.BLOCK_BYTES;
            crc.update(UnsafeApi.getByte(address + i));
          }
          boolean right =
              (int) crc.getValue() == UnsafeApi.getInt(body.trailerAddress + 4L * block);
          text += right ? " " + crc.getValue() : " damaged";
        }
      }
      all.add(text);
    }
    memory.close();
    return all;
  }

  /** Waits for the disk, which only a test does. */
  private void read(EntryBody body, NativeMemory memory) {
    RecordHeader record = new RecordHeader();
    int headerBytes = RecordHeader.encodedBytes(RecordHeader.WRITE, LARGE_BLOCKS);
    int segmentBytes = storage.segmentBytes();
    int slot = (int) (body.position / segmentBytes);
    int _ = storage.readNow(slot, memory.address(), headerBytes, body.position % segmentBytes);
    record.wrap(memory.address(), headerBytes);
    body.type = record.type();
    body.firstBlock = record.firstBlock();
    body.count = record.blockCount();
    body.trailerAddress = record.checksumAddress();
    if (body.type == RecordHeader.WRITE) {
      long position = body.place * LogFormat.BLOCK_BYTES;
      body.payloadAddress = memory.address() + LARGE_BLOCKS * LogFormat.BLOCK_BYTES;
      int _ =
          storage.readNow(
              (int) (position / segmentBytes),
              body.payloadAddress,
              body.payloadBytes(),
              position % segmentBytes);
    }
  }

  /** Returns whether an entry is in memory; on the core. */
  boolean isInMemory(long index) {
    return replica.describe(index, new EntryBody());
  }

  long lastIndex() {
    return replica.lastIndex();
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
    failed.accept("the log of node " + number + " fails: " + Status.name(status));
    replicator.onFailed(Status.name(status));
  }

  @Override
  public void onRole(Replica told, boolean isLeader, long term, int leader) {
    leads = isLeader;
    changed.run();
  }

  @Override
  public void onCommitted(Replica told, long from, long to) {
    committed = to;
    changed.run();
  }

  @Override
  public void onFlushed(Replica told, long index) {}

  @Override
  public void onReadGranted(Replica told, long id, long index) {}

  @Override
  public void onReadRefused(Replica told, long id) {}

  @Override
  public void onCommittedLost(Replica told, long index) {
    failed.accept("node " + number + " loses committed entry " + index);
  }

  @Override
  public void onEpochRaised(Replica told, long epoch) {
    failed.accept("node " + number + " raises the epoch to " + epoch);
  }

  @Override
  public void onResyncNeeded(Replica told, int node) {
    failed.accept("node " + node + " is to be brought up to date beside the log");
  }

  @Override
  public void onStopped(Replica told, String why) {
    failed.accept("node " + number + " stops: " + why);
  }
}
