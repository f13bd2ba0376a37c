package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.ReplicaGroup;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collection;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntConsumer;

/**
 * Group 0, whose log is log 0: which volumes there are. Everything here belongs to the core of that
 * log, where each change of a volume begins and, if the catalogue has to know of it, ends.
 */
final class NodeCatalogue {
  private final NodeLogs logs;
  private final Catalogue catalogue;
  private final ReplicaGroup group = new ReplicaGroup(Catalogue.GROUP);

  /** Of volumes that are being created or changed. */
  private final Set<String> names = new TreeSet<>();

  /** Commands that are in the log and not yet in the catalogue. */
  private int undurableCommands;

  /** What changes that are not in the catalogue yet add to the settings of all volumes. */
  private int promisedSettingsBytes;

  NodeCatalogue(NodeLogs logs, Set<PlantedBug> plantedBugs) {
    this.logs = logs;
    this.catalogue = new Catalogue(plantedBugs);
  }

  // Recovery and checkpoints.

  /** Takes back what {@link #encode} gave to a checkpoint. */
  void restore(byte[] extension) throws RecoveryException {
    ByteBuffer buffer = ByteBuffer.wrap(extension).order(ByteOrder.LITTLE_ENDIAN);
    if (buffer.remaining() < 2 * Long.BYTES) {
      throw new RecoveryException("log-0: the catalogue in the checkpoint is cut short");
    }
    group.recovered(buffer.getLong(), buffer.getLong());
    byte[] state = new byte[buffer.remaining()];
    buffer.get(state);
    try {
      catalogue.restore(state);
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** Applies a command that recovery has found. */
  void recover(RecordHeader record) throws RecoveryException {
    group.recovered(record.term(), record.index());
    try {
      Catalogue.Entry _ = catalogue.apply(record.command());
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** All logs are open: commands can follow. */
  void lead() throws RecoveryException {
    group.lead();
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
    return undurableCommands == 0;
  }

  /** Encodes the state for a checkpoint. */
  byte[] encode() {
    byte[] state = catalogue.encode();
    return ByteBuffer.allocate(2 * Long.BYTES + state.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(group.term())
        .putLong(group.lastIndex())
        .put(state)
        .array();
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
    if (!hasRoom || !journal.begin(RecordHeader.COMMAND, 0, group, 0, command.length)) {
      if (journal.refusal() == Status.EAGAIN) {
        log.store().awaitReady(() -> propose(command, done));
      } else {
        done.accept(journal.refusal());
      }
      return;
    }
    journal.command(command);
    undurableCommands++;
    log.store()
        .whenDurable(status -> {
          undurableCommands--;
          if (status != Status.OK) {
            done.accept(status);
            return;
          }
          group.appended(group.lastIndex());
          catalogue.apply(command);
          done.accept(Status.OK);
        });
  }
}
