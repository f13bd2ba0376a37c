package io.plinth.tools.simulator.disk;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimDisk;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.tools.simulator.check.Pattern;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * What a log on a simulated disk consists of, read from outside of the node: where headers and
 * payload are, and what the log itself says is durable.
 *
 * <p>A segment is read as it is in memory, because the disk may still hold its earlier life: what
 * is there will be written over, and whether that changes a page can't be told.
 */
public final class LogImage {
  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  /**
   * A block of payload; {@code sequence} is that of its batch, {@code group} and {@code block} say
   * what it is of.
   */
  public record Payload(int slot, int offset, long sequence, int group, long block) {}

  /**
   * A header of a batch or of a segment; {@code sequence} is that of the batch or the first one.
   */
  public record Header(int slot, int offset, int bytes, long sequence) {}

  private final List<Payload> payloads = new ArrayList<>();
  private final List<Header> headers = new ArrayList<>();
  private final Map<Long, Payload> payloadByPlace = new HashMap<>();

  /** For each payload that was moved on, the batch which says so. */
  private final Map<Payload, Long> movedBy = new HashMap<>();

  private long knownDurable;

  // For the walk.
  private final SimDisk disk;
  private final boolean settled;
  private final int segmentBytes;
  private final NativeMemory memory;
  private final CRC32C crc = new CRC32C();
  private final SegmentHeader segment = new SegmentHeader();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();
  private long nextSequence;
  private int chain;

  private LogImage(SimDisk disk, boolean settled) {
    this.disk = disk;
    this.settled = settled;
    this.segmentBytes = disk.segmentBytes();
    this.memory = NativeMemory.reserve(segmentBytes);
    try {
      TreeMap<Long, Integer> slots = new TreeMap<>();
      for (int slot : disk.slots()) {
        if (loadSegmentHeader(slot)) {
          slots.put(segment.segmentSequence(), slot);
        }
      }
      slots.values().forEach(this::walk);
    } finally {
      memory.close();
    }
  }

  /** Reads as far as the disk holds the same as the page cache. */
  public static LogImage ofDisk(SimDisk disk) {
    return new LogImage(disk, true);
  }

  /** Reads what the page cache holds. */
  public static LogImage ofCache(SimDisk disk) {
    return new LogImage(disk, false);
  }

  /** Returns all payload blocks of volumes in the order of the log. */
  public List<Payload> payloads() {
    return payloads;
  }

  /** Returns all headers that are intact. */
  public List<Header> headers() {
    return headers;
  }

  /** Returns up to which batch the log's own headers call everything durable. */
  public long knownDurable() {
    return knownDurable;
  }

  /** Returns whether the log durably says that a payload is elsewhere now: nobody reads it here. */
  public boolean isMoved(Payload payload) {
    return movedBy.getOrDefault(payload, Long.MAX_VALUE) <= knownDurable;
  }

  /** Returns the stamps of a payload's sectors, whatever else is in them. */
  public long[] stamps(Payload payload) {
    long[] stamps = new long[VolumeModel.SECTORS_PER_BLOCK];
    for (int i = 0; i < stamps.length; i++) {
      int offset = payload.offset() + i * Pattern.SECTOR_BYTES;
      stamps[i] = disk.content(payload.slot()).buffer(offset, Long.BYTES).getLong(0);
    }
    return stamps;
  }

  private boolean loadSegmentHeader(int slot) {
    if (!load(slot, 0, BLOCK)) {
      return false;
    }
    segment.wrap(memory.address());
    return segment.isSegment()
        && segment.crc() == memory.crc32c(crc, memory.address(), SegmentHeader.CRC_OFFSET);
  }

  private void walk(int slot) {
    boolean _ = loadSegmentHeader(slot);
    nextSequence = segment.firstBatchSequence();
    chain = segment.previousCrc();
    headers.add(new Header(slot, 0, SegmentHeader.BYTES, nextSequence));
    int shared = 0;
    int next = BLOCK;
    while ((shared > 0 && loadBatch(slot, shared)) || loadBatch(slot, next)) {
      headers.add(new Header(slot, batch.headerStart(), batch.headerBytes(), batch.sequence()));
      knownDurable = Math.max(knownDurable, batch.durableSequence());
      readRecords(slot, batch.payloadStart() * BLOCK);
      nextSequence++;
      chain = batch.headerCrc();
      shared = batch.sharedStart();
      next = batch.endOffset();
    }
  }

  /** Returns whether the batch that continues the chain is there. */
  private boolean loadBatch(int slot, int at) {
    if (at + BatchHeader.BYTES > segmentBytes || !load(slot, at, BatchHeader.BYTES)) {
      return false;
    }
    batch.wrap(memory.address(), BatchHeader.BYTES);
    boolean canBe =
        batch.isPossible(at, segmentBytes)
            && batch.sequence() == nextSequence
            && batch.previousCrc() == chain;
    if (!canBe || !load(slot, at, batch.headerBytes())) {
      return false;
    }
    batch.wrap(memory.address(), batch.headerBytes());
    return batch.headerCrc() == batch.checksum(memory, crc, memory.address());
  }

  private void readRecords(int slot, int payloadOffset) {
    int at = BatchHeader.BYTES;
    for (int i = 0; i < batch.recordCount(); i++) {
      record.wrap(memory.address() + at, batch.headerBytes() - at);
      int type = record.type();
      if (type == RecordHeader.WRITE || type == RecordHeader.RELOCATE) {
        for (int b = 0; b < record.blockCount(); b++) {
          int offset = payloadOffset + (record.payloadBlock() + b) * BLOCK;
          if (type == RecordHeader.RELOCATE) {
            move(record.place(b));
          }
          long block = type == RecordHeader.WRITE ? record.firstBlock() + b : record.block(b);
          Payload payload = new Payload(slot, offset, batch.sequence(), record.group(), block);
          payloads.add(payload);
          payloadByPlace.put(place(slot, offset), payload);
        }
      }
      at += RecordHeader.encodedBytes(type, record.blockCount());
    }
  }

  /** A place in a segment whose life begins later is not there yet, and so not meant. */
  private void move(long from) {
    Payload payload = payloadByPlace.get(from);
    if (payload != null) {
      movedBy.put(payload, batch.sequence());
    }
  }

  private long place(int slot, int offset) {
    return (long) slot * (segmentBytes / BLOCK) + offset / BLOCK;
  }

  private boolean load(int slot, int offset, int length) {
    for (int at = offset & -BLOCK; settled && at < offset + length; at += BLOCK) {
      if (!disk.isSettled(slot, at)) {
        return false;
      }
    }
    memory.buffer(0, length).putBytes(0, disk.content(slot).buffer(offset, length), 0, length);
    return true;
  }
}
