package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.RandomSource;
import io.plinth.engine.api.Status;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.ReplicaGroup;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.HistoryRestore;
import io.plinth.target.volume.IndexedVolume;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Moment;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.SnapshotVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDiff;
import io.plinth.target.volume.VolumeDirectory;
import io.plinth.target.volume.VolumeSettings;
import io.plinth.target.volume.VolumeSpace;
import io.plinth.target.volume.VolumeStore;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * The volumes of one data directory. The catalogue and its commands belong to log 0 and its core;
 * each volume to the log that the catalogue names.
 */
public final class StorageNode implements VolumeDirectory {
  /** Between the name of a volume and that of a snapshot. */
  public static final char SNAPSHOT_SEPARATOR = '@';

  private final NodeSettings settings;
  private final RandomSource random;
  private final List<NodeLog> logs = new ArrayList<>();
  private final NodeScrub scrub = new NodeScrub(logs);

  // On log 0's core.
  private final Catalogue catalogue;
  private final ReplicaGroup catalogueGroup = new ReplicaGroup(Catalogue.GROUP);
  private final Set<String> pendingNames = new TreeSet<>();

  /** Commands that are in the log and not yet in the catalogue. */
  private int undurableCommands;

  // Replaced as a whole on log 0's core, read by any thread.
  private volatile List<LogVolume> volumes = List.of();

  /**
   * Creates a node; {@link #openLog} opens its logs.
   *
   * @param resources one for each log, log 0 first
   */
  public StorageNode(NodeSettings settings, RandomSource random, List<LogResources> resources) {
    this.settings = settings;
    this.random = random;
    this.catalogue = new Catalogue(settings.plantedBugs());
    for (LogResources log : resources) {
      logs.add(new NodeLog(log, settings.plantedBugs()));
    }
  }

  /** Returns how many logs there are. */
  public int logCount() {
    return logs.size();
  }

  /**
   * Recovers and opens one log; log 0 first, each when the one before is open. On the log's core.
   *
   * @return completes on the core when the log is open
   * @throws RecoveryException when the log must not be opened; one line that says why
   */
  public CompletableFuture<Void> openLog(int number) throws RecoveryException {
    NodeLog log = logs.get(number);
    UUID nodeId = number == 0 ? null : logs.get(0).nodeId();
    return log.open(settings, random, nodeId, new Content(number));
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
    UUID nodeId = number == 0 ? null : logs.get(0).nodeId();
    return logs.get(number).recover(settings, random, nodeId, new Content(number));
  }

  /** Returns the volumes of a log. */
  public VolumeStore store(int log) {
    return logs.get(log).store();
  }

