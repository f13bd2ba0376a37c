package io.plinth.log.recovery;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.PlantedBug;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Walks a log from where replay begins, decides where it ends with {@link RecoveryDecision}, and
 * shows every record to a visitor.
 *
 * <p>Two walks: the first follows the chain of headers and learns which position is known to have
 * been durable; the second checks the payload of batches above that position and visits the
 * records. Payload below it is checked whenever it is read later.
 */
public final class LogRecovery {
  private static final Logger LOG = LoggerFactory.getLogger(LogRecovery.class);

  private final String name;
  private final LogStorage storage;
  private final Superblock.Values superblock;
  private final boolean sameBoot;
  private final Set<PlantedBug> plantedBugs;
  private final LogReader reader;
  private final LogReader payloadReader;
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();
  private final List<RecoveredLog.Segment> segments = new ArrayList<>();
  private final List<RecoveredLog.Segment> older = new ArrayList<>();
  private final List<Integer> headerless = new ArrayList<>();
  private final List<Integer> unusable = new ArrayList<>();
  private final Map<RecoveryDecision, Long> decisions = new EnumMap<>(RecoveryDecision.class);
  private long durable;

  // The cursor of the current walk: where a batch may share the last one's header block, or zero,
  // and where it would begin a block.
  private int segmentIndex;
  private int sharedStart;
  private int position;
  private long sequence;
  private int chain;

  /** Where the first accepted batch is that is not known to be durable; no index for nowhere. */
  private int unsyncedIndex = -1;

  private int unsyncedFrom;

  /** Up to here the current scan has met the payload of batches. */
  private int scanEnd;

  /** Of the batch before the cursor: what was left by earlier processes does not follow it. */
  private int lastStarts;

  private LogRecovery(
      String name,
      LogStorage storage,
      Superblock.Values superblock,
      UUID bootId,
      Set<PlantedBug> plantedBugs) {
    this.name = name;
    this.storage = storage;
    this.superblock = superblock;
    this.sameBoot = superblock.bootId().equals(bootId);
    this.plantedBugs = plantedBugs;
    this.reader = new LogReader(storage);
    this.payloadReader = new LogReader(storage);
    this.durable = superblock.durableSequence();
  }

  /**
   * Recovers a log.
   *
   * @param name what to call the log in messages
   * @param superblock as it was found
   * @param bootId of the running machine
   * @param plantedBugs empty except in tests
   * @throws RecoveryException when the log must not be opened; the message names the place
   */
  public static RecoveredLog recover(
      String name,
      LogStorage storage,
      Superblock.Values superblock,
      UUID bootId,
      Set<PlantedBug> plantedBugs,
      RecoveryVisitor visitor)
      throws RecoveryException {
    LogRecovery recovery = new LogRecovery(name, storage, superblock, bootId, plantedBugs);
    try {
      return recovery.run(visitor);
    } finally {
      recovery.reader.close();
      recovery.payloadReader.close();
    }
  }

  private RecoveredLog run(RecoveryVisitor visitor) throws RecoveryException {
    findSegments();
    if (segments.isEmpty()) {
      rewind();
      judgeHeaderless();
      unusable.forEach(storage::removeExisting);
      return finish(0, 0, 0, 0);
    }
    rewind();
    while (nextHeader()) {
      durable = Math.max(durable, batch.durableSequence());
      advance();
    }
    long endSequence = sequence;
    int endIndex = segmentIndex;
    int endPosition = position;
    judgeHeaderless();
    boolean batchesFollow = decideEnd(endSequence);

    rewind();
    long batches = 0;
    long records = 0;
    long rotten = 0;
    boolean cut = false;
    while (sequence < endSequence && nextHeader()) {
      int bad = sequence > durable ? countBadBlocks() : 0;
      RecoveryDecision decision = decide(true, bad == 0, false);
      if (decision.outcome() == RecoveryDecision.Outcome.CUT) {
        cut = true;
        break;
      }
      if (sequence > durable && unsyncedIndex < 0) {
        unsyncedIndex = segmentIndex;
        unsyncedFrom = batch.headerStart() & -LogFormat.BLOCK_BYTES;
      }
      rotten += bad;
      batches++;
      records += batch.recordCount();
      visit(visitor);
      advance();
    }
    // Only now: a log that is refused must be left as it is.
    unusable.forEach(storage::removeExisting);
    long torn = cut ? tornBytes(endIndex, endPosition) : damagedTailBytes(batchesFollow);
    int sharedTorn = sharedTailBytes();
    if (sharedTorn > 0 && !plantedBugs.contains(PlantedBug.KEEP_SHARED_TAIL)) {
      erase(sharedStart, LogFormat.blocks(sharedStart) * LogFormat.BLOCK_BYTES);
    }
    torn += sharedTorn;
    if (cut || torn > 0) {
      eraseTail();
    }
    if (sameBoot && !plantedBugs.contains(PlantedBug.TAIL_NOT_REWRITTEN)) {
      rewriteTail();
    }
    return finish(batches, records, torn, rotten);
  }

