package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.log.segment.Segment;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;

/**
 * Reads a segment of the open log, from memory where it is pinned there, and goes through its
 * records. The segment is not freed before {@link #finish}. What is no batch with an intact header
 * is passed over.
 */
final class SegmentRecords implements Completion {
  private static final int BLOCK = Volume.BLOCK_BYTES;
  private static final long ANY = -1;

  /** Bytes of a segment read at a time. */
  private static final int READ_BYTES = 256 << 10;

  private static final long RELAX_NS = TimeUnit.SECONDS.toNanos(10);

  /** A call that gives back much takes milliseconds. */
  private static final long RELAX_BYTES = 256 << 10;

  enum Step {
    /** There is a next record. */
    RECORD,
    /** There is none. */
    END,
    /** As much was looked at as was allowed. */
    LATER
  }

  private final VolumeStore store;
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();
  private NativeMemory copy;

  /**
   * Whether {@link #copy} holds memory, when it was used last, and up to where it was given back.
   */
  private boolean copied;

  private long usedNs;
  private long givenBack;
  private int slot = -1;
  private long sequence;
  private NativeMemory region;
  private long base;

  /** What is read from the disk; null when the segment is in memory. */
  private LogFile ofDisk;

  private boolean reading;
  private int readBytes;

  /** Up to here blocks are read one by one, because one of them can't be read. */
  private int singlyUntil;

  /** Up to here the segment was written; what is behind may have no space on the disk. */
  private int end;

  /** Where the next header is looked for. */
  private int position;

  /** Up to here the payload of batches was met. */
  private int payloadEnd;

  /** The only batch to be taken next; {@link #ANY} when all are taken. */
  private long expected = ANY;

  // The batch before the position.
  private int headerEnd;
  private int recordsLeft;
  private int recordAt;
  private long payloadStart;

  SegmentRecords(VolumeStore store) {
    this.store = store;
  }

  /** Begins with a segment that is in use. */
  void begin(int segmentSlot) {
    slot = segmentSlot;
    Segment segment = store.journal().segment(slot);
    segment.pin();
    sequence = segment.sequence();
    end = segment.usedBytes() + BLOCK - 1 & -BLOCK;
    position = BLOCK;
    payloadEnd = BLOCK;
    recordsLeft = 0;
    singlyUntil = 0;
    expected = ANY;
    if (segment.isReadable() && segment.file().isPinned()) {
      region = segment.file().memory();
      readBytes = end;
    } else {
      if (copy == null) {
        copy = NativeMemory.reserve(store.blocksPerSegment() * BLOCK);
      }
      region = copy;
      copied = true;
      givenBack = 0;
      readBytes = 0;
      ofDisk = segment.file();
      ofDisk.beginDiskReads();
    }
    base = region.address();
  }

  /** Returns whether a segment is being gone through. */
  boolean isActive() {
    return slot >= 0;
  }

  /** Returns the slot of the segment, or -1. */
  int slot() {
    return slot;
  }

  /** Returns the place of the segment in the order of segments. */
  long sequence() {
    return sequence;
  }

  /** Returns whether all of the segment is there; when not, reads on. */
  boolean isLoaded() {
    if (readBytes < end && !reading && ofDisk.isReadyForDiskReads()) {
      int length = readBytes < singlyUntil ? BLOCK : Math.min(READ_BYTES, end - readBytes);
      long address = copy.address() + readBytes;
      // Past the page cache nobody copies; where there is no such thing, not this thread.
      reading =
          ofDisk.readsPastCache()
              ? ofDisk.readDisk(address, length, readBytes, this, length)
              : ofDisk.readAside(address, length, readBytes, this, length);
    }
    return readBytes >= end;
  }

  /** A part of the segment has been read; where that fails, its blocks are read one by one. */
  @Override
  public void onComplete(long length, int result) {
    reading = false;
    if (result != length && length > BLOCK) {
      singlyUntil = readBytes + (int) length;
      return;
    }
    if (result != length) {
      NativeMemory.zero(copy.address() + readBytes, length);
    }
    readBytes += (int) length;
  }

