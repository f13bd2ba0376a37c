package io.plinth.log.recovery;

import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;

/** Sees every record of a log in the order in which it was written. */
@FunctionalInterface
public interface RecoveryVisitor {
  /**
   * A batch, whose records follow.
   *
   * @param batch valid during the call only
   * @param segmentSequence the place of its segment in the order of segments
   */
  default void onBatch(BatchHeader batch, long segmentSequence) {}

  /**
   * Where the record is that {@link #onRecord} is called for next.
   *
   * @param position of its header in the log, in bytes
   */
  default void onPosition(long position) {}

  /**
   * One record.
   *
   * @param record valid during the call only
   * @param payloadPlace for a WRITE the place of its first payload block in the log, in blocks
   * @throws RecoveryException when the record makes no sense
   */
  void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException;
}