  /** Collects the segments of this log in order, and files that never became part of it. */
  private void findSegments() throws RecoveryException {
    SegmentHeader header = new SegmentHeader();
    for (int slot : storage.existingSlots()) {
      long address = reader.at(slot, 0, LogFormat.BLOCK_BYTES);
      boolean ours = false;
      if (address != 0) {
        header.wrap(address);
        ours =
            header.isSegment()
                && header.logId() == superblock.logId()
                && header.slot() == slot
                && header.segmentBytes() == storage.segmentBytes()
                && header.crc() == reader.region().crc32c(crc, address, SegmentHeader.CRC_OFFSET);
      }
      if (ours && header.segmentSequence() >= superblock.start().segmentSequence()) {
        segments.add(found(slot, header, LogFormat.BLOCK_BYTES));
      } else if (ours) {
        // What it holds is reached through the index only, and nothing in it is replayed.
        older.add(found(slot, header, storage.segmentBytes()));
      } else {
        unusableSegment(slot);
      }
    }
    segments.sort(Comparator.comparingLong(RecoveredLog.Segment::sequence));
    boolean missing =
        segments.isEmpty()
            ? superblock.durableSequence() >= superblock.start().sequence()
                || superblock.checkpoint().bytes() > 0
            : segments.get(0).sequence() != superblock.start().segmentSequence();
    if (missing && isUnflushedStart()) {
      segments.forEach(segment -> unusable.add(segment.slot()));
      segments.clear();
    } else if (missing) {
      throw new RecoveryException(
          name
              + ": segment "
              + superblock.start().segmentSequence()
              + " of the log, where replay begins, is missing or its header is damaged");
    }
  }

  /**
   * Returns whether the power was lost before anything of a new log was durable, so that the header
   * of its first segment may be gone while later ones are there.
   */
  private boolean isUnflushedStart() {
    if (sameBoot || superblock.checkpoint().bytes() > 0) {
      return false;
    }
    long known = superblock.durableSequence();
    for (int index = 0; index < segments.size(); index++) {
      scanEnd = LogFormat.BLOCK_BYTES;
      for (int at = nextIntact(index, scanEnd); at > 0; at = nextIntact(index, passBatch())) {
        known = Math.max(known, batch.durableSequence());
      }
    }
    return known < superblock.start().sequence();
  }

  private static RecoveredLog.Segment found(int slot, SegmentHeader header, int usedBytes) {
    return new RecoveredLog.Segment(
        slot,
        header.segmentSequence(),
        header.firstBatchSequence(),
        header.previousCrc(),
        usedBytes);
  }

  /** A file without a header of ours: judged when it is known where the chain ends. */
  private void unusableSegment(int slot) {
    headerless.add(slot);
  }

  /**
   * Judges the files without a header when the cursor is at the end of the chain. One that goes on
   * with the chain, or holds what is known to have been durable beyond its end, is a part of the
   * log that can't be reached any more. One with other batches from after the checkpoint is left
   * from a tail that was cut once. Else it was never used, or the index knows what is in it.
   */
  private void judgeHeaderless() throws RecoveryException {
    for (int slot : headerless) {
      segments.add(new RecoveredLog.Segment(slot, -1, 0, 0, LogFormat.BLOCK_BYTES));
      int index = segments.size() - 1;
      boolean goesOn = headerAt(index, LogFormat.BLOCK_BYTES) && isNext();
      boolean batches = false;
      scanEnd = LogFormat.BLOCK_BYTES;
      for (int at = nextIntact(index, scanEnd); at > 0; at = nextIntact(index, passBatch())) {
        if (batch.sequence() >= superblock.start().sequence()) {
          batches = true;
          durable = Math.max(durable, batch.durableSequence());
        }
      }
      segments.remove(index);
      if (goesOn && (sameBoot || durable >= sequence)) {
        throw new RecoveryException(
            name
                + ": the header of segment file "
                + slot
                + " is damaged: not starting, because that would lose the data in it");
      }
      if (batches) {
        // Its batches must not be met again.
        unusable.add(slot);
      } else {
        older.add(new RecoveredLog.Segment(slot, 0, 0, 0, storage.segmentBytes()));
      }
    }
  }

