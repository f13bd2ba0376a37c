package io.plinth.log.recovery;

import io.plinth.log.format.RecordHeader;

/** Sees every record of a log in the order in which it was written. */
@FunctionalInterface
public interface RecoveryVisitor {
  /**
   * One record.
   *
   * @param record valid during the call only
   * @param payloadPlace for a WRITE the place of its first payload block in the log, in blocks
   * @throws RecoveryException when the record makes no sense
   */
  void onRecord(RecordHeader record, long payloadPlace) throws RecoveryException;
}
