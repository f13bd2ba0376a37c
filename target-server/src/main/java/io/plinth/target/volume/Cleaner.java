package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.segment.Segment;
import java.util.BitSet;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Wins space back: copies what is alive in mostly dead segments to the end of the log, so that the
 * next checkpoint can free them.
 *
 * <p>Which segment is cleaned next is decided by cost and benefit (Rosenblum and Ousterhout 1992):
 * free space won, times age, by what has to be read and written. A copied block is a record of its
 * own; the entries that refer to its old place are found through the ring of its leaf. A block that
 * does not match its checksum is moved with the checksum that it ought to have, so that reads of it
 * go on to fail.
 */
public final class Cleaner implements Completion {
  private static final Logger LOG = LoggerFactory.getLogger(Cleaner.class);
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Bytes of a segment read at a time. */
  private static final int READ_BYTES = 256 << 10;

  /** Blocks looked at in one duty cycle, when there is time and when there is not. */
  private static final int BLOCKS_PER_CYCLE = 24;

  private static final int BLOCKS_PER_URGENT_CYCLE = 192;
  private static final int LOOKED_PER_CYCLE = 2048;
  private static final int MOVES = 64;

  /** A log of few segments is not cleaned for the sake of the host. */
  private static final int SMALL_LOG_SEGMENTS = 8;

  /** Part of the log that may be dead, though there is room, before it is cleaned in idle time. */
  private static final double GARBAGE = 0.35;

  /** The same before it is cleaned at any time, for the sake of others on the file system. */
  private static final double MUCH_GARBAGE = 0.6;

  private static final long IDLE_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /** Segments with more than this alive are left alone unless there is no other way. */
  private static final double WORTHWHILE = 0.85;

  /** Part of a segment that must be dead in all of them together for cleaning to get anywhere. */
  private static final double PROGRESS = 0.25;

  /** Segments are scarce when only one of so many is left beside those that are reserved. */
  private static final int SEGMENTS_PER_SCARCE = 64;

  /** Dead segments are freed by a checkpoint when they are one of so many, or that many. */
  private static final int SEGMENTS_PER_DEAD = 32;

  private static final int MAX_DEAD_SEGMENTS = 4;
  private static final long LOOK_NS = TimeUnit.MILLISECONDS.toNanos(1);
  private static final long LOOK_NS_PER_SLOT = 1000;

  private final VolumeStore store;
  private final IndexPages pages;
  private final BlockReferences references;
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();

  /** Segments that hold a block which can't be moved. */
  private final BitSet stuck = new BitSet();

  /** Segments that need nothing but the next checkpoint. */
  private final BitSet cleaned = new BitSet();

  private long checkpointsSeen;
  private NativeMemory copy;
  private long lastLookNs;
  private int dead;
  private long garbageBlocks;
  private long usedSegments;
  private long reclaimableBlocks;
  private int best = -1;

  // The segment that is being cleaned.
  private int victim = -1;
  private long victimSequence;
  private long base;
  private NativeMemory region;
  private boolean pinned;
  private boolean reading;
  private int readBytes;

  /** Up to here blocks are read one by one, because one of them can't be read. */
  private int singlyUntil;

  /** Up to here the segment was written; what is behind may have no space on the disk. */
  private int end;

  private int position;

  // The batch at the position.
  private int batchEnd;
  private int recordsLeft;
  private int recordAt;
  private long payloadAddress;
  private int blockInRecord;

  // Blocks that are about to be moved, all of one family, and all damaged or none.
  private int moveCount;
  private int moveFamily;
  private boolean moveDamaged;
  private final long[] moveBlocks = new long[MOVES];
  private final long[] moveFrom = new long[MOVES];
  private final int[] moveChecksums = new int[MOVES];
  private final long[] moveAddresses = new long[MOVES];

  private long movedBlocks;
  private long cleanedSegments;
  private long cleanedInVain;
  private long writtenBefore;
  private long liveBefore;

  Cleaner(VolumeStore store) {
    this.store = store;
    this.pages = store.space().pages();
    this.references = store.space().references();
  }

