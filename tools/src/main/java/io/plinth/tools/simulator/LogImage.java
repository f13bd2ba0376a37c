package io.plinth.tools.simulator;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimDisk;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * What a log on a simulated disk consists of, read from outside of the node: where headers and
 * payload are, which payload is the newest of its block, and what the log itself says is durable.
 */
final class LogImage {
  private static final int BLOCK = LogFormat.BLOCK_BYTES;

  /** Where bytes of the log come from. */
  @FunctionalInterface
  interface Source {
    byte[] read(int slot, int offset, int length);
  }

  /** The block of a volume that is meant. */
  record BlockName(int group, long block) {}

  /** A block of payload; {@code sequence} is that of its batch. */
  record Payload(int slot, int offset, long sequence, BlockName name) {}

  /**
   * A header of a batch or of a segment; {@code sequence} is that of the batch or the first one.
   */
  record Header(int slot, int offset, int bytes, long sequence) {}

  private final List<Payload> payloads = new ArrayList<>();
  private final List<Header> headers = new ArrayList<>();
  private final Map<BlockName, Payload> newestPayload = new HashMap<>();
  private long knownDurable;

  // For the walk.
  private final Source source;
  private final int segmentBytes;
  private final NativeMemory memory;
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();

  private LogImage(SimDisk disk, Source source) {
    this.source = source;
    this.segmentBytes = disk.segmentBytes();
    this.memory = NativeMemory.reserve(segmentBytes);
    try {
      TreeMap<Long, Integer> slots = new TreeMap<>();
      for (int slot : disk.slots()) {
        long order = readSegmentHeader(slot);
        if (order >= 0) {
          slots.put(order, slot);
        }
      }
      slots.values().forEach(this::walk);
    } finally {
      memory.close();
    }
  }

  /** Reads what the disk holds. */
  static LogImage ofDisk(SimDisk disk) {
    return new LogImage(disk, disk::diskContent);
  }

  /** Reads what the page cache holds. */
  static LogImage ofCache(SimDisk disk) {
    return new LogImage(
        disk,
        (slot, offset, length) -> {
          byte[] content = new byte[length];
          disk.content(slot).buffer(offset, length).getBytes(0, content);
          return content;
        });
  }

  /** Returns all payload blocks in the order of the log. */
  List<Payload> payloads() {
    return payloads;
  }

  /** Returns all headers that are intact. */
  List<Header> headers() {
    return headers;
  }

  /** Returns up to which batch the log's own headers call everything durable. */
  long knownDurable() {
    return knownDurable;
  }

  /** Returns whether nothing later in the log has written or unmapped the block. */
  boolean isNewest(Payload payload) {
    return payload.equals(newestPayload.get(payload.name()));
  }

  private long readSegmentHeader(int slot) {
    load(slot, 0, BLOCK);
    SegmentHeader header = new SegmentHeader().wrap(memory.address());
    if (!header.isSegment()
        || header.crc() != memory.crc32c(crc, memory.address(), SegmentHeader.CRC_OFFSET)) {
      return -1;
    }
    headers.add(new Header(slot, 0, SegmentHeader.BYTES, header.firstBatchSequence()));
    return header.segmentSequence();
  }

  private void walk(int slot) {
    long expected = -1;
    int at = BLOCK;
    while (at < segmentBytes && loadBatch(slot, at)) {
      if (expected >= 0 && batch.sequence() != expected) {
        return;
      }
      expected = batch.sequence() + 1;
      headers.add(new Header(slot, at, batch.headerBytes(), batch.sequence()));
      knownDurable = Math.max(knownDurable, batch.durableSequence());
      readRecords(slot, at + batch.headerBlocks() * BLOCK);
      at += (batch.headerBlocks() + batch.payloadBlocks()) * BLOCK;
    }
  }

  private boolean loadBatch(int slot, int at) {
    load(slot, at, BLOCK);
    batch.wrap(memory.address(), BLOCK);
    if (!batch.isBatch() || !batch.hasPossibleLengths((segmentBytes - at) / BLOCK)) {
      return false;
    }
    int bytes = batch.headerBytes();
    load(slot, at, batch.headerBlocks() * BLOCK);
    batch.wrap(memory.address(), bytes);
    int stored = batch.headerCrc();
    batch.headerCrc(0);
    int computed = memory.crc32c(crc, memory.address(), bytes);
    batch.headerCrc(stored);
    return stored == computed;
  }

  private void readRecords(int slot, int payloadOffset) {
    int at = BatchHeader.BYTES;
    for (int i = 0; i < batch.recordCount(); i++) {
      record.wrap(memory.address() + at, batch.headerBytes() - at);
      int type = record.type();
      if (type == RecordHeader.WRITE || type == RecordHeader.UNMAP) {
        for (int b = 0; b < record.blockCount(); b++) {
          BlockName name = new BlockName(record.group(), record.firstBlock() + b);
          newestPayload.remove(name);
          if (type == RecordHeader.WRITE) {
            int offset = payloadOffset + (record.payloadBlock() + b) * BLOCK;
            Payload payload = new Payload(slot, offset, batch.sequence(), name);
            payloads.add(payload);
            newestPayload.put(name, payload);
          }
        }
      }
      at += RecordHeader.encodedBytes(type, record.blockCount());
    }
  }

  private void load(int slot, int offset, int length) {
    memory.buffer(0, length).putBytes(0, source.read(slot, offset, length));
  }
}
