package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.RecoveredGroup;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.ReplicaListener;
import io.plinth.log.replication.ReplicaStart;
import io.plinth.log.replication.Replicator;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntConsumer;

/**
 * Group 0, whose log is log 0: which volumes there are. Everything here belongs to the core of that
 * log, where each change of a volume begins and, if the catalogue has to know of it, ends.
 */
final class NodeCatalogue implements ReplicaListener {
  private final NodeLogs logs;
  private final Catalogue catalogue;
  private Replica replica;

  /** Of volumes that are being created or changed. */
  private final Set<String> names = new TreeSet<>();

  /** Commands that are in the log and not yet in the catalogue. */
  private final ArrayDeque<Proposal> proposals = new ArrayDeque<>();

  /** What changes that are not in the catalogue yet add to the settings of all volumes. */
  private int promisedSettingsBytes;

  private static final class Proposal {
    private final long index;
    private final byte[] command;
    private final IntConsumer done;

    Proposal(long index, byte[] command, IntConsumer done) {
      this.index = index;
      this.command = command;
      this.done = done;
    }
  }

  NodeCatalogue(NodeLogs logs, Set<PlantedBug> plantedBugs) {
    this.logs = logs;
    this.catalogue = new Catalogue(plantedBugs);
  }

  // Recovery and checkpoints.

