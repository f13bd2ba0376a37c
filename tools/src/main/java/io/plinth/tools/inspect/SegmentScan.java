package io.plinth.tools.inspect;

import io.plinth.engine.api.LogStorage;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.log.recovery.LogReader;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;

/**
 * Follows the chain of batches within one segment, from its header as far as it goes, and counts
 * what it passes. Reads headers only.
 */
final class SegmentScan {
  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  private final LogStorage storage;
  private final LogReader reader;
  private final long logId;
  private final SegmentHeader segment = new SegmentHeader();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();
  private final CRC32C crc = new CRC32C();
  private final Map<String, long[]> records = new TreeMap<>();

  private int slot;
  private int sharedStart;
  private int position;
  private long sequence;
  private int chain;

  /**
   * What one segment holds.
   *
   * @param sequence its place in the order of segments; zero when its header is not there
   * @param usedBytes where the chain ends
   * @param chainEnd where the next batch would have its header
   * @param firstBatch sequence of the first batch; zero when there is none
   * @param lastBatch sequence of the last batch
   */
  record Found(
      long sequence,
      int usedBytes,
      int chainEnd,
      long batches,
      long records,
      long firstBatch,
      long lastBatch) {
    static final Found NONE = new Found(0, 0, 0, 0, 0, 0, 0);
  }

  SegmentScan(LogStorage storage, LogReader reader, long logId) {
    this.storage = storage;
    this.reader = reader;
    this.logId = logId;
  }

  /** Returns how many records of each type there are in all segments, and how many blocks. */
  Map<String, long[]> records() {
    return records;
  }

  Found scan(int scannedSlot) {
    slot = scannedSlot;
    long address = reader.at(slot, 0, BLOCK);
    if (address == 0) {
      return Found.NONE;
    }
    segment.wrap(address);
    boolean isOurs =
        segment.isSegment()
            && segment.logId() == logId
            && segment.slot() == slot
            && segment.segmentBytes() == storage.segmentBytes()
            && segment.crc() == reader.region().crc32c(crc, address, SegmentHeader.CRC_OFFSET);
    if (!isOurs) {
      return Found.NONE;
    }
    final long segmentSequence = segment.segmentSequence();
    final long firstBatch = segment.firstBatchSequence();
    sequence = firstBatch;
    chain = segment.previousCrc();
    sharedStart = 0;
    position = BLOCK;
    long batches = 0;
    long count = 0;
    while (isBatch()) {
      countRecords();
      batches++;
      count += batch.recordCount();
      chain = batch.headerCrc();
      sequence++;
      sharedStart = batch.sharedStart();
      position = batch.endOffset();
    }
    return new Found(
        segmentSequence,
        position,
        isSharedTailUsed() ? sharedStart : position,
        batches,
        count,
        batches == 0 ? 0 : firstBatch,
        batches == 0 ? 0 : sequence - 1);
  }

  /** Returns whether the batch that continues the chain is at the cursor. */
  private boolean isBatch() {
    return (sharedStart > 0 && isBatchAt(sharedStart)) || isBatchAt(position);
  }

  private boolean isBatchAt(int at) {
    if (at + BatchHeader.BYTES > storage.segmentBytes()) {
      return false;
    }
    long address = reader.at(slot, at, BatchHeader.BYTES);
    if (address == 0) {
      return false;
    }
    batch.wrap(address, BatchHeader.BYTES);
    boolean canBe =
        batch.isPossible(at, storage.segmentBytes())
            && batch.logId() == logId
            && batch.sequence() == sequence
            && batch.previousCrc() == chain;
    if (!canBe) {
      return false;
    }
    int headerBytes = batch.headerBytes();
    address = reader.at(slot, at, headerBytes);
    if (address == 0) {
      return false;
    }
    batch.wrap(address, headerBytes);
    return batch.headerCrc() == batch.checksum(reader.region(), crc, address);
  }

  /** Returns whether something follows the last header in its block. */
  private boolean isSharedTailUsed() {
    if (sharedStart == 0) {
      return false;
    }
    long address = reader.at(slot, sharedStart, Long.BYTES);
    return address != 0 && UnsafeApi.getLong(address) != 0;
  }

  private void countRecords() {
    long address = reader.at(slot, batch.headerStart(), batch.headerBytes());
    int at = BatchHeader.BYTES;
    for (int i = 0; i < batch.recordCount(); i++) {
      record.wrap(address + at, batch.headerBytes() - at);
      if (!record.isPossible(batch.headerBytes() - at, batch.payloadBlocks())) {
        // Recovery says so where it matters; what follows can't be told apart.
        count("unknown", 0);
        return;
      }
      count(type(), record.type() == RecordHeader.COMMAND ? 0 : record.blockCount());
      at += RecordHeader.encodedBytes(record.type(), record.blockCount());
    }
  }

  private void count(String type, int blocks) {
    long[] counts = records.computeIfAbsent(type, key -> new long[2]);
    counts[0]++;
    counts[1] += blocks;
  }

  private String type() {
    return switch (record.type()) {
      case RecordHeader.WRITE -> "write";
      case RecordHeader.UNMAP -> "unmap";
      case RecordHeader.COMMAND -> "command";
      case RecordHeader.RELOCATE -> "relocate";
      case RecordHeader.MAP -> "map";
      case RecordHeader.MARKER -> "marker";
      case RecordHeader.STATE -> "state";
      case RecordHeader.JOIN -> "join";
      case RecordHeader.META ->
          switch (record.flags()) {
            case RecordHeader.PAGES -> "meta pages";
            case RecordHeader.TABLE -> "meta table";
            case RecordHeader.ROOT -> "meta root";
            default -> String.format(Locale.ROOT, "meta %d", record.flags());
          };
      default -> "unknown";
    };
  }
}