  /** Returns how many blocks were copied since the start. */
  public long movedBlocks() {
    return movedBlocks;
  }

  /** Returns how many segments were cleaned since the start. */
  public long cleanedSegments() {
    return cleanedSegments;
  }

  /** Returns whether space will be won back without anybody asking. */
  boolean mayFreeSegments() {
    if (victim >= 0 || store.checkpointer().isBusy()) {
      return true;
    }
    look();
    return dead > 0 || best >= 0;
  }

  int doWork(long nowNs) {
    if (store.journal().failure() != Status.OK) {
      return 0;
    }
    if (victim >= 0) {
      return reading ? 0 : clean();
    }
    long interval = LOOK_NS + store.journal().slotCount() * LOOK_NS_PER_SLOT;
    if (nowNs - lastLookNs < interval) {
      return 0;
    }
    lastLookNs = nowNs;
    return decide(nowNs - store.lastCompletedNs() > IDLE_NS);
  }

  private boolean isUrgent() {
    return store.journal().availableSegments() <= store.journal().reservedSegments() + 1;
  }

  private int decide(boolean idle) {
    Journal journal = store.journal();
    int low =
        journal.reservedSegments() + Math.max(2, journal.limitSegments() / SEGMENTS_PER_SCARCE);
    look();
    boolean wasteful =
        usedSegments > SMALL_LOG_SEGMENTS
            && garbageBlocks
                > (idle ? GARBAGE : MUCH_GARBAGE) * usedSegments * store.blocksPerSegment();
    int batch = Math.clamp(journal.limitSegments() / SEGMENTS_PER_DEAD, 1, MAX_DEAD_SEGMENTS);
    if (dead >= batch || (dead > 0 && isUrgent())) {
      store.checkpointer().requestSoon();
    }
    // What is dead already will be free without further copying.
    boolean needed = journal.availableSegments() + dead < low;
    if (best < 0 || !(needed || (wasteful && utilization(best) < WORTHWHILE))) {
      return 0;
    }
    begin(best);
    return 1;
  }

  private double utilization(int slot) {
    return (references.liveData(slot) + references.liveMeta(slot))
        / (double) store.blocksPerSegment();
  }

  /** Looks at all segments: how many are dead, and which is the best to clean. */
  private void look() {
    Journal journal = store.journal();
    Segment active = journal.active();
    if (checkpointsSeen != store.checkpointer().completed()) {
      checkpointsSeen = store.checkpointer().completed();
      cleaned.clear();
    }
    dead = 0;
    usedSegments = 0;
    best = -1;
    reclaimableBlocks = 0;
    long free = journal.freeBlocks() - store.checkpointer().neededBlocks();
    double bestScore = 0;
    for (int slot = 0; slot < journal.slotCount(); slot++) {
      Segment segment = journal.segment(slot);
      if (segment == null) {
        stuck.clear(slot);
        continue;
      }
      usedSegments++;
      if (segment == active) {
        continue;
      }
      boolean hasMeta = references.liveMeta(slot) > 0 && !cleaned.get(slot);
      if (references.liveData(slot) == 0 && !hasMeta) {
        // Another checkpoint would not free what waits for a reader.
        dead += store.checkpointer().isFreeable(slot) ? 0 : 1;
        continue;
      }
      double live = utilization(slot);
      reclaimableBlocks += (long) ((1 - live) * store.blocksPerSegment());
      // The root, because where all blocks are as likely to be overwritten age says nothing.
      double age = Math.sqrt(1.0 + active.sequence() - segment.sequence());
      double score = (1 - live) * age / (1 + live);
      // A segment is cleaned only if there is room for all that is alive in it.
      boolean fits = references.liveData(slot) + references.liveData(slot) / MOVES + 2 <= free;
      if (fits && score > bestScore && !stuck.get(slot)) {
        bestScore = score;
        best = slot;
      }
    }
    if (reclaimableBlocks < PROGRESS * store.blocksPerSegment() || isInVain()) {
      best = -1;
    }
    garbageBlocks = usedSegments * store.blocksPerSegment() - references.liveBlocks();
  }