  private void rewind() {
    segmentIndex = 0;
    sharedStart = 0;
    position = superblock.start().position();
    sequence = superblock.start().sequence();
    chain = superblock.start().previousCrc();
    lastStarts = 0;
    if (!segments.isEmpty()) {
      noteUsed(0, position);
    }
  }

  /**
   * Looks at the header that continues the chain, in the header block of the batch before, behind
   * that batch, or at the start of the next segment; returns whether it is there.
   */
  private boolean nextHeader() {
    if (sharedStart > 0
        && headerAt(segmentIndex, sharedStart)
        && continuesChain()
        && batch.starts() == lastStarts) {
      return true;
    }
    if (headerAt(segmentIndex, position) && continuesChain()) {
      return true;
    }
    int next = segmentIndex + 1;
    if (next >= segments.size()) {
      return false;
    }
    long address = reader.at(segments.get(next).slot(), 0, LogFormat.BLOCK_BYTES);
    if (address == 0) {
      return false;
    }
    SegmentHeader header = new SegmentHeader().wrap(address);
    if (header.firstBatchSequence() != sequence || header.previousCrc() != chain) {
      return false;
    }
    noteUsed(segmentIndex, position);
    segmentIndex = next;
    sharedStart = 0;
    position = LogFormat.BLOCK_BYTES;
    return headerAt(segmentIndex, position) && continuesChain();
  }

  private boolean isNext() {
    return batch.sequence() == sequence && batch.previousCrc() == chain;
  }

  private boolean continuesChain() {
    return isNext() || plantedBugs.contains(PlantedBug.IGNORE_CHAIN_CRC);
  }

  /**
   * Returns whether a batch of this log with an intact header is at a place, whatever its sequence.
   */
  private boolean headerAt(int index, int at) {
    int slot = segments.get(index).slot();
    if (at + BatchHeader.BYTES > storage.segmentBytes()) {
      return false;
    }
    long address = reader.at(slot, at, BatchHeader.BYTES);
    if (address == 0) {
      return false;
    }
    batch.wrap(address, BatchHeader.BYTES);
    if (!batch.isPossible(at, storage.segmentBytes()) || batch.logId() != superblock.logId()) {
      return false;
    }
    int bytes = batch.headerBytes();
    address = reader.at(slot, at, bytes);
    if (address == 0) {
      return false;
    }
    batch.wrap(address, bytes);
    return batch.headerCrc() == batch.checksum(reader.region(), crc, address);
  }

  /**
   * Returns where the first intact header at or after a place of a segment is, or zero when there
   * is none.
   */
  private int nextIntact(int index, int from) {
    int slot = segments.get(index).slot();
    int at = from;
    while (at + BatchHeader.BYTES <= storage.segmentBytes()) {
      int block = at & -LogFormat.BLOCK_BYTES;
      long address = reader.at(slot, block, LogFormat.BLOCK_BYTES);
      int found = address == 0 ? -1 : BatchHeader.find(address, at - block);
      if (found < 0) {
        at = Math.max(scanEnd, block + LogFormat.BLOCK_BYTES);
      } else if (headerAt(index, block + found)) {
        return block + found;
      } else {
        at = block + found + BatchHeader.ALIGNMENT;
      }
    }
    return 0;
  }

  /** Goes on with a scan behind the batch that it has met: its payload is none of our headers. */
  private int passBatch() {
    scanEnd = Math.max(scanEnd, batch.endOffset());
    int shared = batch.sharedStart();
    return shared > 0 ? shared : scanEnd;
  }

  private void advance() {
    chain = batch.headerCrc();
    lastStarts = batch.starts();
    sequence++;
    sharedStart = batch.sharedStart();
    position = batch.endOffset();
    noteUsed(segmentIndex, position);
  }

  private void noteUsed(int index, int usedBytes) {
    RecoveredLog.Segment segment = segments.get(index);
    if (usedBytes != segment.usedBytes()) {
      segments.set(
          index,
          new RecoveredLog.Segment(
              segment.slot(),
              segment.sequence(),
              segment.firstBatch(),
              segment.previousCrc(),
              usedBytes));
    }
  }

  private RecoveryDecision decide(boolean header, boolean payload, boolean successor) {
    RecoveryDecision decision =
        RecoveryDecision.of(header, payload, sequence <= durable, sameBoot, successor);
    decisions.merge(decision, 1L, Long::sum);
    return decision;
  }

