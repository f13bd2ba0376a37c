package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.segment.Segment;
import java.util.BitSet;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Wins space back: copies what is alive in mostly dead segments to the end of the log, so that
 * {@link DeadSegments} can free them.
 *
 * <p>Which segment is cleaned next is decided by cost and benefit (Rosenblum and Ousterhout 1992):
 * free space won, times age, by what has to be read and written. A copied block is a record of its
 * own; the entries that refer to its old place are found through the ring of its leaf. A block that
 * does not match its checksum is moved with the checksum that it ought to have, so that reads of it
 * go on to fail.
 */
public final class Cleaner {
  private static final Logger LOG = LoggerFactory.getLogger(Cleaner.class);
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Blocks moved in one duty cycle, when there is time and when there is not. */
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

  /** What is free is less than so many times what is dead. */
  private static final int PER_GARBAGE = 4;

  /** Longer than a stall of a busy disk: who waits for that is no reason to give it more to do. */
  private static final long IDLE_NS = TimeUnit.SECONDS.toNanos(1);

  /** Segments with more than this alive are left alone unless there is no other way. */
  private static final double WORTHWHILE = 0.85;

  /** Part of a segment that must be dead in all of them together for cleaning to get anywhere. */
  private static final double PROGRESS = 0.25;

  /**
   * Clients should be able to fill so many segments, one of so many of the log: what was moved is
   * durable after a second or so on a slow disk, and they go on meanwhile.
   */
  private static final int SEGMENTS_PER_ROOM = 24;

  private static final int LEAST_ROOM_SEGMENTS = 2;

  /** A second's writes, and more than that is of no use to anybody. */
  private static final int MOST_ROOM_SEGMENTS = 16;

  /** A large log is cleaned when only one of so many segments is left. */
  private static final int SEGMENTS_PER_SCARCE = 64;

  /** A checkpoint that frees space is worth so many times what it takes. */
  private static final int CHECKPOINT_WORTH = 8;

  /** The same when space is scarce. */
  private static final int CHECKPOINT_WORTH_NOW = 3;

  /** As long after the last segment the next one is taken to be about to be cleaned. */
  private static final long CLEANING_NS = TimeUnit.SECONDS.toNanos(1);

  private static final long LOOK_NS = TimeUnit.MILLISECONDS.toNanos(1);
  private static final long LOOK_NS_PER_SLOT = 1000;

  private final VolumeStore store;
  private final IndexPages pages;
  private final BlockReferences references;
  private final SegmentRecords records;

  /** Segments that hold a block which can't be moved. */
  private final BitSet stuck = new BitSet();

  /** Segments that need nothing but the next checkpoint. */
  private final BitSet cleaned = new BitSet();

  private long cleaningUntilNs;
  private boolean isCleaning;
  private long checkpointsSeen;
  private long lastLookNs;
  private long garbageBlocks;
  private long usedSegments;
  private long reclaimableBlocks;
  private int best = -1;

  /** Whether the segment is cleaned for the sake of others, which can wait for an idle time. */
  private boolean leisurely;

  // In the record at which the cleaner is.
  private boolean inRecord;
  private int blockInRecord;

  /** Whether the segment holds a page of the index that is lost. */
  private boolean holdsLostPage;

  // Blocks that are about to be moved, all of one family, and all damaged or none.
  private int moveCount;
  private int moveFamily;
  private boolean moveDamaged;
  private final long[] moveBlocks = new long[MOVES];
  private final long[] moveFrom = new long[MOVES];
  private final int[] moveChecksums = new int[MOVES];
  private final long[] moveAddresses = new long[MOVES];

  /** The leaves of the first of them. */
  private final HeldLeaves held;

  private long movedBlocks;
  private long cleanedSegments;
  private long cleanedInVain;
  private long writtenBefore;
  private long liveBefore;

  Cleaner(VolumeStore store) {
    this.store = store;
    this.pages = store.space().pages();
    this.references = store.space().references();
    this.records = new SegmentRecords(store);
    this.held = new HeldLeaves(pages, IndexPages.OF_CLEANER);
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
    if (records.isActive() || store.checkpointer().isBusy()) {
      return true;
    }
    // Somebody has to wait for space: history does not count now.
    store.deadSegments().giveUpHistory();
    store.deadSegments().look();
    look();
    return store.deadSegments().count() > 0
        || store.deadSegments().awaitingCheckpoint() > 0
        || best >= 0;
  }

  /** Returns whether nothing but the next checkpoint can free a segment without data. */
  boolean isCleaned(int slot) {
    return cleaned.get(slot);
  }