  /**
   * Returns whether all segments have been cleaned without anything having come of it: no client
   * could write, and nothing has died since.
   */
  private boolean isInVain() {
    long written = store.journal().counters().dataRecords();
    long live = references.liveBlocks();
    if (written != writtenBefore || live < liveBefore) {
      writtenBefore = written;
      liveBefore = live;
      cleanedInVain = 0;
    }
    return cleanedInVain > usedSegments;
  }

  private void begin(int slot) {
    Segment segment = store.journal().segment(slot);
    victim = slot;
    victimSequence = segment.sequence();
    segment.pin();
    pinned = segment.isReadable() && segment.file().isPinned();
    position = BLOCK;
    recordsLeft = 0;
    moveCount = 0;
    readBytes = 0;
    singlyUntil = 0;
    end = segment.usedBytes();
    if (pinned) {
      region = segment.file().memory();
      readBytes = end;
    } else {
      if (copy == null) {
        copy = NativeMemory.reserve(store.blocksPerSegment() * BLOCK);
      }
      region = copy;
      readMore();
    }
    base = region.address();
  }

  private void readMore() {
    Segment segment = store.journal().segment(victim);
    int length = readBytes < singlyUntil ? BLOCK : Math.min(READ_BYTES, end - readBytes);
    reading = segment.file().read(copy.address() + readBytes, length, readBytes, this, length);
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

  private int clean() {
    if (readBytes < end) {
      if (!reading) {
        readMore();
      }
      return 1;
    }
    int budget = isUrgent() ? BLOCKS_PER_URGENT_CYCLE : BLOCKS_PER_CYCLE;
    int done = 0;
    for (int looked = 0; done < budget && looked < LOOKED_PER_CYCLE; looked++) {
      if (recordsLeft == 0) {
        if (!flushMoves()) {
          return done;
        }
        if (position >= end) {
          finish();
          return done + 1;
        }
        done += nextBatch();
      } else {
        if (moveCount == MOVES && !flushMoves()) {
          return done;
        }
        done += nextBlock();
      }
    }
    boolean _ = flushMoves();
    return done + 1;
  }

  /** Looks for a batch at the position; what is none is passed over. */
  private int nextBatch() {
    long address = base + position;
    batch.wrap(address, BLOCK);
    boolean valid =
        batch.isBatch()
            && batch.hasPossibleLengths((end - position) / BLOCK)
            && hasRightChecksum(address);
    if (!valid) {
      position += BLOCK;
      return 0;
    }
    recordsLeft = batch.recordCount();
    recordAt = position + BatchHeader.BYTES;
    payloadAddress = address + (long) batch.headerBlocks() * BLOCK;
    batchEnd = position + (batch.headerBlocks() + batch.payloadBlocks()) * BLOCK;
    blockInRecord = 0;
    if (recordsLeft == 0) {
      position = batchEnd;
    }
    return 1;
  }

  /** Computed over a copy of the fixed part, because a segment in memory may not be written. */
  private boolean hasRightChecksum(long address) {
    int stored = batch.headerCrc();
    return stored == batch.checksum(region, crc, address);
  }

  private int nextBlock() {
    record.wrap(base + recordAt, batchEnd - recordAt);
    int count = RecordHeader.hasPayload(record.type()) ? record.blockCount() : 0;
    if (blockInRecord >= count) {
      recordAt += RecordHeader.encodedBytes(record.type(), record.blockCount());
      blockInRecord = 0;
      if (--recordsLeft == 0) {
        position = batchEnd;
      }
      return 0;
    }
    int i = blockInRecord++;
    long address = payloadAddress + (record.payloadBlock() + (long) i) * BLOCK;
    long place = victim * store.blocksPerSegment() + (address - base) / BLOCK;
    if (record.type() == RecordHeader.META) {
      rewriteMeta(record.flags(), record.number(i), place);
      return 0;
    }
    if (references.count(place) == 0) {
      return 0;
    }
    boolean first = record.type() == RecordHeader.WRITE;
    int family = first ? store.family(record.group()) : record.group();
    long block = first ? record.firstBlock() + i : record.block(i);
    boolean good = region.crc32c(crc, address, BLOCK) == record.checksum(i);
    boolean differs = family != moveFamily || good == moveDamaged;
    if (moveCount > 0 && differs && !flushMoves()) {
      blockInRecord--;
      return 1;
    }
    moveFamily = family;
    moveDamaged = !good;
    moveBlocks[moveCount] = block;
    moveFrom[moveCount] = place;
    moveChecksums[moveCount] = record.checksum(i);
    if (!good) {
      LOG.error(
          "{} does not match its checksum; reads of it fail until it is written again",
          store.journal().describe(place));
    }
    moveAddresses[moveCount++] = address;
    return 1;
  }

  /** Lets the next checkpoint write a block of an earlier one elsewhere. */
  private void rewriteMeta(int kind, int number, long place) {
    if (kind == RecordHeader.PAGES) {
      boolean isPage = number > 0 && number < pages.pageLimit() && pages.place(number) == place;
      if (isPage && pages.refs(number) > 0) {
        pages.touch(number);
      }
    } else if (kind == RecordHeader.TABLE && store.checkpointer().isTable(number, place)) {
      store.checkpointer().rewriteTable(number);
    }
  }

  /** Appends what was collected; false when the log can't take it now. */
  private boolean flushMoves() {
    int count = 0;
    for (int i = 0; i < moveCount; i++) {
      // What has died since is left behind.
      if (references.count(moveFrom[i]) > 0) {
        moveBlocks[count] = moveBlocks[i];
        moveFrom[count] = moveFrom[i];
        moveChecksums[count] = moveChecksums[i];
        moveAddresses[count++] = moveAddresses[i];
      }
    }
    moveCount = count;
    if (count == 0) {
      return true;
    }
    Journal journal = store.journal();
    // Rather two records than a gap at the end of the segment.
    int fits = journal.roomBlocks() > 0 ? Math.min(count, journal.roomBlocks()) : count;
    if (!journal.beginLocal(
        RecordHeader.RELOCATE, moveDamaged ? RecordHeader.DAMAGED : 0, moveFamily, fits)) {
      return false;
    }
    for (int i = 0; i < fits; i++) {
      NativeMemory.copy(moveAddresses[i], journal.payloadAddress() + (long) i * BLOCK, BLOCK);
      // That of the original: a damaged block stays one wherever it goes.
      journal.storeChecksum(i, moveChecksums[i]);
      journal.blockAndPlace(i, moveBlocks[i], moveFrom[i]);
    }
    long to = journal.payloadPlace();
    for (int i = 0; i < fits; i++) {
      store.space().relocate(moveFamily, moveBlocks[i], moveFrom[i], to + i);
      if (moveDamaged) {
        store.scrubber().moved(moveFamily, moveBlocks[i], moveFrom[i], to + i);
      }
    }
    movedBlocks += fits;
    moveCount = count - fits;
    System.arraycopy(moveBlocks, fits, moveBlocks, 0, moveCount);
    System.arraycopy(moveFrom, fits, moveFrom, 0, moveCount);
    System.arraycopy(moveChecksums, fits, moveChecksums, 0, moveCount);
    System.arraycopy(moveAddresses, fits, moveAddresses, 0, moveCount);
    return moveCount == 0 || flushMoves();
  }

  private void finish() {
    store.journal().segment(victim).unpin();
    if (references.liveData(victim) > 0) {
      stuck.set(victim);
    } else {
      cleaned.set(victim);
    }
    if (!pinned) {
      int _ = copy.discard(0, copy.sizeBytes());
    }
    cleanedSegments++;
    cleanedInVain++;
    LOG.debug("segment {} of slot {} was cleaned", victimSequence, victim);
    victim = -1;
    lastLookNs = 0;
  }

  void close() {
    if (copy != null) {
      copy.close();
    }
  }
}
