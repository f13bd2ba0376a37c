package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.RandomSource;
import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.ReplicaGroup;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDirectory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The volumes of one data directory. The catalogue and its commands belong to log 0 and its core;
 * each volume to the log that the catalogue names.
 */
public final class StorageNode implements VolumeDirectory {
  private final NodeSettings settings;
  private final RandomSource random;
  private final List<NodeLog> logs = new ArrayList<>();

  // On log 0's core.
  private final Catalogue catalogue = new Catalogue();
  private final ReplicaGroup catalogueGroup = new ReplicaGroup(Catalogue.GROUP);
  private final List<String> pendingNames = new ArrayList<>();

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
    for (LogResources log : resources) {
      logs.add(new NodeLog(log));
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
    if (number == 0) {
      return log.open(settings, random, null, this::recoverFirstLog);
    }
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (entry.log() == number) {
        addVolume(entry);
      }
    }
    return log.open(settings, random, logs.get(0).nodeId(), log.store()::recover);
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
    publish();
  }

  /** Returns what recovery found, a line for each log. */
  public List<String> recoverySummaries() {
    return logs.stream().map(NodeLog::summary).toList();
  }

  /** Returns the identity of the node, kept in its data directory. */
  public UUID nodeId() {
    return logs.get(0).nodeId();
  }

  /** Returns how often a log has been opened. */
  public long epoch(LogVolume volume) {
    for (NodeLog log : logs) {
      if (volume.isIn(log.store())) {
        return log.epoch();
      }
    }
    throw new IllegalArgumentException("volume " + volume.name() + " is in no log of this node");
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

  /** Returns the journal of a log, for statistics. */
  public Journal journal(int log) {
    return logs.get(log).store().journal();
  }

  @Override
  public Volume find(String name) {
    return findVolume(name);
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
   * @return the volume, once its creation is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<LogVolume> createVolume(
      String name, long sizeBytes, FlushPolicy flushPolicy) {
    return onFirstCore(result -> {
      if (findVolume(name) != null || pendingNames.contains(name)) {
        throw new NodeException(NodeException.Reason.EXISTS, "volume " + name + " exists already");
      }
      Catalogue.Entry entry =
          new Catalogue.Entry(catalogue.takeGroup(), leastUsedLog(), name, sizeBytes, flushPolicy);
      pendingNames.add(name);
      propose(
          Catalogue.encodeCreate(entry),
          status -> {
            pendingNames.remove(name);
            if (status != Status.OK) {
              result.completeExceptionally(NodeException.ofStatus(status));
              return;
            }
            onCore(
                entry.log(), result, () -> addVolume(entry), volume -> published(result, volume));
          });
    });
  }

  /**
   * Deletes a volume and disconnects its clients; any thread.
   *
   * @return completes when the deletion is durable; fails with a {@link NodeException}
   */
  public CompletableFuture<Void> deleteVolume(String name, boolean force) {
    return onFirstCore(result -> {
      LogVolume volume = name.isEmpty() ? null : findVolume(name);
      if (volume == null) {
        throw new NodeException(NodeException.Reason.NOT_FOUND, "there is no volume " + name);
      }
      if (volume.attachmentCount() > 0 && !force) {
        throw new NodeException(
            NodeException.Reason.IN_USE,
            "volume "
                + name
                + " is in use by "
                + volume.attachmentCount()
                + " connections; disconnect them or force it");
      }
      int group = volume.group().id();
      int log = catalogue.find(group).log();
      propose(
          Catalogue.encodeDelete(group),
          status -> {
            if (status != Status.OK) {
              result.completeExceptionally(NodeException.ofStatus(status));
              return;
            }
            unpublish(volume);
            onCore(
                log,
                result,
                () -> {
                  logs.get(log).store().remove(volume);
                  return null;
                },
                done -> result.complete(null));
          });
    });
  }

  /** Returns how many bytes of a volume are mapped; any thread. */
  public CompletableFuture<Long> mappedBytes(LogVolume volume) {
    CompletableFuture<Long> result = new CompletableFuture<>();
    if (!volume.core().execute(() -> result.complete(volume.mappedBytes()))) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
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

  private void recoverFirstLog(RecordHeader record, long payloadPlace) throws RecoveryException {
    if (record.group() != Catalogue.GROUP) {
      logs.get(0).store().recover(record, payloadPlace);
      return;
    }
    catalogueGroup.recovered(record.term(), record.index());
    Catalogue.Entry known = null;
    Catalogue.Entry entry;
    byte[] command = record.command();
    try {
      entry = catalogue.apply(command);
      known = entry == null ? null : catalogue.find(entry.group());
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
    if (entry == null) {
      return;
    }
    if (known != null && entry.log() == 0) {
      addVolume(entry);
    } else if (known == null) {
      removeRecovered(entry);
    }
  }

  private void removeRecovered(Catalogue.Entry entry) {
    volumes.stream()
        .filter(volume -> volume.group().id() == entry.group())
        .findFirst()
        .ifPresent(volume -> {
          unpublish(volume);
          logs.get(entry.log()).store().remove(volume);
        });
  }

  private LogVolume addVolume(Catalogue.Entry entry) {
    LogVolume volume =
        logs.get(entry.log())
            .store()
            .add(entry.group(), entry.name(), entry.sizeBytes(), entry.flushPolicy());
    if (logs.get(entry.log()).store().journal() == null) {
      // During recovery cores open their logs one after the other, so this is the only writer.
      include(volume);
    }
    return volume;
  }

  private void published(CompletableFuture<LogVolume> result, LogVolume volume) {
    if (!logs.get(0)
        .core()
        .execute(() -> {
          include(volume);
          result.complete(volume);
        })) {
      result.completeExceptionally(NodeException.unavailable());
    }
  }

  private void include(LogVolume volume) {
    List<LogVolume> changed = new ArrayList<>(volumes);
    changed.add(volume);
    changed.sort(Comparator.comparing(LogVolume::name));
    volumes = List.copyOf(changed);
  }

  private void publish() {
    volumes = List.copyOf(volumes);
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
    if (!journal.begin(RecordHeader.COMMAND, 0, catalogueGroup, 0, command.length)) {
      if (journal.refusal() == Status.EAGAIN) {
        logs.get(0).store().awaitReady(() -> propose(command, done));
      } else {
        done.accept(journal.refusal());
      }
      return;
    }
    journal.command(command);
    logs.get(0)
        .store()
        .whenDurable(status -> {
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

  private <T, R> void onCore(
      int log, CompletableFuture<R> result, Supplier<T> work, Consumer<T> then) {
    if (!logs.get(log).core().execute(() -> then.accept(work.get()))) {
      result.completeExceptionally(NodeException.unavailable());
    }
  }
}
