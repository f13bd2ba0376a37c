package io.plinth.log.journal;

/** What a journal has done, counted on its core; others may read it approximately. */
public final class JournalCounters {
  long batches;
  long records;
  long payloadBlocks;
  long headerBlocks;
  long syncs;
  long segmentsUsed;
  long segmentsFreed;
  long dataRecords;
  long dataBlocks;
  long populationWaits;
  long segmentWaits;

  JournalCounters() {}

  /** Returns how many batches were sealed. */
  public long batches() {
    return batches;
  }

  /** Returns how many records they held. */
  public long records() {
    return records;
  }

  /** Returns how many blocks of payload were appended. */
  public long payloadBlocks() {
    return payloadBlocks;
  }

  /** Returns how many blocks of headers were appended. */
  public long headerBlocks() {
    return headerBlocks;
  }

  /** Returns how many syncs were started. */
  public long syncs() {
    return syncs;
  }

  /** Returns how many segments were begun. */
  public long segmentsUsed() {
    return segmentsUsed;
  }

  /** Returns how many blocks of clients' data were appended. */
  public long dataBlocks() {
    return dataBlocks;
  }

  /** Returns how many records of clients' data were begun. */
  public long dataRecords() {
    return dataRecords;
  }

  /** Returns how many segments were freed. */
  public long segmentsFreed() {
    return segmentsFreed;
  }

  /** Returns how often a record had to wait because the helper had not populated far enough. */
  public long populationWaits() {
    return populationWaits;
  }

  /** Returns how often a record had to wait for the next segment. */
  public long segmentWaits() {
    return segmentWaits;
  }
}
