package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.RandomSource;
import io.plinth.engine.api.Status;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.recovery.LogRecovery;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.recovery.RecoveryVisitor;
import io.plinth.log.recovery.SuperblockStore;
import io.plinth.target.volume.VolumeStore;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * One log of a node from opening to closing: superblock, recovery, journal and the volumes on it.
 * On the log's core.
 */
final class NodeLog implements CycleTask {
  private final LogResources resources;
  private final VolumeStore store;
  private final SuperblockStore superblocks;
  private final CompletableFuture<Void> opened = new CompletableFuture<>();
  private Superblock.Values superblock;
  private Journal journal;
  private String summary = "";
  private boolean superblockWritten;
  private boolean isNew;

  NodeLog(LogResources resources) {
    this.resources = resources;
    this.store = new VolumeStore(resources.core());
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

  UUID nodeId() {
    return superblock.nodeId();
  }

  /**
   * Recovers the log and opens it.
   *
   * @return completes on this core when records can be appended
   */
  CompletableFuture<Void> open(
      NodeSettings settings, RandomSource random, UUID nodeId, RecoveryVisitor visitor)
      throws RecoveryException {
    LogStorage storage = resources.storage();
    Superblock.Values found = superblocks.read(resources.name());
    isNew = found == null;
    if (isNew) {
      UUID id = nodeId == null ? new UUID(random.nextLong(), random.nextLong()) : nodeId;
      found =
          new Superblock.Values(
              storage.segmentBytes(),
              0,
              random.nextLong(),
              id,
              settings.bootId(),
              0,
              0,
              LogFormat.FIRST_SEQUENCE,
              LogFormat.CHAIN_START,
              true);
    }
    RecoveredLog recovered =
        LogRecovery.recover(resources.name(), storage, found, settings.bootId(), visitor);
    boolean clean = found.clean() && recovered.nextSequence() - 1 == found.durableSequence();
    summary = isNew ? resources.name() + ": new" : describe(found, recovered, settings);
    journal =
        new Journal(
            resources.name(),
            resources.core(),
            storage,
            found.logId(),
            recovered,
            clean,
            settings.residentBytesPerLog(),
            store);
    superblock = next(found, settings.bootId(), recovered.durableSequence(), false);
    writeSuperblock();
    store.start(journal);
    // The journal seals before the store looks for work; both before replies are sent.
    resources.core().addCycleTask(journal);
    resources.core().addCycleTask(store);
    resources.core().addCycleTask(this);
    return opened;
  }

  /** Stops appending, makes everything durable and notes that the log ends in order. */
  CompletableFuture<Void> close() {
    CompletableFuture<Void> closed = new CompletableFuture<>();
    if (journal == null) {
      closed.complete(null);
      return closed;
    }
    journal.stop();
    if (journal.failure() != Status.OK) {
      closed.completeExceptionally(
          new IllegalStateException(resources.name() + " has failed before"));
      return closed;
    }
    store.whenDurable(status -> {
      if (status != Status.OK) {
        closed.completeExceptionally(
            new IllegalStateException(resources.name() + ": " + Status.name(status)));
        return;
      }
      superblock = next(superblock, superblock.bootId(), journal.sealedSequence(), true);
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
    return closed;
  }

  /** Frees memory; nothing may be in flight on the core. */
  void free() {
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
              }
              superblockWritten = true;
            },
            0);
    if (!accepted) {
      throw new IllegalStateException("no slot on the ring for the superblock");
    }
  }

  private static Superblock.Values next(
      Superblock.Values values, UUID bootId, long durableSequence, boolean clean) {
    return new Superblock.Values(
        values.segmentBytes(),
        values.generation() + 1,
        values.logId(),
        values.nodeId(),
        bootId,
        clean ? values.starts() : values.starts() + 1,
        durableSequence,
        values.firstSequence(),
        values.firstPreviousCrc(),
        clean);
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
        recovered.segments().size(),
        recovered.batches(),
        recovered.records(),
        tail,
        rot);
  }
}
