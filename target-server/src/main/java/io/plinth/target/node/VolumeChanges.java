package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.SettingsChange;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeGroup;
import io.plinth.target.volume.VolumeSettings;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Changes of volumes that are there: settings and deletion, which the catalogue records, and
 * snapshots, rollbacks and sizes, which the volume's own log does. One change of a volume at a
 * time.
 */
final class VolumeChanges {
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeReplicas replicas;
  private final VolumeUse use;
  private final boolean answersSettingsEarly;
  private final boolean answersMovesEarly;

  /** Judges a change on the volume's core, each time when it could begin. */
  private interface Judgement {
    void check(LogVolume volume) throws NodeException;
  }

  /** Makes a change on the volume's core. */
  private interface Change {
    void make(LogVolume volume, BooleanSupplier allowed, IntConsumer done);
  }

  /**
   * Creates this part of a node.
   *
   * @param answersSettingsEarly a planted bug; false except in tests
   * @param bugs none except in tests
   */
  VolumeChanges(
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeVolumes volumes,
      NodeReplicas replicas,
      VolumeUse use,
      boolean answersSettingsEarly,
      ClusterBugs bugs) {
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.replicas = replicas;
    this.use = use;
    this.answersSettingsEarly = answersSettingsEarly;
    this.answersMovesEarly = bugs.has(CatalogueBug.LEAD_MOVE_ANSWERED_EARLY);
  }

  CompletableFuture<Void> settings(String name, SettingsChange change) {
    return catalogue.onCore(result -> {
      catalogue.requireLead();
      ShownVolume volume = volumes.requireShown(name);
      catalogue.reserveForChange(name, result);
      VolumeSettings before = volume.entry().settings();
      VolumeSettings after = change.applyTo(before);
      catalogue.room(result).require(before, after);
      if (answersSettingsEarly) {
        volume.local().settings(after);
        result.complete(null);
      }
      catalogue.propose(
          Catalogue.encodeSet(volume.entry().group(), after),
          status -> {
            if (status != Status.OK) {
              result.completeExceptionally(NodeException.ofStatus(status));
              return;
            }
            result.complete(null);
          });
    });
  }

  CompletableFuture<Void> delete(String name, boolean force) {
    return catalogue.onCore(result -> {
      catalogue.requireLead();
      ShownVolume volume = volumes.requireShown(name);
      Catalogue.Entry entry = volume.entry();
      catalogue.reserveForChange(name, result);
      if (force) {
        delete(entry, result);
        return;
      }
      if (volume.facade() == null) {
        requireIdle(volume.attachmentCount(), "volume " + name, false);
        int snapshots = volume.local().visibleSnapshots().size();
        if (snapshots > 0) {
          throw new NodeException(
              NodeException.Reason.IN_USE,
              "volume " + name + " has " + snapshots + " snapshots; delete them or force it");
        }
        delete(entry, result);
        return;
      }
      CompletableFuture<?> _ =
          use.requireNone(entry)
              .whenComplete((none, failure) -> {
                if (failure == null) {
                  delete(entry, result);
                } else {
                  boolean _ = result.completeExceptionally(failure);
                }
              });
    });
  }

  private void delete(Catalogue.Entry entry, CompletableFuture<Void> result) {
    catalogue.propose(
        Catalogue.encodeDelete(entry.group()),
        status -> {
          if (status != Status.OK) {
            result.completeExceptionally(NodeException.ofStatus(status));
            return;
          }
          CompletableFuture<?> _ =
              replicas
                  .departure(entry.group())
                  .thenAccept(gone -> {
                    boolean _ = result.complete(null);
                  });
        });
  }

  CompletableFuture<Void> createSnapshot(String name, String snapshot) {
    return change(
        name,
        volume -> {
          if (volume.snapshot(snapshot) != null) {
            throw new NodeException(
                NodeException.Reason.EXISTS,
                "volume " + name + " has a snapshot " + snapshot + " already");
          }
          NodeVolumes.requireTree(logs.storeOf(volume));
        },
        (volume, allowed, done) -> logs.storeOf(volume).snapshot(volume, snapshot, allowed, done));
  }

  CompletableFuture<Void> deleteSnapshot(String name, String snapshot, boolean force) {
    return change(
        name,
        volume ->
            requireIdle(
                NodeVolumes.requireSnapshot(volume, snapshot).attachmentCount(),
                "snapshot " + snapshot,
                force),
        (volume, allowed, done) ->
            logs.storeOf(volume).deleteSnapshot(volume, snapshot, allowed, done));
  }

  CompletableFuture<Void> rollback(String name, String snapshot, boolean force) {
    return change(
        name,
        volume -> {
          NodeVolumes.requireSnapshot(volume, snapshot);
          requireIdle(volume.attachmentCount(), "volume " + name, force);
        },
        (volume, allowed, done) -> logs.storeOf(volume).rollback(volume, snapshot, allowed, done));
  }

  /** Hands the lead of a volume to another node that has a replica of it. */
  CompletableFuture<Void> moveLead(String name, int node) {
    return catalogue.onCore(result -> {
      LogVolume volume = volumes.require(name);
      boolean accepted = volume.core().execute(() -> moveLead(volume, node, result));
      if (!accepted) {
        result.completeExceptionally(NodeException.unavailable());
      }
    });
  }

  private void moveLead(LogVolume volume, int node, CompletableFuture<Void> result) {
    VolumeGroup.Standing standing = volume.group().standing();
    if (IntStream.of(standing.members()).noneMatch(member -> member == node)) {
      result.completeExceptionally(
          new NodeException(
              NodeException.Reason.INVALID,
              "node " + node + " has no replica of volume " + volume.name()));
    } else if (!volume.group().leads()) {
      result.completeExceptionally(
          NodeException.elsewhere("volume " + volume.name(), standing.leader()));
    } else {
      volume.core().addCycleTask(new LeadMove(volume, node, result));
      if (answersMovesEarly) {
        result.complete(null);
      }
    }
  }

  /** Changes the size of the volume of that name if it is the one that is meant. */
  CompletableFuture<Void> resize(
      String name, Predicate<LogVolume> isMeant, long sizeBytes, boolean force) {
    return change(
        name,
        volume -> {
          if (!isMeant.test(volume)) {
            throw NodeVolumes.noSuchVolume(name);
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
        (volume, allowed, done) -> logs.storeOf(volume).resize(volume, sizeBytes, allowed, done));
  }

  private CompletableFuture<Void> change(String name, Judgement judgement, Change change) {
    return catalogue.onCore(result -> {
      LogVolume volume = volumes.require(name);
      catalogue.reserveForChange(name, result);
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
                        } else if (status == Status.EREMOTE) {
                          // Nothing has happened here.
                          result.completeExceptionally(
                              NodeException.elsewhere("volume " + name, volume.group().leader()));
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

  private static void requireIdle(int attachments, String what, boolean force)
      throws NodeException {
    if (attachments > 0 && !force) {
      throw new NodeException(
          NodeException.Reason.IN_USE,
          what + " is in use by " + attachments + " connections; disconnect them or force it");
    }
  }
}
