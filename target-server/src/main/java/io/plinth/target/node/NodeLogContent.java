package io.plinth.target.node;

import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.GroupRecovery;
import io.plinth.log.replication.Replicator;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.VolumeStore;

/** Tells the records of a log apart: the catalogue's in log 0, and those of volumes. */
final class NodeLogContent implements NodeLog.LogContent {
  private final int number;
  private final NodeLogs logs;
  private final NodeCatalogue catalogue;
  private final NodeVolumes volumes;
  private final NodeMembership membership;
  private final ClusterBugs bugs;

  NodeLogContent(
      int number,
      NodeLogs logs,
      NodeCatalogue catalogue,
      NodeVolumes volumes,
      NodeMembership membership,
      ClusterBugs bugs) {
    this.number = number;
    this.logs = logs;
    this.catalogue = catalogue;
    this.volumes = volumes;
    this.membership = membership;
    this.bugs = bugs;
  }

  private boolean hasCatalogue() {
    return number == 0;
  }

  @Override
  public void onCheckpoint(byte[] extension) throws RecoveryException {
    if (hasCatalogue() && extension.length > 0) {
      catalogue.restore(extension);
    }
  }

  @Override
  public boolean isSettled() {
    return !hasCatalogue() || catalogue.isSettled();
  }

  @Override
  public byte[] extension() {
    return hasCatalogue() ? catalogue.encode() : new byte[0];
  }

  @Override
  public int settingsBytes() {
    return hasCatalogue() ? catalogue.settingsBytes() : 0;
  }

  @Override
  public void onBatch(BatchHeader batch, long segmentSequence) {
    logs.get(number).store().recoverBatch(batch, segmentSequence);
  }

  @Override
  public void onPosition(long position) {
    logs.get(number).store().recoveredGroups().onPosition(position);
  }

  @Override
  public void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException {
    VolumeStore store = logs.get(number).store();
    store.recoveredGroups().onRecord(record, payloadPlace);
    boolean isLocal = record.type() == RecordHeader.META || record.type() == RecordHeader.RELOCATE;
    if (isLocal || record.group() != Catalogue.GROUP) {
      store.recover(record, payloadPlace);
    } else if (!store.isBeforeCut() && store.recoveredGroups().group(Catalogue.GROUP).isAlone()) {
      // In a cluster it is applied when it is known to be committed.
      catalogue.recover(record);
    }
  }

  @Override
  public void onOpened(Replicator replicator, boolean clean) {
    if (hasCatalogue()) {
      GroupRecovery groups = logs.get(number).store().recoveredGroups();
      if (membership.isNew() && !groups.has(Catalogue.GROUP)) {
        boolean recovering = !bugs.has(CatalogueBug.NEW_NODE_COUNTS);
        groups.begin(Catalogue.GROUP, membership.cluster().first(), recovering);
      }
      catalogue.start(replicator, groups.group(Catalogue.GROUP), clean);
    }
  }

  /**
   * Volumes exist for clients when the catalogue says so: what had begun to exist without getting
   * there, or was deleted there and not yet here, goes. In a cluster what the catalogue says may
   * still have to be applied: what it does not know yet stays, and is shown when it does.
   */
  @Override
  public void onRecovered() throws RecoveryException {
    VolumeStore store = logs.get(number).store();
    for (LogVolume volume : store.volumes()) {
      Catalogue.Entry entry = catalogue.find(volume.group().id());
      boolean isKnown = entry != null && entry.log() == number;
      boolean mayCome =
          !catalogue.isBefore(volume.group().id())
              && !bugs.has(CatalogueBug.UNKNOWN_REPLICA_DROPPED);
      if (!isKnown && !membership.isAlone() && mayCome) {
        continue;
      }
      if (!isKnown) {
        store.remove(volume);
      } else {
        volume.settings(entry.settings());
        if (membership.isAlone()) {
          volumes.include(ShownVolume.of(entry, volume));
        }
      }
    }
    for (Catalogue.Entry entry : catalogue.entries()) {
      boolean isMissing = entry.log() == number && store.volume(entry.group()) == null;
      if (isMissing && membership.isAlone()) {
        throw new RecoveryException(
            "log-" + number + ": volume " + entry.name() + " is in the catalogue, but not here");
      }
    }
  }
}