  /** Makes the recovered volumes available; on log 0's core, when all logs are open. */
  public void publishRecovered() throws RecoveryException {
    catalogueGroup.lead();
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (entry.log() >= logs.size()) {
        throw new RecoveryException(
            "volume " + entry.name() + " is in log-" + entry.log() + ", which is missing");
      }
    }
    for (NodeLog log : logs) {
      catalogue.noteGroup(log.store().highestGroup());
    }
  }

  /** The catalogue's part of log 0, and the volumes of any log. */
  private final class Content implements NodeLog.LogContent {
    private final int number;

    Content(int number) {
      this.number = number;
    }

    @Override
    public void onCheckpoint(byte[] extension) throws RecoveryException {
      if (number > 0 || extension.length == 0) {
        return;
      }
      ByteBuffer buffer = ByteBuffer.wrap(extension).order(ByteOrder.LITTLE_ENDIAN);
      if (buffer.remaining() < 2 * Long.BYTES) {
        throw new RecoveryException("log-0: the catalogue in the checkpoint is cut short");
      }
      catalogueGroup.recovered(buffer.getLong(), buffer.getLong());
      byte[] state = new byte[buffer.remaining()];
      buffer.get(state);
      try {
        catalogue.restore(state);
      } catch (IllegalArgumentException e) {
        throw new RecoveryException("log-0: " + e.getMessage());
      }
    }

    @Override
    public boolean isSettled() {
      return number > 0 || undurableCommands == 0;
    }

    @Override
    public byte[] extension() {
      if (number > 0) {
        return new byte[0];
      }
      byte[] state = catalogue.encode();
      return ByteBuffer.allocate(2 * Long.BYTES + state.length)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putLong(catalogueGroup.term())
          .putLong(catalogueGroup.lastIndex())
          .put(state)
          .array();
    }

    @Override
    public int settingsBytes() {
      return number > 0 ? 0 : catalogue.settingsBytes();
    }

    @Override
    public void onBatch(BatchHeader batch, long segmentSequence) {
      logs.get(number).store().recoverBatch(batch, segmentSequence);
    }

    @Override
    public void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException {
      boolean isLocal =
          record.type() == RecordHeader.META || record.type() == RecordHeader.RELOCATE;
      if (isLocal || record.group() != Catalogue.GROUP) {
        logs.get(number).store().recover(record, payloadPlace);
        return;
      }
      catalogueGroup.recovered(record.term(), record.index());
      try {
        Catalogue.Entry _ = catalogue.apply(record.command());
      } catch (IllegalArgumentException e) {
        throw new RecoveryException("log-0: " + e.getMessage());
      }
    }

    /**
     * Volumes exist for clients when the catalogue says so: what had begun to exist without getting
     * there, or was deleted there and not yet here, goes.
     */
    @Override
    public void onRecovered() throws RecoveryException {
      VolumeStore store = logs.get(number).store();
      for (LogVolume volume : store.volumes()) {
        Catalogue.Entry entry = catalogue.find(volume.group().id());
        if (entry == null || entry.log() != number) {
          store.remove(volume);
        } else {
          volume.settings(entry.settings());
          include(volume);
        }
      }
      for (Catalogue.Entry entry : catalogue.entries()) {
        if (entry.log() == number && store.volume(entry.group()) == null) {
          throw new RecoveryException(
              "log-" + number + ": volume " + entry.name() + " is in the catalogue, but not here");
        }
      }
    }
  }

  /** Returns what recovery found, a line for each log. */
  public List<String> recoverySummaries() {
    return logs.stream().map(NodeLog::summary).toList();
  }

  /** Returns the identity of the node, kept in its data directory. */
  public UUID nodeId() {
    return logs.get(0).nodeId();
  }

  /** Returns how often a volume's log has been opened. */
  public long epoch(LogVolume volume) {
    return log(volume).epoch();
  }

  /** Returns the end of a volume's log; any thread, approximately. */
  public long position(LogVolume volume) {
    return log(volume).store().journal().sealedSequence();
  }

  /** Returns the bytes that the logs' segments take; any thread, approximately. */
  public long logUsedBytes() {
    return logs.stream().mapToLong(log -> log.store().journal().usedBytes()).sum();
  }

  /** Returns the bytes that the logs may take; any thread. */
  public long logCapacityBytes() {
    return logs.stream().mapToLong(log -> log.store().journal().capacityBytes()).sum();
  }

  /**
   * Returns whether a log has failed and acknowledges nothing any more; any thread, approximately.
   */
  public boolean hasFailed() {
    return logs.stream().anyMatch(log -> log.store().journal().failure() != Status.OK);
  }

  /** Returns the figures of the logs, log 0 first; any thread, approximately. */
  public List<LogStatistics> logStatistics() {
    return logs.stream().map(NodeLog::statistics).toList();
  }

  /** Returns the journal of a log, for statistics. */
  public Journal journal(int log) {
    return logs.get(log).store().journal();
  }

  @Override
  public Volume find(String name) {
    int at = name.indexOf(SNAPSHOT_SEPARATOR);
    if (at < 0) {
      return findVolume(name);
    }
    LogVolume volume = findVolume(name.substring(0, at));
    SnapshotVolume snapshot = volume == null ? null : volume.snapshot(name.substring(at + 1));
    return snapshot == null || snapshot.isHidden() ? null : snapshot;
  }

  @Override
  public List<String> snapshots(String name) {
    LogVolume volume = findVolume(name);
    return volume == null
        ? List.of()
        : volume.visibleSnapshots().stream().map(SnapshotVolume::snapshotName).toList();
  }

  @Override
  public List<Volume> list() {
    return List.copyOf(volumes);
  }

  /** Returns the volumes in the order of their names; any thread. */
  public List<LogVolume> volumes() {
    return volumes;
  }

  /**
   * Returns a volume by name, or null; the empty name stands for the default volume, or the only
   * one. Any thread.
   */
  public LogVolume findVolume(String name) {
    List<LogVolume> current = volumes;
    String wanted = name;
    if (name.isEmpty()) {
      if (settings.defaultVolume().isPresent()) {
        wanted = settings.defaultVolume().get();
      } else {
        return current.size() == 1 ? current.get(0) : null;
      }
    }
    for (LogVolume volume : current) {
      if (volume.name().equals(wanted)) {
        return volume;
      }
    }
    return null;
  }

  /**
   * Creates a volume; any thread.
   *
   * @param volumeSettings what it begins with
   * @return the volume, once its creation is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<LogVolume> createVolume(
      String name, long sizeBytes, FlushPolicy flushPolicy, VolumeSettings volumeSettings) {
    return onFirstCore(result -> {
      requireRoom(VolumeSettings.DEFAULT, volumeSettings);
      reserveNew(name);
      begin(result, leastUsedLog(), name, sizeBytes, flushPolicy, () -> volumeSettings, () -> null);
    });
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
    return onFirstCore(result -> {
      int at = source.indexOf(SNAPSHOT_SEPARATOR);
      LogVolume origin = required(at < 0 ? source : source.substring(0, at));
      if (at >= 0) {
        requireSnapshot(origin, source.substring(at + 1));
      }
      requireRoom(VolumeSettings.DEFAULT, origin.settings().ofCopy());
      reserveNew(name);
      int log = catalogue.find(origin.group().id()).log();
      begin(
          result,
          log,
          name,
          origin.sizeBytes(),
          flushPolicy,
          () -> origin.settings().ofCopy(),
          () -> at < 0 ? origin : requireSnapshot(origin, source.substring(at + 1)));
    });
  }

  /**
   * Creates a volume with the content that another one had at a moment; any thread. It has the
   * settings that protect the other one now.
   *
   * @return the volume, once it is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<LogVolume> restoreVolume(
      String source, Moment moment, String name, FlushPolicy flushPolicy) {
    return onFirstCore(result -> {
      LogVolume origin = required(source);
      requirePast(origin, moment);
      requireRoom(VolumeSettings.DEFAULT, origin.settings().ofCopy());
      reserveNew(name);
      CompletableFuture<?> _ =
          result.whenComplete((volume, failure) -> onFirstCore(() -> pendingNames.remove(name)));
      Catalogue.Entry entry =
          new Catalogue.Entry(
              catalogue.takeGroup(),
              catalogue.find(origin.group().id()).log(),
              name,
              origin.sizeBytes(),
              flushPolicy,
              VolumeSettings.DEFAULT);
      NodeLog log = logs.get(entry.log());
      boolean accepted =
          log.core()
              .execute(() ->
                  log.run(
                      new HistoryRestore(
                          origin,
                          moment,
                          entry.group(),
                          name,
                          flushPolicy,
                          restored -> onFirstCore(() -> enter(result, entry, origin, restored)))));
      if (!accepted) {
        result.completeExceptionally(NodeException.unavailable());
      }
    });
  }

  private void requirePast(LogVolume origin, Moment moment) throws NodeException {
    long position = log(origin).store().journal().sealedSequence();
    long nowMs = origin.core().clock().epochMs();
    if (moment.batch() != Long.MAX_VALUE && moment.batch() > position) {
      throw new NodeException(
          NodeException.Reason.INVALID,
          "position " + moment.batch() + " is beyond the end of the log, which is " + position);
    }
    if (moment.epochMs() != Long.MAX_VALUE && moment.epochMs() > nowMs) {
      throw new NodeException(
          NodeException.Reason.INVALID,
          Instant.ofEpochMilli(moment.epochMs())
              + " has not come yet: here it is "
              + Instant.ofEpochMilli(nowMs));
    }
  }

  private void enter(
      CompletableFuture<LogVolume> result,
      Catalogue.Entry entry,
      LogVolume source,
      HistoryRestore.Result restored) {
    if (restored.volume() == null) {
      result.completeExceptionally(
          new NodeException(
              NodeException.Reason.INVALID,
              "can't restore volume " + source.name() + ": " + restored.problem()));
    } else {
      enter(result, entry.with(source.settings().ofCopy()), restored.volume(), Status.OK);
    }
  }

  /** Finds what a volume begins as, or null for an empty one; on the core of its log. */
  private interface Source {
    IndexedVolume find() throws NodeException;
  }

  /**
   * Lets a volume begin to exist: first in its own log, and when that is durable, in the catalogue.
   */
  private void begin(
      CompletableFuture<LogVolume> result,
      int log,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      Supplier<VolumeSettings> volumeSettings,
      Source source) {
    Catalogue.Entry entry =
        new Catalogue.Entry(
            catalogue.takeGroup(), log, name, sizeBytes, flushPolicy, VolumeSettings.DEFAULT);
    VolumeStore store = logs.get(log).store();
    CompletableFuture<?> _ =
        result.whenComplete((volume, failure) -> onFirstCore(() -> pendingNames.remove(name)));
    boolean accepted =
        logs.get(log)
            .core()
            .execute(() -> {
              try {
                store.create(
                    entry.group(),
                    name,
                    sizeBytes,
                    flushPolicy,
                    source.find(),
                    (volume, status) ->
                        onFirstCore(
                            () -> enter(result, entry.with(volumeSettings.get()), volume, status)));
              } catch (NodeException e) {
                result.completeExceptionally(e);
              }
            });
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
  }

  private void enter(
      CompletableFuture<LogVolume> result, Catalogue.Entry entry, LogVolume volume, int status) {
    if (status != Status.OK) {
      result.completeExceptionally(NodeException.ofStatus(status));
      return;
    }
    propose(
        Catalogue.encodeCreate(entry),
        proposed -> {
          if (proposed != Status.OK) {
            result.completeExceptionally(NodeException.ofStatus(proposed));
            return;
          }
          volume.settings(entry.settings());
          include(volume);
          result.complete(volume);
        });
  }

  /**
   * Changes settings of a volume; any thread. They apply to clients that attach from then on.
   *
   * @return completes when the change is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> changeSettings(String name, SettingsChange change) {
    return onFirstCore(result -> {
      LogVolume volume = required(name);
      VolumeSettings before = volume.settings();
      VolumeSettings after = change.applyTo(before);
      requireRoom(before, after);
      reserve(name, result);
      if (settings.plantedBugs().contains(PlantedBug.SETTINGS_BEFORE_DURABLE)) {
        volume.settings(after);
        result.complete(null);
      }
      propose(
          Catalogue.encodeSet(volume.group().id(), after),
          status -> {
            if (status != Status.OK) {
              result.completeExceptionally(NodeException.ofStatus(status));
              return;
            }
            volume.settings(after);
            result.complete(null);
          });
    });
  }

  private void requireRoom(VolumeSettings before, VolumeSettings after) throws NodeException {
    int growth = after.encodedBytes() - before.encodedBytes();
    if (growth > 0 && catalogue.settingsBytes() + growth > Catalogue.MAXIMUM_SETTINGS_BYTES) {
      throw new NodeException(
          NodeException.Reason.NO_SPACE,
          "the settings of all volumes together would take more than "
              + Catalogue.MAXIMUM_SETTINGS_BYTES
              + " bytes");
    }
  }

  /**
   * Deletes a volume with its snapshots and disconnects its clients; any thread.
   *
   * @param force although it is in use or has snapshots
   * @return completes when the deletion is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> deleteVolume(String name, boolean force) {
    return onFirstCore(result -> {
      LogVolume volume = required(name);
      requireIdle(volume, "volume " + name, force);
      int snapshots = volume.visibleSnapshots().size();
      if (snapshots > 0 && !force) {
        throw new NodeException(
            NodeException.Reason.IN_USE,
            "volume " + name + " has " + snapshots + " snapshots; delete them or force it");
      }
      int group = volume.group().id();
      int log = catalogue.find(group).log();
      reserve(name, result);
      propose(
          Catalogue.encodeDelete(group),
          status -> {
            if (status != Status.OK) {
              result.completeExceptionally(NodeException.ofStatus(status));
              return;
            }
            unpublish(volume);
            boolean accepted =
                volume
                    .core()
                    .execute(() -> {
                      logs.get(log).store().remove(volume);
                      result.complete(null);
                    });
            if (!accepted) {
              result.completeExceptionally(NodeException.unavailable());
            }
          });
    });
  }

  /** Takes a snapshot of a volume; any thread. Completes when it is durable. */
  public CompletableFuture<Void> createSnapshot(String name, String snapshot) {
    return change(
        name,
        volume -> {
          if (volume.snapshot(snapshot) != null) {
            throw new NodeException(
                NodeException.Reason.EXISTS,
                "volume " + name + " has a snapshot " + snapshot + " already");
          }
        },
        (volume, allowed, done) -> store(volume).snapshot(volume, snapshot, allowed, done));
  }

  /** Deletes a snapshot; any thread. Completes when that is durable; its space comes back later. */
  public CompletableFuture<Void> deleteSnapshot(String name, String snapshot, boolean force) {
    return change(
        name,
        volume -> requireIdle(requireSnapshot(volume, snapshot), "snapshot " + snapshot, force),
        (volume, allowed, done) -> store(volume).deleteSnapshot(volume, snapshot, allowed, done));
  }

  /** Lets a volume be what it was at a snapshot; any thread. Clients are disconnected if forced. */
  public CompletableFuture<Void> rollback(String name, String snapshot, boolean force) {
    return change(
        name,
        volume -> {
          requireSnapshot(volume, snapshot);
          requireIdle(volume, "volume " + name, force);
        },
        (volume, allowed, done) -> store(volume).rollback(volume, snapshot, allowed, done));
  }

  /**
   * Changes the size of a volume; any thread. Clients see the new size when they attach again.
   *
   * @param force although mapped blocks are cut off
   */
  public CompletableFuture<Void> resizeVolume(String name, long sizeBytes, boolean force) {
    return resize(name, candidate -> true, sizeBytes, force);
  }

  @Override
  public void resize(Volume volume, long sizeBytes, Resized done) {
    CompletableFuture<?> _ =
        resize(volume.name(), volume::equals, sizeBytes, false)
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

  /** Changes the size of the volume of that name if it is the one that is meant. */
  private CompletableFuture<Void> resize(
      String name, Predicate<LogVolume> isMeant, long sizeBytes, boolean force) {
    return change(
        name,
        volume -> {
          if (!isMeant.test(volume)) {
            throw noSuchVolume(name);
          }
          // Else what is cut off of the last block would be there again after growing.
          if (sizeBytes < volume.sizeBytes() && sizeBytes % Volume.BLOCK_BYTES != 0) {
            throw new NodeException(
                NodeException.Reason.INVALID,
                "bad volume size "
                    + sizeBytes
                    + ": a volume shrinks to multiples of "
                    + Volume.BLOCK_BYTES
                    + " bytes only");
          }
          if (volume.isMappedBeyond(sizeBytes) && !force) {
            throw new NodeException(
                NodeException.Reason.IN_USE,
                "volume " + name + " has data beyond " + sizeBytes + " bytes; trim it or force it");
          }
        },
        (volume, allowed, done) -> store(volume).resize(volume, sizeBytes, allowed, done));
  }

  /**
   * Tells what has changed in a volume since a snapshot; any thread.
   *
   * @param to a later snapshot, or null for the volume as it is now
   * @param offset where to begin, at a multiple of a block
   * @param limit how many extents to tell at most
   */
  public CompletableFuture<VolumeDiff.Result> diff(
      String name, String from, String to, long offset, int limit) {
    LogVolume volume = name.isEmpty() ? null : findVolume(name);
    CompletableFuture<VolumeDiff.Result> result = new CompletableFuture<>();
    if (volume == null) {
      result.completeExceptionally(noSuchVolume(name));
      return result;
    }
    boolean accepted =
        volume
            .core()
            .execute(() -> {
              try {
                SnapshotVolume older = requireSnapshot(volume, from);
                IndexedVolume newer = to == null ? volume : requireSnapshot(volume, to);
                log(volume)
                    .run(
                        new VolumeDiff(
                            older, newer, offset, limit, found -> tell(result, volume, found)));
              } catch (NodeException e) {
                result.completeExceptionally(e);
              }
            });
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
  }

  private static void tell(
      CompletableFuture<VolumeDiff.Result> result, LogVolume volume, VolumeDiff.Result found) {
    if (found == null) {
      result.completeExceptionally(
          new NodeException(
              NodeException.Reason.NOT_FOUND,
              "volume " + volume.name() + ", or a snapshot, was deleted meanwhile"));
    } else {
      result.complete(found);
    }
  }

  /** Judges a change on the volume's core, each time when it could begin. */
  private interface Judgement {
    void check(LogVolume volume) throws NodeException;
  }

  /** Makes a change on the volume's core. */
  private interface Change {
    void make(LogVolume volume, BooleanSupplier allowed, IntConsumer done);
  }

  /** Changes a volume; one change of it at a time. */
  private CompletableFuture<Void> change(String name, Judgement judgement, Change change) {
    return onFirstCore(result -> {
      LogVolume volume = required(name);
      reserve(name, result);
      boolean accepted =
          volume
              .core()
              .execute(() ->
                  change.make(
                      volume,
                      () -> isAllowed(judgement, volume, result),
                      status -> {
                        if (status == Status.OK) {
                          result.complete(null);
                        } else {
                          result.completeExceptionally(NodeException.ofStatus(status));
                        }
                      }));
      if (!accepted) {
        result.completeExceptionally(NodeException.unavailable());
      }
    });
  }

  private static boolean isAllowed(
      Judgement judgement, LogVolume volume, CompletableFuture<Void> result) {
    try {
      judgement.check(volume);
      return true;
    } catch (NodeException e) {
      result.completeExceptionally(e);
      return false;
    }
  }

  private VolumeStore store(LogVolume volume) {
    return log(volume).store();
  }

  private NodeLog log(IndexedVolume volume) {
    for (NodeLog log : logs) {
      if (volume.isIn(log.store())) {
        return log;
      }
    }
    throw new IllegalArgumentException("volume " + volume.name() + " is in no log of this node");
  }

  private LogVolume required(String name) throws NodeException {
    LogVolume volume = name.isEmpty() ? null : findVolume(name);
    if (volume == null) {
      throw noSuchVolume(name);
    }
    return volume;
  }

  private static NodeException noSuchVolume(String name) {
    return new NodeException(NodeException.Reason.NOT_FOUND, "there is no volume " + name);
  }

  private static SnapshotVolume requireSnapshot(LogVolume volume, String snapshot)
      throws NodeException {
    SnapshotVolume found = volume.snapshot(snapshot);
    if (found == null) {
      throw new NodeException(
          NodeException.Reason.NOT_FOUND,
          "volume " + volume.name() + " has no snapshot " + snapshot);
    }
    return found;
  }

  private static void requireIdle(IndexedVolume volume, String what, boolean force)
      throws NodeException {
    if (volume.attachmentCount() > 0 && !force) {
      throw new NodeException(
          NodeException.Reason.IN_USE,
          what
              + " is in use by "
              + volume.attachmentCount()
              + " connections; disconnect them or force it");
    }
  }

  private void reserveNew(String name) throws NodeException {
    if (findVolume(name) != null || !pendingNames.add(name)) {
      throw new NodeException(NodeException.Reason.EXISTS, "volume " + name + " exists already");
    }
  }

  /** One change of a volume at a time; the name is free again when the result is there. */
  private void reserve(String name, CompletableFuture<?> result) throws NodeException {
    if (!pendingNames.add(name)) {
      throw new NodeException(
          NodeException.Reason.IN_USE, "volume " + name + " is being changed already");
    }
    CompletableFuture<?> _ =
        result.whenComplete((done, failure) -> onFirstCore(() -> pendingNames.remove(name)));
  }

  /** Runs a task on log 0's core, at once when we are there. */
  private void onFirstCore(Runnable task) {
    Core core = logs.get(0).core();
    if (core.inCore()) {
      task.run();
    } else if (!core.execute(task)) {
      throw new IllegalStateException("core " + core.id() + " takes no more work");
    }
  }

  /** Returns how many bytes of a volume or snapshot are mapped; any thread. */
  public CompletableFuture<Long> mappedBytes(IndexedVolume volume) {
    CompletableFuture<Long> result = new CompletableFuture<>();
    if (!volume.core().execute(() -> result.complete(volume.mappedBytes()))) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
  }

  /** Tells how much space only a volume or snapshot takes; any thread. */
  public CompletableFuture<VolumeSpace.Space> space(IndexedVolume volume) {
    CompletableFuture<VolumeSpace.Space> result = new CompletableFuture<>();
    boolean accepted =
        volume
            .core()
            .execute(() ->
                log(volume)
                    .run(
                        new VolumeSpace(
                            volume,
                            found -> {
                              if (found == null) {
                                result.completeExceptionally(NodeException.ofStatus(Status.ENOENT));
                              } else {
                                result.complete(found);
                              }
                            })));
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
  }

  /** Returns the scrubs of all logs. */
  public NodeScrub scrub() {
    return scrub;
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
    for (NodeLog log : logs) {
      log.free();
    }
  }

  private void include(LogVolume volume) {
    List<LogVolume> changed = new ArrayList<>(volumes);
    changed.add(volume);
    changed.sort(Comparator.comparing(LogVolume::name));
    volumes = List.copyOf(changed);
  }

  private void unpublish(LogVolume volume) {
    List<LogVolume> changed = new ArrayList<>(volumes);
    changed.remove(volume);
    volumes = List.copyOf(changed);
  }

  private int leastUsedLog() {
    int best = 0;
    long bestCount = Long.MAX_VALUE;
    for (int i = 0; i < logs.size(); i++) {
      int log = i;
      long count = catalogue.entries().stream().filter(entry -> entry.log() == log).count();
      if (count < bestCount) {
        best = i;
        bestCount = count;
      }
    }
    return best;
  }

  /** Appends a command to log 0 and applies it when it is durable. */
  private void propose(byte[] command, Consumer<Integer> done) {
    Journal journal = logs.get(0).store().journal();
    // A short one fits what is always left to commands, so that deletions work in a full log.
    boolean hasRoom =
        command.length <= Volume.BLOCK_BYTES
            || journal.reserve(RecordHeader.encodedBytes(RecordHeader.COMMAND, command.length), 0);
    if (!hasRoom || !journal.begin(RecordHeader.COMMAND, 0, catalogueGroup, 0, command.length)) {
      if (journal.refusal() == Status.EAGAIN) {
        logs.get(0).store().awaitReady(() -> propose(command, done));
      } else {
        done.accept(journal.refusal());
      }
      return;
    }
    journal.command(command);
    undurableCommands++;
    logs.get(0)
        .store()
        .whenDurable(status -> {
          undurableCommands--;
          if (status != Status.OK) {
            done.accept(status);
            return;
          }
          catalogueGroup.appended(catalogueGroup.lastIndex());
          catalogue.apply(command);
          done.accept(Status.OK);
        });
  }

  /** What is done for a caller on log 0's core. */
  private interface CoreWork<T> {
    void run(CompletableFuture<T> result) throws NodeException;
  }

  private <T> CompletableFuture<T> onFirstCore(CoreWork<T> work) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Core core = logs.get(0).core();
    boolean accepted =
        core.execute(() -> {
          try {
            work.run(result);
          } catch (NodeException e) {
            result.completeExceptionally(e);
          }
        });
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
  }
}