  int doWork(long nowNs) {
    if (store.journal().failure() != Status.OK) {
      return 0;
    }
    int work = 0;
    boolean idle = nowNs - store.lastCompletedNs() > IDLE_NS;
    long interval = LOOK_NS + store.journal().slotCount() * LOOK_NS_PER_SLOT;
    if (nowNs - lastLookNs >= interval) {
      lastLookNs = nowNs;
      work = store.deadSegments().doWork(slackSegments() < roomSegments());
      if (!records.isActive()) {
        work += decide(idle);
      }
    }
    tellStorage(nowNs);
    Journal journal = store.journal();
    boolean waits =
        (leisurely && !idle && journal.availableSegments() >= lowSegments())
            || journal.isPopulationShort();
    return records.isActive() && !waits ? work + clean() : work;
  }

  private void tellStorage(long nowNs) {
    if (records.isActive()) {
      cleaningUntilNs = nowNs + CLEANING_NS;
    }
    boolean before = isCleaning;
    isCleaning = records.isActive() || (before && nowNs < cleaningUntilNs);
    if (isCleaning != before) {
      store.journal().gently(isCleaning);
    }
  }

  /** Returns how many segments clients could fill before they had to wait. */
  private double slackSegments() {
    Journal journal = store.journal();
    return journal.availableSegments()
        - journal.reservedSegments()
        + (double) Math.max(0, journal.roomBlocks()) / store.blocksPerSegment();
  }

  /** The less room there is for clients, the more is moved in each duty cycle. */
  private int budget() {
    double pressed = Math.clamp(1 - slackSegments() / roomSegments(), 0, 1);
    return BLOCKS_PER_CYCLE + (int) (pressed * (BLOCKS_PER_URGENT_CYCLE - BLOCKS_PER_CYCLE));
  }

  /** Returns how many segments clients should be able to fill before they have to wait. */
  private int roomSegments() {
    return Math.clamp(
        store.journal().limitSegments() / SEGMENTS_PER_ROOM,
        LEAST_ROOM_SEGMENTS,
        MOST_ROOM_SEGMENTS);
  }

  /** Segments are scarce when fewer than this are left. */
  private int lowSegments() {
    Journal journal = store.journal();
    return journal.reservedSegments()
        + Math.max(roomSegments(), journal.limitSegments() / SEGMENTS_PER_SCARCE);
  }

  /**
   * Returns what part there is of the room that clients should have: 1 or more when there is
   * enough, or when nothing is being done to win more.
   */
  double roomWanted() {
    DeadSegments dead = store.deadSegments();
    boolean works = records.isActive() || dead.count() > 0 || dead.awaitingCheckpoint() > 0;
    return works ? slackSegments() / roomSegments() : 1;
  }

  private int decide(boolean idle) {
    Journal journal = store.journal();
    look();
    boolean wasteful = isWasteful();
    boolean crowding = wasteful && isCrowding();
    // What is dead already will be free without further copying.
    DeadSegments dead = store.deadSegments();
    boolean running = store.checkpointer().isBusy();
    int coming = dead.count() + (running ? dead.awaitingCheckpoint() : 0);
    boolean needed = journal.availableSegments() + coming < lowSegments();
    long worth = dead.awaitingCheckpoint() * store.blocksPerSegment();
    long cost = store.checkpointer().neededBlocks();
    boolean worthIt = worth > cost * (needed ? CHECKPOINT_WORTH_NOW : CHECKPOINT_WORTH);
    if (!running && worth > 0 && (worthIt || (needed && best < 0))) {
      store.checkpointer().requestSoon();
    }
    boolean worthwhile = best >= 0 && utilization(best) < WORTHWHILE;
    if (best < 0 || !(needed || (worthwhile && (crowding || (wasteful && idle))))) {
      records.relax();
      return 0;
    }
    leisurely = !needed && !crowding;
    begin(best);
    return 1;
  }

  /** Returns whether space is to be given back in idle time, though the log does not need it. */
  private boolean isWasteful() {
    double garbage = garbageBlocks / (double) store.blocksPerSegment();
    return usedSegments > SMALL_LOG_SEGMENTS && garbage > GARBAGE * usedSegments;
  }

  /**
   * Returns whether so much is wasted that space is given back while clients are at work: only if
   * there is not much left for others, because it would take as much of the core as they do.
   */
  private boolean isCrowding() {
    double garbage = garbageBlocks / (double) store.blocksPerSegment();
    int available = store.journal().availableSegments();
    return garbage > MUCH_GARBAGE * usedSegments && garbage * PER_GARBAGE > available;
  }

  private double utilization(int slot) {
    return (references.liveData(slot) + references.liveMeta(slot))
        / (double) store.blocksPerSegment();
  }