  /**
   * Takes only batches that follow each other, from the first one of the segment on, which is
   * loaded: what is left from an earlier use of the file is none of them.
   *
   * @return the sequence of the first batch
   */
  long followChain() {
    expected = new SegmentHeader().wrap(base).firstBatchSequence();
    return expected;
  }

  /** Returns the sequence of the batch that would be next. */
  long expected() {
    return expected;
  }

  /** Goes on to the next record, looking at so many blocks and records at most. */
  Step next(int limit) {
    for (int looked = 0; looked < limit; looked++) {
      if (recordsLeft > 0) {
        record.wrap(base + recordAt, headerEnd - recordAt);
        recordAt += RecordHeader.encodedBytes(record.type(), record.blockCount());
        recordsLeft--;
        return Step.RECORD;
      }
      if (position >= end) {
        return Step.END;
      }
      nextBatch();
    }
    return Step.LATER;
  }

  /** Looks for a batch in the block of the position, from there on; what is none is passed over. */
  private void nextBatch() {
    int block = position & -BLOCK;
    int found = BatchHeader.find(base + block, position - block);
    if (found < 0) {
      position = Math.max(payloadEnd, block + BLOCK);
      return;
    }
    position = block + found;
    batch.wrap(base + position, BatchHeader.BYTES);
    boolean valid =
        batch.isPossible(position, end)
            && (expected == ANY || batch.sequence() == expected)
            // Computed over a copy, because a segment in memory may not be written.
            && batch.headerCrc() == batch.checksum(region, crc, base + position);
    if (!valid) {
      position += BatchHeader.ALIGNMENT;
      return;
    }
    expected += expected == ANY ? 0 : 1;
    recordsLeft = batch.recordCount();
    recordAt = position + BatchHeader.BYTES;
    headerEnd = position + batch.headerBytes();
    payloadStart = base + (long) batch.payloadStart() * BLOCK;
    payloadEnd = Math.max(payloadEnd, batch.endOffset());
    int shared = batch.sharedStart();
    position = shared > 0 ? shared : payloadEnd;
  }

  /** Returns the batch of the record. */
  BatchHeader batch() {
    return batch;
  }

  /** Returns the record that {@link #next} has gone on to. */
  RecordHeader record() {
    return record;
  }

  /** Returns the region that the segment is in. */
  NativeMemory region() {
    return region;
  }

  /** Returns where block {@code i} of the record's payload is in memory. */
  long payloadAddress(int i) {
    return payloadStart + (record.payloadBlock() + (long) i) * BLOCK;
  }

  /** Returns where block {@code i} of the record's payload is in the log. */
  long payloadPlace(int i) {
    return slot * store.blocksPerSegment() + (payloadAddress(i) - base) / BLOCK;
  }

  /** Returns whether block {@code i} of the record's payload matches its checksum. */
  boolean isGood(int i) {
    return region.crc32c(crc, payloadAddress(i), BLOCK) == record.checksum(i);
  }

  /** Lets the segment go; nothing may be being read. */
  void finish() {
    store.journal().segment(slot).unpin();
    if (ofDisk != null) {
      ofDisk.endDiskReads();
      ofDisk = null;
    }
    usedNs = store.core().clock().nowNs();
    slot = -1;
  }

  /**
   * Gives memory back, a bit at a time, that the next segment would need again; when there was none
   * for a while.
   */
  void relax() {
    if (copied && store.core().clock().nowNs() - usedNs > RELAX_NS) {
      long length = Math.min(RELAX_BYTES, copy.sizeBytes() - givenBack);
      boolean _ = copy.discard(givenBack, length);
      givenBack += length;
      copied = givenBack < copy.sizeBytes();
    }
  }

  void close() {
    if (copy != null) {
      copy.close();
    }
  }
}
