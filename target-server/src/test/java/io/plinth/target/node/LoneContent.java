package io.plinth.target.node;

import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.replication.Replicator;

/** Of a new log, in which all volumes are of this node alone. */
final class LoneContent implements NodeLog.LogContent {
  @Override
  public void onCheckpoint(byte[] extension) {}

  @Override
  public void onBatch(BatchHeader batch, long segmentSequence) {}

  @Override
  public void onPosition(long position) {}

  @Override
  public void onRecord(RecordHeader record, long payloadPlace) {}

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