  /** Looks at all segments: which is the best to clean. */
  private void look() {
    Journal journal = store.journal();
    Segment active = journal.active();
    if (checkpointsSeen != store.checkpointer().completed()) {
      checkpointsSeen = store.checkpointer().completed();
      cleaned.clear();
    }
    usedSegments = 0;
    best = -1;
    reclaimableBlocks = 0;
    long free = journal.freeBlocks() - store.checkpointer().neededBlocks();
    double bestScore = 0;
    long heldFrom = Math.min(store.deadSegments().heldFrom(), store.groups().keptFrom());
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
        continue;
      }
      double live = utilization(slot);
      reclaimableBlocks += (long) ((1 - live) * store.blocksPerSegment());
      // The root, because where all blocks are as likely to be overwritten age says nothing.
      double age = Math.sqrt(1.0 + active.sequence() - segment.sequence());
      double score = (1 - live) * age / (1 + live);
      if (segment.sequence() >= heldFrom) {
        // Its space would not come back.
        continue;
      }
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
    records.begin(slot);
    inRecord = false;
    holdsLostPage = false;
    moveCount = 0;
    boolean _ = records.isLoaded();
  }

  private int clean() {
    if (!records.isLoaded()) {
      return 0;
    }
    int budget = budget();
    int done = 0;
    for (int looked = 0; done < budget && looked < LOOKED_PER_CYCLE; looked++) {
      if (!inRecord) {
        SegmentRecords.Step step = records.next(LOOKED_PER_CYCLE - looked);
        if (step == SegmentRecords.Step.END && flushMoves()) {
          finish();
        }
        if (step != SegmentRecords.Step.RECORD) {
          return done + 1;
        }
        inRecord = true;
        blockInRecord = 0;
      }
      if (moveCount == MOVES && !flushMoves()) {
        return done;
      }
      done += nextBlock();
    }
    boolean _ = flushMoves();
    return done + 1;
  }

  private int nextBlock() {
    RecordHeader record = records.record();
    int count = RecordHeader.hasPayload(record.type()) ? record.blockCount() : 0;
    if (blockInRecord >= count) {
      inRecord = false;
      return 0;
    }
    int i = blockInRecord++;
    long place = records.payloadPlace(i);
    if (record.type() == RecordHeader.META) {
      rewriteMeta(record.flags(), record.number(i), place, records.payloadAddress(i));
      return 0;
    }
    if (references.count(place) == 0) {
      return 0;
    }
    boolean first = record.type() == RecordHeader.WRITE;
    int family = first ? store.family(record.group()) : record.group();
    long block = first ? record.firstBlock() + i : record.block(i);
    boolean good = records.isGood(i);
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
          "{} does not match its checksum; reads of it fail until it is mended or written again",
          store.journal().describe(place));
    }
    moveAddresses[moveCount++] = records.payloadAddress(i);
    return 1;
  }

  /** Lets the next checkpoint write a block of an earlier one elsewhere. */
  private void rewriteMeta(int kind, int number, long place, long address) {
    if (kind == RecordHeader.PAGES) {
      boolean isPage = number > 0 && number < pages.pageLimit() && pages.place(number) == place;
      if (isPage && pages.refs(number) > 0) {
        // A page that is not in memory has been read with the segment.
        boolean lost =
            pages.isAbsent(number)
                && !store.space().loader().putBack(number, records.region(), address);
        holdsLostPage |= lost;
        if (!lost) {
          pages.touch(number);
        }
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
    int ready = bringMoves();
    if (moveCount == 0) {
      return true;
    }
    if (ready == 0) {
      return false;
    }
    Journal journal = store.journal();
    // Rather two records than a gap at the end of the segment.
    int fits = journal.roomBlocks() > 0 ? Math.min(ready, journal.roomBlocks()) : ready;
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
        store.scrubber().moved(moveFamily, moveBlocks[i], moveFrom[i], to + i, moveChecksums[i]);
      }
    }
    movedBlocks += fits;
    removeMoves(0, fits);
    return moveCount == 0 || flushMoves();
  }

  /**
   * Brings the leaves of the blocks that are about to be moved; returns how many of these, from the
   * first on, can be moved now. One whose leaf can't be read stays where it is, and its segment
   * with it.
   */
  private int bringMoves() {
    int ready = -1;
    for (int i = 0; i < moveCount; i++) {
      int found = store.space().bringRing(moveFamily, moveBlocks[i], i == 0 ? held : null);
      if (found == Status.EIO) {
        removeMoves(i--, 1);
      } else if (found == Status.EAGAIN && ready < 0) {
        ready = i;
      }
    }
    return ready < 0 ? moveCount : ready;
  }

  private void removeMoves(int first, int count) {
    moveCount -= count;
    System.arraycopy(moveBlocks, first + count, moveBlocks, first, moveCount - first);
    System.arraycopy(moveFrom, first + count, moveFrom, first, moveCount - first);
    System.arraycopy(moveChecksums, first + count, moveChecksums, first, moveCount - first);
    System.arraycopy(moveAddresses, first + count, moveAddresses, first, moveCount - first);
    held.release();
  }

  private void finish() {
    int slot = records.slot();
    if (references.liveData(slot) > 0 || holdsLostPage) {
      stuck.set(slot);
    } else {
      cleaned.set(slot);
    }
    cleanedSegments++;
    cleanedInVain++;
    LOG.debug("segment {} of slot {} was cleaned", records.sequence(), slot);
    records.finish();
    held.release();
  }

  void close() {
    records.close();
  }
}