  /** Takes back what {@link #encode} gave to a checkpoint. */
  void restore(byte[] extension) throws RecoveryException {
    try {
      catalogue.restore(extension);
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** Applies a command that recovery has found. */
  void recover(RecordHeader record) throws RecoveryException {
    if (record.type() != RecordHeader.COMMAND) {
      return;
    }
    try {
      Catalogue.Entry _ = catalogue.apply(record.command());
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** Log 0 is open. */
  void start(Replicator replicator, RecoveredGroup recovered, boolean clean) {
    int segmentBytes = logs.first().store().journal().blocksPerSegment() * Volume.BLOCK_BYTES;
    ReplicaStart start = ReplicaStart.of(recovered, clean, segmentBytes);
    replica = replicator.add(Catalogue.GROUP, start, this);
  }

  /** All logs are open: commands can follow. */
  void lead() throws RecoveryException {
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (entry.log() >= logs.count()) {
        throw new RecoveryException(
            "volume " + entry.name() + " is in log-" + entry.log() + ", which is missing");
      }
    }
    for (NodeLog log : logs.all()) {
      catalogue.noteGroup(log.store().highestGroup());
    }
  }

  /** Returns whether {@link #encode} has the effect of all commands that were appended. */
  boolean isSettled() {
    return proposals.isEmpty();
  }

  /** Encodes the state for a checkpoint. */
  byte[] encode() {
    return catalogue.encode();
  }

  // Volumes.

  Collection<Catalogue.Entry> entries() {
    return catalogue.entries();
  }

  /** Returns the volume of a group, or null. */
  Catalogue.Entry find(int volumeGroup) {
    return catalogue.find(volumeGroup);
  }

  /** Returns the number of the log that a volume is in. */
  int logOf(LogVolume volume) {
    return catalogue.find(volume.group().id()).log();
  }

  /** Returns a group number that was never used. */
  int takeGroup() {
    return catalogue.takeGroup();
  }

  /** Returns the log with the fewest volumes. */
  int leastUsedLog() {
    int best = 0;
    long bestCount = Long.MAX_VALUE;
    for (int i = 0; i < logs.count(); i++) {
      int log = i;
      long count = catalogue.entries().stream().filter(entry -> entry.log() == log).count();
      if (count < bestCount) {
        best = i;
        bestCount = count;
      }
    }
    return best;
  }

  /** Returns how many bytes of {@link #encode} are settings of volumes. */
  int settingsBytes() {
    return catalogue.settingsBytes();
  }

  // Changes.

  /** Runs a task on log 0's core, at once when we are there. */
  void onCore(Runnable task) {
    Core core = logs.first().core();
    if (core.inCore()) {
      task.run();
    } else if (!core.execute(task)) {
      throw new IllegalStateException("core " + core.id() + " takes no more work");
    }
  }

  /** Does something for a caller; any thread. */
  <T> CompletableFuture<T> onCore(CoreWork<T> work) {
    return CoreWork.on(logs.first().core(), work);
  }

  /** Takes the name of a volume, if it is free, until the result is there. */
  boolean reserve(String name, CompletableFuture<?> result) {
    if (!names.add(name)) {
      return false;
    }
    CompletableFuture<?> _ =
        result.whenComplete((done, failure) -> onCore(() -> names.remove(name)));
    return true;
  }

  /** Takes the name of a volume that is to be changed: one change of it at a time. */
  void reserveForChange(String name, CompletableFuture<?> result) throws NodeException {
    if (!reserve(name, result)) {
      throw new NodeException(
          NodeException.Reason.IN_USE, "volume " + name + " is being changed already");
    }
  }

  /** Returns room for settings that grow, none so far; it is held until the result is there. */
  Room room(CompletableFuture<?> result) {
    Room room = new Room();
    CompletableFuture<?> _ =
        result.whenComplete((done, failure) -> onCore(() -> promisedSettingsBytes -= room.bytes));
    return room;
  }

  /** What a change that is under way adds to the settings of all volumes. */
  final class Room {
    private int bytes;

    private Room() {}

    /** Takes as much as is missing for a change of settings. */
    void require(VolumeSettings before, VolumeSettings after) throws NodeException {
      int more = Catalogue.settingsBytes(after) - Catalogue.settingsBytes(before) - bytes;
      if (more <= 0) {
        return;
      }
      long all = (long) catalogue.settingsBytes() + promisedSettingsBytes + more;
      if (all > Catalogue.MAXIMUM_SETTINGS_BYTES) {
        throw new NodeException(
            NodeException.Reason.NO_SPACE,
            "the settings of all volumes together would take more than "
                + Catalogue.MAXIMUM_SETTINGS_BYTES
                + " bytes");
      }
      bytes += more;
      promisedSettingsBytes += more;
    }
  }

  /** Appends a command and applies it when it is durable. */
  void propose(byte[] command, IntConsumer done) {
    NodeLog log = logs.first();
    Journal journal = log.store().journal();
    // A short one fits what is always left to commands, so that deletions work in a full log.
    boolean hasRoom =
        command.length <= Volume.BLOCK_BYTES
            || journal.reserve(RecordHeader.encodedBytes(RecordHeader.COMMAND, command.length), 0);
    long index =
        hasRoom ? replica.propose(RecordHeader.COMMAND, 0, 0, command.length) : Replica.NO_ROOM;
    if (index > 0) {
      journal.command(command);
      proposals.add(new Proposal(index, command, done));
      boolean _ = replica.flush(index);
    } else if (replica.isStopped()) {
      done.accept(Status.EIO);
    } else if (index == Replica.NO_ROOM && journal.refusal() != Status.EAGAIN) {
      done.accept(journal.refusal());
    } else {
      log.store().awaitReady(() -> propose(command, done));
    }
  }

  // What the replica tells.

  @Override
  public void onCommitted(Replica source, long from, long to) {
    source.applied(to);
  }

  /** A command counts when it is durable: what it makes possible is not taken back by power. */
  @Override
  public void onFlushed(Replica source, long index) {
    while (!proposals.isEmpty() && proposals.peek().index <= index) {
      Proposal proposal = proposals.remove();
      catalogue.apply(proposal.command);
      proposal.done.accept(Status.OK);
    }
  }

  @Override
  public void onRole(Replica source, boolean leads, long term, int leader) {
    if (!leads) {
      fail();
    }
  }

  @Override
  public void onStopped(Replica source, String why) {
    fail();
  }

  private void fail() {
    while (!proposals.isEmpty()) {
      proposals.remove().done.accept(Status.EIO);
    }
  }

  @Override
  public void onReadGranted(Replica source, long id, long index) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onReadRefused(Replica source, long id) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onCommittedLost(Replica source, long index) {
    throw new IllegalStateException("the catalogue has no other members yet");
  }

  @Override
  public void onEpochRaised(Replica source, long epoch) {
    // Nobody reads the catalogue but this node.
  }

  @Override
  public void onResyncNeeded(Replica source, int node) {
    throw new IllegalStateException("the catalogue has no other members yet");
  }
}