  /** Judges the place where the chain of headers ends; returns whether intact batches follow it. */
  private boolean decideEnd(long endSequence) throws RecoveryException {
    int index = segmentIndex;
    int at = sharedTailBytes() > 0 ? sharedStart : position;
    boolean successor = findSuccessor(endSequence);
    RecoveryDecision decision = decide(false, true, successor);
    if (decision.outcome() == RecoveryDecision.Outcome.REFUSE
        && !plantedBugs.contains(PlantedBug.CUT_DURABLE_TAIL)) {
      long expected = segments.get(index).sequence() + 1;
      if (index + 1 < segments.size() && segments.get(index + 1).sequence() != expected) {
        throw new RecoveryException(
            name
                + ": segment "
                + expected
                + " of the log is missing or its header is damaged: not starting, because cutting the log there would lose data");
      }
      throw new RecoveryException(
          String.format(
              Locale.ROOT,
              "%s: batch %d in segment file %d at offset %d is damaged, though it was %s: not starting, because cutting the log"
                  + " there would lose data",
              name,
              endSequence,
              segments.get(index).slot(),
              at,
              decision == RecoveryDecision.HEADER_ROT_DURABLE ? "durable" : "complete"));
    }
    return successor;
  }

  /**
   * Looks for any intact batch with a higher sequence after the cursor, and learns from each what
   * was durable.
   */
  private boolean findSuccessor(long endSequence) {
    boolean found = false;
    int from = sharedStart > 0 ? sharedStart : position;
    scanEnd = position;
    for (int index = segmentIndex; index < segments.size(); index++) {
      int at = nextIntact(index, from);
      while (at > 0) {
        boolean follows = batch.sequence() > endSequence && batch.starts() >= lastStarts;
        if (follows) {
          found = true;
          durable = Math.max(durable, batch.durableSequence());
        }
        at = nextIntact(index, follows ? passBatch() : at + BatchHeader.ALIGNMENT);
      }
      from = LogFormat.BLOCK_BYTES;
      scanEnd = from;
    }
    return found;
  }

  private int countBadBlocks() {
    int payloadBlocks = batch.payloadBlocks();
    if (payloadBlocks == 0) {
      return 0;
    }
    int slot = segments.get(segmentIndex).slot();
    int payloadStart = batch.payloadStart() * LogFormat.BLOCK_BYTES;
    long payload = payloadReader.at(slot, payloadStart, payloadBlocks * LogFormat.BLOCK_BYTES);
    if (payload == 0) {
      return payloadBlocks;
    }
    long address = reader.at(slot, batch.headerStart(), batch.headerBytes());
    int bad = 0;
    int at = BatchHeader.BYTES;
    for (int i = 0; i < batch.recordCount(); i++) {
      record.wrap(address + at, batch.headerBytes() - at);
      boolean damaged =
          record.type() == RecordHeader.RELOCATE && (record.flags() & RecordHeader.DAMAGED) != 0;
      if (RecordHeader.hasPayload(record.type()) && !damaged) {
        for (int b = 0; b < record.blockCount(); b++) {
          long block = payload + (record.payloadBlock() + b) * (long) LogFormat.BLOCK_BYTES;
          if (payloadReader.region().crc32c(crc, block, LogFormat.BLOCK_BYTES)
              != record.checksum(b)) {
            bad++;
          }
        }
      }
      at += RecordHeader.encodedBytes(record.type(), record.blockCount());
    }
    if (bad > 0) {
      LOG.warn(
          "{}: {} blocks of batch {} in segment file {} at offset {} do not match their checksums",
          name,
          bad,
          sequence,
          slot,
          batch.headerStart());
    }
    return bad;
  }

  private void visit(RecoveryVisitor visitor) throws RecoveryException {
    int slot = segments.get(segmentIndex).slot();
    long address = reader.at(slot, batch.headerStart(), batch.headerBytes());
    long blocksPerSegment = storage.segmentBytes() / LogFormat.BLOCK_BYTES;
    long payload = slot * blocksPerSegment + batch.payloadStart();
    visitor.onBatch(batch, segments.get(segmentIndex).sequence());
    int at = BatchHeader.BYTES;
    for (int i = 0; i < batch.recordCount(); i++) {
      record.wrap(address + at, batch.headerBytes() - at);
      if (!record.isPossible(batch.headerBytes() - at, batch.payloadBlocks())) {
        throw new RecoveryException(
            String.format(
                Locale.ROOT,
                "%s: record %d of batch %d in segment file %d at offset %d makes no sense, though its checksum is right",
                name,
                i,
                sequence,
                slot,
                batch.headerStart()));
      }
      visitor.onPosition((long) slot * storage.segmentBytes() + batch.headerStart() + at);
      visitor.onRecord(record, payload + record.payloadBlock());
      at += RecordHeader.encodedBytes(record.type(), record.blockCount());
    }
  }

  /** Returns how much the headers past the cut had covered. */
  private long tornBytes(int endIndex, int endPosition) {
    long bytes = (long) endPosition - position;
    return bytes + (long) (endIndex - segmentIndex) * storage.segmentBytes();
  }

  /**
   * Returns the length of what looks like a batch that was not finished at the end of the log, or
   * zero when there is nothing. Behind it there may be what the segment held in an earlier life.
   */
  private long damagedTailBytes(boolean batchesFollow) {
    if (batchesFollow) {
      return tornBytes(segments.size() - 1, storage.segmentBytes());
    }
    if (segmentIndex + 1 < segments.size()) {
      return (long) (segments.size() - 1 - segmentIndex) * storage.segmentBytes();
    }
    int at = position;
    while (at < storage.segmentBytes()
        && (reader.at(segments.get(segmentIndex).slot(), at, LogFormat.BLOCK_BYTES) == 0
            || !isZero(at))) {
      at += LogFormat.BLOCK_BYTES;
    }
    return (long) at - position;
  }

  /**
   * Returns up to where there is something behind the last header in its block, in bytes from
   * there: what belongs to a batch that was not finished, or is cut.
   */
  private int sharedTailBytes() {
    if (sharedStart == 0) {
      return 0;
    }
    int end = LogFormat.blocks(sharedStart) * LogFormat.BLOCK_BYTES;
    long address = reader.at(segments.get(segmentIndex).slot(), sharedStart, end - sharedStart);
    int used = address == 0 ? 0 : end - sharedStart;
    while (used > 0 && org.agrona.UnsafeApi.getLong(address + used - Long.BYTES) == 0) {
      used -= Long.BYTES;
    }
    return used;
  }

  private boolean isZero(int at) {
    long address = reader.at(segments.get(segmentIndex).slot(), at, LogFormat.BLOCK_BYTES);
    for (int i = 0; i < LogFormat.BLOCK_BYTES; i += 8) {
      if (org.agrona.UnsafeApi.getLong(address + i) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Removes what follows the end, so that no later recovery takes it for a successor. */
  private void eraseTail() throws RecoveryException {
    while (segments.size() > segmentIndex + 1) {
      storage.removeExisting(segments.removeLast().slot());
    }
    noteUsed(segmentIndex, position);
    erase(position, storage.segmentBytes());
  }

  /**
   * What is not known to be durable is in the page cache of a process that is gone. Perhaps a sync
   * of it has failed: the kernel takes it for written then, and the next sync would write nothing.
   */
  private void rewriteTail() throws RecoveryException {
    for (int index = Math.max(0, unsyncedIndex);
        unsyncedIndex >= 0 && index <= segmentIndex;
        index++) {
      RecoveredLog.Segment segment = segments.get(index);
      boolean whole = index > unsyncedIndex || unsyncedFrom == LogFormat.BLOCK_BYTES;
      int result =
          storage.rewriteNow(segment.slot(), whole ? 0 : unsyncedFrom, segment.usedBytes());
      if (result != Status.OK) {
        throw new RecoveryException(
            name
                + ": can't write the tail of segment file "
                + segment.slot()
                + " again: "
                + Status.name(result));
      }
    }
  }

  private void erase(int from, int to) throws RecoveryException {
    int slot = segments.get(segmentIndex).slot();
    int result = storage.eraseNow(slot, from, to);
    if (result != Status.OK) {
      throw new RecoveryException(
          name
              + ": can't erase the torn tail of segment file "
              + slot
              + ": "
              + Status.name(result));
    }
  }

  private RecoveredLog finish(long batches, long records, long torn, long rotten) {
    boolean empty = segments.isEmpty();
    Superblock.Start start = superblock.start();
    return new RecoveredLog(
        List.copyOf(older),
        List.copyOf(segments),
        empty ? 0 : position,
        empty ? start.sequence() : sequence,
        empty ? start.previousCrc() : chain,
        Math.min(durable, empty ? start.sequence() - 1 : sequence - 1),
        batches,
        records,
        torn,
        rotten,
        Collections.unmodifiableMap(decisions));
  }
}
