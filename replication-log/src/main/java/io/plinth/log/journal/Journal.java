package io.plinth.log.journal;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.SegmentHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.segment.Segment;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The log of a core: an append is a copy into resident memory, sealed once per duty cycle, and one
 * fdatasync makes many batches durable.
 *
 * <p>Order of events, which every promise to a client stands on: payload is copied, then the batch
 * header is written ("sealed"), then {@link JournalListener#onAppended} lets acks go that need no
 * more; a sync that began after the seal and has ended lets {@link JournalListener#onDurable}
 * release the others. A failed sync or population ends the journal: nothing is acknowledged after
 * it, and nothing is retried into success.
 *
 * <p>A record is begun with {@link #begin}; its payload and checksums are filled in before control
 * returns to the duty cycle.
 */
public final class Journal implements CycleTask, Completion, Releasable {
  private static final Logger LOG = LoggerFactory.getLogger(Journal.class);
  private static final int BLOCK = LogFormat.BLOCK_BYTES;
  private static final int POPULATE_AHEAD_BYTES = 32 << 20;

  /** With so little left of a segment, the next one is needed soon. */
  private static final int HURRY_BYTES = 12 << 20;

  /**
   * How long after a sync without further records the durable position is written down, so that
   * later rot is told from a torn tail.
   */
  private static final long MARK_DELAY_NS = TimeUnit.MILLISECONDS.toNanos(50);

  private static final long RETRY_NS = TimeUnit.SECONDS.toNanos(2);

  /** The most segments that clients' data leaves to others, see {@link #reservedSegments}. */
  private static final int MAX_RESERVED_SEGMENTS = 2;

  /** Blocks beside those that a checkpoint needs without which not even a trim is recorded. */
  private static final int COMMAND_MARGIN_BLOCKS = 8;

  /** A log leaves one of so many segments. */
  private static final int SEGMENTS_PER_RESERVED = 16;

  private final String name;
  private final Core core;
  private final LogStorage storage;
  private final long logId;
  private final int starts;
  private final JournalListener listener;
  private final Set<PlantedBug> plantedBugs;
  private final int segmentBytes;
  private final int blocksPerSegment;
  private final int segmentShift;
  private final int residentSegments;
  private final Segment[] segments;
  private final ArrayDeque<Segment> residentOrder = new ArrayDeque<>();
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batchHeader = new BatchHeader();
  private final RecordHeader recordHeader = new RecordHeader();
  private final JournalCounters counters = new JournalCounters();

  private Segment active;
  private LogFile next;
  private LogFile reserve;
  private boolean preparing;
  private int preparingSlot;
  private boolean preparingReserve;
  private int segmentCount;
  private long neededBlocks;
  private final int spareLimit;
  private final boolean[] spare;
  private int spareCount;
  private boolean hostFull;
  private boolean fullReported;

  // The open batch, all in bytes of the segment but the count of payload blocks.
  private boolean isOpen;
  private int headerStart;
  private int headerEnd;
  private int headerLimit;
  private int openHeaderBlocks;
  private int payloadStart;
  private int openPayloadBlocks;
  private int openRecords;
  private int recordPayload;

  private int position;

  /** Where the next batch may share the header block of the one before; zero when it may not. */
  private int sharedStart;

  private long nextSequence;
  private int chainCrc;
  private long durableSequence;
  private Segment[] dirty = new Segment[16];
  private int dirtyCount;
  private boolean syncWanted;
  private boolean durabilityAsked;
  private int pendingSyncs;
  private long syncTarget;
  private long markedSequence;
  private boolean markScheduled;
  private boolean refused;
  private boolean awaitsSegment;
  private boolean awaitsSpace;
  private boolean rolled;
  private int awaitedBytes;
  private int refusal;
  private int failure;
  private boolean closed;

  /**
   * Creates the journal of a recovered log.
   *
   * @param residentBytes how much of the log to keep in memory for reads, rounded down to whole
   *     segments
   * @param spareLimit how many freed segments keep their files, to be used again
   * @param starts how often the log has been opened, this time included
   * @param clean whether the log was closed in order, so that all of it is durable
   * @param plantedBugs empty except in tests
   */
  public Journal(
      String name,
      Core core,
      LogStorage storage,
      long logId,
      int starts,
      RecoveredLog recovered,
      boolean clean,
      long residentBytes,
      int spareLimit,
      JournalListener listener,
      Set<PlantedBug> plantedBugs) {
    this.name = name;
    this.core = core;
    this.storage = storage;
    this.logId = logId;
    this.starts = starts;
    this.listener = listener;
    this.plantedBugs = plantedBugs;
    this.segmentBytes = storage.segmentBytes();
    this.blocksPerSegment = segmentBytes / BLOCK;
    this.segmentShift = Integer.numberOfTrailingZeros(blocksPerSegment);
    if (Integer.bitCount(blocksPerSegment) != 1) {
      throw new IllegalArgumentException("segments of " + segmentBytes + " bytes");
    }
    this.residentSegments = (int) Math.max(1, residentBytes / segmentBytes);
    this.segments = new Segment[storage.maxSegments()];
    this.spareLimit = spareLimit;
    this.spare = new boolean[segments.length];
    this.nextSequence = recovered.nextSequence();
    this.chainCrc = recovered.chainCrc();
    this.durableSequence = clean ? recovered.nextSequence() - 1 : recovered.durableSequence();
    this.markedSequence = durableSequence;
    adopt(recovered, clean);
    prepareNext();
  }

  private void adopt(RecoveredLog recovered, boolean clean) {
    for (RecoveredLog.Segment found : recovered.older()) {
      segments[found.slot()] = segment(found, storage.openExisting(found.slot()));
      segmentCount++;
    }
    int count = recovered.segments().size();
    for (int i = 0; i < count; i++) {
      RecoveredLog.Segment found = recovered.segments().get(i);
      boolean last = i == count - 1;
      LogFile file =
          last
              ? storage.openForAppend(found.slot(), recovered.endOffset())
              : storage.openExisting(found.slot());
      Segment segment = segment(found, file);
      segments[found.slot()] = segment;
      segmentCount++;
      if (!clean) {
        markDirty(segment);
      }
      if (last) {
        active = segment;
        position = recovered.endOffset();
      }
      if (count - i <= residentSegments) {
        if (!last) {
          makeResident(segment);
        }
        residentOrder.add(segment);
      }
    }
  }

  private static Segment segment(RecoveredLog.Segment found, LogFile file) {
    return new Segment(
        file, found.sequence(), found.firstBatch(), found.previousCrc(), found.usedBytes());
  }

  /** Returns what to call the log in messages. */
  public String name() {
    return name;
  }

  /** Returns the counters of this journal; on its core. */
  public JournalCounters counters() {
    return counters;
  }

  /** Returns whether a record could be begun now: the first segment is there. */
  public boolean isReady() {
    return active != null || next != null;
  }

  /** Returns whether trims and deletions can still be recorded once the log is full. */
  public boolean hasReserve() {
    return reserve != null;
  }

  /** Returns why the journal can't go on, or {@link Status#OK}. */
  public int failure() {
    return failure;
  }

  /** Returns the status of the newest attempt to make a segment. */
  public int prepareStatus() {
    return storage.prepareStatus();
  }

  /** Returns the bytes that the log's segments take, spare ones among them. */
  public long usedBytes() {
    return (long) segmentCount * segmentBytes;
  }

  /** Returns how many blocks a segment has. */
  public int blocksPerSegment() {
    return blocksPerSegment;
  }

  /** Returns how many slots there are. */
  public int slotCount() {
    return segments.length;
  }

  /** Returns the segment in a slot, or null when none is in use there. */
  public Segment segment(int slot) {
    return segments[slot];
  }

  /** Returns the segment that is being written; null before the first record. */
  public Segment active() {
    return active;
  }

  /**
   * Returns how many blocks a small record could have at least and still go into the segment that
   * is being written.
   */
  public int roomBlocks() {
    int end = isOpen ? payloadStart + openPayloadBlocks * BLOCK : position;
    return active == null ? 0 : (segmentBytes - end) / BLOCK - 1;
  }

  /**
   * Returns whether so little is populated that records of clients would soon wait for more; who
   * can wait better, should.
   */
  public boolean isPopulationShort() {
    if (active == null || storage.populateStatus() != Status.OK) {
      return false;
    }
    int ahead = Math.min(POPULATE_AHEAD_BYTES / 4, segmentBytes / 8);
    int enough = (int) Math.min(segmentBytes, (long) position + ahead);
    boolean isShort = active.file().writableBytes() < enough;
    if (isShort) {
      active.file().populateTo(enough);
    }
    return isShort;
  }

  /** See {@link LogStorage#gently}. */
  public void gently(boolean isGentle) {
    storage.gently(isGentle);
  }

  /** Returns how many segments hold records. */
  public int segmentsInUse() {
    return segmentCount - spareSegments();
  }

  /** Returns how many segments have a file and hold no records: freed ones, and those prepared. */
  public int spareSegments() {
    return spareCount + (next == null ? 0 : 1) + (reserve == null ? 0 : 1);
  }

  /** Returns how many segments could be begun after the one being written. */
  public int availableSegments() {
    int ready = spareSegments();
    // What is being prepared is counted with the slots that have no file yet.
    return hostFull ? ready : ready + segments.length - segmentCount;
  }

  /**
   * Returns how many segments clients' data leaves to the cleaner, checkpoints, trims and commands,
   * so that space can always be won back.
   */
  public int reservedSegments() {
    return Math.clamp(limitSegments() / SEGMENTS_PER_RESERVED, 1, MAX_RESERVED_SEGMENTS)
        + (int) (neededBlocks / blocksPerSegment);
  }

  /** Sets how many blocks the next checkpoint needs: without it no segment would ever be freed. */
  public void needBlocks(long blocks) {
    neededBlocks = blocks;
  }

  /** Returns how many blocks could still be appended, by whoever may take the last segment. */
  public long freeBlocks() {
    return (long) availableSegments() * (blocksPerSegment - 1) + Math.max(0, roomBlocks());
  }

  /** Returns how many segments the log may have, as far as the file system lets it. */
  public int limitSegments() {
    return hostFull ? segmentCount : segments.length;
  }

  /**
   * Seals what is open and returns where replay would begin if all that was appended up to now were
   * part of a checkpoint.
   */
  public Superblock.Start mark() {
    seal();
    endHeaderBlock();
    return active == null
        ? Superblock.Start.NEW
        : new Superblock.Start(nextSequence, chainCrc, active.sequence(), position);
  }

  /**
   * Returns where replay begins that is to see all of the segment with a place, and what follows.
   */
  public Superblock.Start startOfSegment(long place) {
    Segment segment = segments[slot(place)];
    return new Superblock.Start(
        segment.firstBatch(), segment.previousCrc(), segment.sequence(), BLOCK);
  }

  /** Returns the sequence of the segment that a place is in. */
  public long segmentSequence(long place) {
    return segments[slot(place)].sequence();
  }

  /**
   * Gives up a segment that nothing refers to: not the index, not the durable checkpoint, not
   * memory on loan. Its slot is used again.
   */
  public void free(int slot) {
    Segment segment = segments[slot];
    if (segment == active || !segment.isUnpinned()) {
      throw new IllegalStateException("segment in slot " + slot + " is in use");
    }
    residentOrder.remove(segment);
    forgetDirty(segment);
    segments[slot] = null;
    boolean keep = spareCount < spareLimit;
    storage.free(segment.file(), keep);
    if (keep) {
      spare[slot] = true;
      spareCount++;
    } else {
      segmentCount--;
    }
    counters.segmentsFreed++;
    hostFull = false;
  }

  private void forgetDirty(Segment segment) {
    int kept = 0;
    for (int i = 0; i < dirtyCount; i++) {
      if (dirty[i] != segment) {
        dirty[kept++] = dirty[i];
      }
    }
    dirtyCount = kept;
  }

  /** Returns the bytes that the log may take. */
  public long capacityBytes() {
    return (long) segments.length * segmentBytes;
  }

  /** Returns the sequence of the newest sealed batch. */
  public long sealedSequence() {
    return nextSequence - 1;
  }

  /** Returns the sequence that the batch being filled has or the next one will have. */
  public long openSequence() {
    return nextSequence;
  }

  /** Returns the sequence of the batch with the newest record, sealed or not. */
  public long pendingSequence() {
    return openRecords > 0 ? nextSequence : nextSequence - 1;
  }

  /** Returns up to which batch everything is durable. */
  public long durableSequence() {
    return durableSequence;
  }

  /** Returns the newest batch that is durable, or that a sync which was started covers. */
  public long syncedSequence() {
    return pendingSyncs > 0 ? Math.max(syncTarget, durableSequence) : durableSequence;
  }

  /** Returns the most blocks that a single record may carry. */
  public int maxRecordBlocks() {
    // One block for the segment's header, and one checksum for each payload block in the batch's
    // header.
    return (int) ((blocksPerSegment - 2) * (long) BLOCK / (BLOCK + Integer.BYTES)) - 1;
  }

  /**
   * Begins a record in the open batch; the caller then fills in {@link #payloadAddress}, {@link
   * #checksum} or {@link #command} at once.
   *
   * @param count blocks for WRITE and UNMAP, bytes for COMMAND
   * @return true when begun; false when not: nothing has happened, {@link #refusal()} says why, and
   *     after EAGAIN {@link JournalListener#onReady} tells when to try again
   */
  public boolean begin(
      int type, int flags, int group, long term, long index, long firstBlock, int count) {
    if (!admit(type, count)) {
      return false;
    }
    encode(type, flags, group, term, index, firstBlock, count);
    return true;
  }

  private boolean admit(int type, int count) {
    int headerBytes = RecordHeader.encodedBytes(type, count);
    int payloadBlocks = RecordHeader.hasPayload(type) ? count : 0;
    boolean open = failure == Status.OK && !closed;
    if (open && freeBlocks() < neededBlocks + COMMAND_MARGIN_BLOCKS) {
      return refuseData();
    }
    if (!reserve(headerBytes, payloadBlocks, type == RecordHeader.WRITE)) {
      return false;
    }
    if (type == RecordHeader.WRITE) {
      counters.dataRecords++;
      counters.dataBlocks += count;
    }
    return true;
  }

  /**
   * Begins a record that is this log's own and not an entry of a group: RELOCATE, META and JOIN. It
   * may take the segments that clients' data has to leave.
   *
   * @return as for {@link #begin}
   */
  public boolean beginLocal(int type, int flags, int group, int count) {
    int headerBytes = RecordHeader.encodedBytes(type, count);
    if (!reserve(headerBytes, RecordHeader.hasPayload(type) ? count : 0, false)) {
      return false;
    }
    encode(type, flags, group, 0, 0, 0, count);
    return true;
  }

  private void encode(
      int type, int flags, int group, long term, long index, long firstBlock, int count) {
    int payloadBlocks = RecordHeader.hasPayload(type) ? count : 0;
    int headerBytes = RecordHeader.encodedBytes(type, count);
    recordHeader.wrap(active.file().memory().address() + headerEnd, headerBytes);
    recordPayload = openPayloadBlocks;
    recordHeader.encode(type, flags, group, term, index, firstBlock, count, recordPayload);
    headerEnd += headerBytes;
    openPayloadBlocks += payloadBlocks;
    openRecords++;
  }

  /**
   * Makes sure that the next records, up to {@code headerBytes} of headers (see {@link
   * RecordHeader#encodedBytes}) and {@code payloadBlocks} of payload, go into one batch, so that a
   * crash leaves all or none of them.
   *
   * @return as for {@link #begin}
   */
  public boolean reserve(int headerBytes, int payloadBlocks) {
    boolean open = failure == Status.OK && !closed;
    // Each of the records is judged by its own: none may be refused after the first.
    long blocks = payloadBlocks + 1L + LogFormat.blocks(BatchHeader.BYTES + headerBytes);
    if (open && freeBlocks() < neededBlocks + COMMAND_MARGIN_BLOCKS + blocks) {
      return refuseData();
    }
    return reserve(headerBytes, payloadBlocks, payloadBlocks > 0);
  }

  private boolean reserve(int headerBytes, int payloadBlocks, boolean isData) {
    if (failure != Status.OK || closed) {
      refusal = failure != Status.OK ? failure : Status.ESHUTDOWN;
      return false;
    }
    if (fitsOpenBatch(headerBytes, payloadBlocks)) {
      // The cleaner may have begun it, in a segment that data has to leave.
      return !isData || availableSegments() >= reservedSegments() || refuseData();
    }
    seal();
    return openBatch(headerBytes, payloadBlocks, isData);
  }

  /**
   * Returns why {@link #begin} has refused: EAGAIN, ENOSPC, ESHUTDOWN, or the errno of the failed
   * device.
   */
  public int refusal() {
    return refusal;
  }

  /** Returns where the payload of the record just begun goes. */
  public long payloadAddress() {
    return active.file().memory().address() + payloadStart + recordPayload * (long) BLOCK;
  }

  /**
   * Returns the place in the log, in blocks, of the first payload block of the record just begun.
   */
  public long payloadPlace() {
    return (long) active.file().slot() * blocksPerSegment + payloadStart / BLOCK + recordPayload;
  }

  /**
   * Computes and stores the checksum of payload block {@code i} of the record just begun; returns
   * it.
   */
  public int checksum(int i) {
    int value = active.file().memory().crc32c(crc, payloadAddress() + (long) i * BLOCK, BLOCK);
    recordHeader.checksum(i, value);
    return value;
  }

  /**
   * Returns where the checksums of the record just begun are; they stay there as long as the
   * segment is in memory.
   */
  public long checksumAddress() {
    return recordHeader.checksumAddress();
  }

  /** Stores the number and the place of block {@code i} of the RELOCATE or MAP just begun. */
  public void blockAndPlace(int i, long block, long place) {
    recordHeader.blockAndPlace(i, block, place);
  }

  /** Stores the checksum of block {@code i} of the RELOCATE or MAP just begun. */
  public void storeChecksum(int i, int checksum) {
    recordHeader.checksum(i, checksum);
  }

  /** Stores the number of block {@code i} of the META just begun. */
  public void number(int i, int number) {
    recordHeader.number(i, number);
  }

  /** Stores the bytes of the COMMAND or JOIN just begun. */
  public void command(byte[] bytes) {
    recordHeader.command(bytes);
  }

  /**
   * Asks that everything appended up to the end of this duty cycle becomes durable; {@link
   * JournalListener#onDurable} tells.
   */
  public void requestSync() {
    syncWanted = true;
    durabilityAsked = true;
  }

  /**
   * Returns the address of a block of the log in memory, or zero when it has to be read with {@link
   * #read}. The memory stays valid within this duty cycle, and longer while {@link #pin pinned}.
   */
  public long residentAddress(long place) {
    Segment segment = segments[slot(place)];
    if (segment == null || !segment.isReadable()) {
      return 0;
    }
    return segment.file().memory().address() + (long) blockInSegment(place) * BLOCK;
  }

  /**
   * Returns whether a resident block matches its checksum. In a segment that is locked in memory a
   * block is verified when it is first read: nothing that a disk does reaches it afterwards.
   */
  public boolean isResidentGood(long place, long address, int checksum) {
    Segment segment = segments[slot(place)];
    int block = blockInSegment(place);
    if (segment.isVerified(block)) {
      return true;
    }
    if (segment.file().memory().crc32c(crc, address, BLOCK) != checksum) {
      return false;
    }
    segment.setVerified(block);
    return true;
  }

  private int slot(long place) {
    return (int) (place >>> segmentShift);
  }

  private int blockInSegment(long place) {
    return (int) place & (blocksPerSegment - 1);
  }

  /** Keeps the memory of a place's segment valid; returns the token for {@link #release}. */
  public long pin(long place) {
    int slot = slot(place);
    segments[slot].pin();
    return slot;
  }

  @Override
  public void release(long token) {
    segments[(int) token].unpin();
  }

  /**
   * Reads consecutive blocks of the log through the ring; contract of {@link
   * io.plinth.engine.api.BlockFile#read}.
   */
  public boolean read(long place, int blocks, long address, Completion completion, long context) {
    Segment segment = segments[slot(place)];
    return segment
        .file()
        .read(address, blocks * BLOCK, (long) blockInSegment(place) * BLOCK, completion, context);
  }

  /** Reads as {@link #read} does, but never copies on this thread. */
  public boolean readAside(
      long place, int blocks, long address, Completion completion, long context) {
    return segments[slot(place)]
        .file()
        .readAside(
            address, blocks * BLOCK, (long) blockInSegment(place) * BLOCK, completion, context);
  }

  /** Returns whether two places are neighbours in one segment. */
  public boolean areNeighbours(long place, long following) {
    return following == place + 1 && blockInSegment(following) != 0;
  }

  /** Describes a place for messages to people. */
  public String describe(long place) {
    return name + " segment " + slot(place) + " offset " + (long) blockInSegment(place) * BLOCK;
  }

  /** Seals the open batch and moves durability on; once per duty cycle. */
  @Override
  public int doWork(long nowNs) {
    int work = openRecords;
    seal();
    if (failure != Status.OK) {
      return work;
    }
    work += startSync();
    work += prepareNext() ? 1 : 0;
    if (refused) {
      work += offerAgain();
    }
    evictSome();
    return work;
  }

  /** Ends the open batch: from here on its records are appended. */
  public void seal() {
    if (openRecords > 0) {
      sealBatch();
      listener.onAppended(nextSequence - 1);
    }
  }

  /** Lets the next batch begin a block: for replay, or because this one is going to the disk. */
  private void endHeaderBlock() {
    sharedStart = 0;
    isOpen = openRecords > 0;
  }

  /** Stops taking records. What has been begun is sealed. */
  public void stop() {
    seal();
    closed = true;
  }

  /** Returns the checksum that continues the chain, for the superblock. */
  public int chainCrc() {
    return chainCrc;
  }

  private void markDirty(Segment segment) {
    if (!segment.isDirty()) {
      segment.setDirty(true);
      if (dirtyCount == dirty.length) {
        dirty = Arrays.copyOf(dirty, dirtyCount * 2);
      }
      dirty[dirtyCount++] = segment;
    }
  }

  private boolean fitsOpenBatch(int headerBytes, int payloadBlocks) {
    return isOpen
        && headerEnd + headerBytes <= headerLimit
        && payloadStart + (openPayloadBlocks + payloadBlocks) * (long) BLOCK
            <= active.file().writableBytes();
  }

  private boolean openBatch(int headerBytes, int payloadBlocks, boolean isData) {
    if (isOpen && openHeaderBlocks > 0) {
      // It was begun, with a header of its own, and nothing came: headerLimit is not that of the
      // block that the batch before would share, behind which payload lies.
      sharedStart = 0;
    }
    int bytes = BatchHeader.BYTES + headerBytes;
    int headerBlocks = sharesHeader(bytes, payloadBlocks) ? 0 : LogFormat.blocks(bytes);
    long total = (headerBlocks + payloadBlocks) * (long) BLOCK;
    if (active == null || position + total > segmentBytes) {
      if (BLOCK + total > segmentBytes) {
        throw new IllegalArgumentException(
            "a record of " + payloadBlocks + " blocks does not fit a segment");
      }
      if (!roll(isData)) {
        return false;
      }
    }
    if (isData && availableSegments() < reservedSegments()) {
      return refuseData();
    }
    int end = (int) (position + total);
    if (end > active.file().writableBytes()) {
      active.file().populateTo((int) Math.min(segmentBytes, (long) end + POPULATE_AHEAD_BYTES));
      if (storage.populateStatus() != Status.OK) {
        return refuseUnpopulated(headerBytes, payloadBlocks, isData);
      }
      counters.populationWaits += awaitedBytes == 0 ? 1 : 0;
      awaitedBytes = Math.max(awaitedBytes, end);
      return refuse(Status.EAGAIN);
    }
    isOpen = true;
    openHeaderBlocks = headerBlocks;
    payloadStart = position + headerBlocks * BLOCK;
    openPayloadBlocks = 0;
    openRecords = 0;
    if (headerBlocks == 0) {
      headerStart = sharedStart;
    } else {
      headerStart = position;
      headerLimit = payloadStart;
      // What the file held before is never taken for a header that shares this block.
      NativeMemory.zero(active.file().memory().address() + headerLimit - BLOCK, BLOCK);
    }
    headerEnd = headerStart + BatchHeader.BYTES;
    return true;
  }

  /** Returns whether the next batch goes on in the header block of the one before. */
  private boolean sharesHeader(int bytes, int payloadBlocks) {
    return sharedStart > 0
        && sharedStart + bytes <= headerLimit
        && position + payloadBlocks * (long) BLOCK <= segmentBytes;
  }

  /**
   * The file system has no room for the rest of this segment, although it was allocated: some write
   * in a new place each time. Others may have been written whole before.
   */
  private boolean refuseUnpopulated(int headerBytes, int payloadBlocks, boolean isData) {
    if (storage.populateStatus() != Status.ENOSPC) {
      return refuse(Status.EIO);
    }
    noteHostFull();
    return roll(isData) && openBatch(headerBytes, payloadBlocks, isData);
  }

  private void noteHostFull() {
    if (!hostFull) {
      hostFull = true;
      core.timers().schedule(core.clock().nowNs() + RETRY_NS, this::onRetryTimer);
    }
  }

  /** Data has to wait until the cleaner has won space back, if it can. */
  private boolean refuseData() {
    awaitsSpace = true;
    return refuse(listener.mayFreeSegments() ? Status.EAGAIN : Status.ENOSPC);
  }

  private boolean refuse(int status) {
    refusal = status;
    refused |= status == Status.EAGAIN;
    return false;
  }

  /** Goes on to the next segment; the reserve is kept for records that free space. */
  private boolean roll(boolean isData) {
    takePrepared();
    if (isData && availableSegments() <= reservedSegments()) {
      return refuseData();
    }
    LogFile file = next;
    if (file == null && !preparing && freeSlot() < 0) {
      if (isData || reserve == null) {
        return refuse(Status.ENOSPC);
      }
      file = reserve;
      reserve = null;
    } else if (file == null) {
      counters.segmentWaits += awaitsSegment ? 0 : 1;
      awaitsSegment = true;
      return refuse(Status.EAGAIN);
    } else {
      next = null;
    }
    if (active != null) {
      active.usedBytes(position);
      makeResident(active);
    }
    activate(file);
    prepareNext();
    return true;
  }

  private void makeResident(Segment segment) {
    segment.beginVerification(blocksPerSegment);
    storage.makeResident(segment.file(), segment.usedBytes());
  }

  private void activate(LogFile file) {
    long sequence = active == null ? 1 : active.sequence() + 1;
    Segment segment = new Segment(file, sequence, nextSequence, chainCrc, BLOCK);
    NativeMemory memory = file.memory();
    SegmentHeader header = new SegmentHeader().wrap(memory.address());
    header.encode(segmentBytes, logId, file.slot(), sequence, nextSequence, chainCrc);
    header.crc(memory.crc32c(crc, memory.address(), SegmentHeader.CRC_OFFSET));
    segments[file.slot()] = segment;
    active = segment;
    position = BLOCK;
    sharedStart = 0;
    // Whoever waits for room in the segment before, or for this one, is offered this one.
    awaitedBytes = 0;
    awaitsSegment = false;
    rolled = refused;
    markDirty(segment);
    residentOrder.add(segment);
    counters.segmentsUsed++;
  }

  /**
   * Keeps one segment ready to go on with, and one in reserve; returns whether something has
   * changed.
   */
  private boolean prepareNext() {
    boolean took = takePrepared();
    if (preparing || (next != null && reserve != null)) {
      return took;
    }
    int slot = freeSlot();
    if (slot < 0) {
      return took;
    }
    preparing = true;
    // The first segment is needed at once; after it the reserve, without which a full log could not
    // even record a trim.
    preparingReserve = isReady() && reserve == null;
    preparingSlot = slot;
    storage.prepare(slot);
    return took;
  }

  private boolean takePrepared() {
    if (!preparing) {
      return false;
    }
    LogFile file = storage.takePrepared();
    if (file == null) {
      if (storage.prepareStatus() != Status.OK) {
        preparing = false;
        if (spare[preparingSlot]) {
          // Its file is gone.
          spare[preparingSlot] = false;
          spareCount--;
          segmentCount--;
        }
        noteHostFull();
        // A log that could never be used is reported by whoever opens it.
        if (active != null && !fullReported) {
          fullReported = true;
          LOG.error(
              "{}: no more segments can be made: {}", name, Status.name(storage.prepareStatus()));
        }
      }
      return false;
    }
    preparing = false;
    if (spare[preparingSlot]) {
      spare[preparingSlot] = false;
      spareCount--;
    } else {
      fullReported = false;
      segmentCount++;
    }
    if (preparingReserve) {
      reserve = file;
    } else {
      next = file;
    }
    return true;
  }

  /** Returns a slot to prepare: one that has a file already, else one that may get one. */
  private int freeSlot() {
    if (spareCount > 0) {
      for (int slot = 0; slot < spare.length; slot++) {
        if (spare[slot]) {
          return slot;
        }
      }
    }
    if (hostFull) {
      return -1;
    }
    for (int slot = 0; slot < segments.length; slot++) {
      boolean taken =
          segments[slot] != null
              || (next != null && next.slot() == slot)
              || (reserve != null && reserve.slot() == slot)
              || (preparing && preparingSlot == slot);
      if (!taken) {
        return slot;
      }
    }
    return -1;
  }

  /** Tells the listener once what it waits for is there. */
  private int offerAgain() {
    boolean populated =
        awaitedBytes > 0
            && ((active != null && active.file().writableBytes() >= awaitedBytes)
                || storage.populateStatus() != Status.OK);
    boolean segmentReady = awaitsSegment && (next != null || !preparing);
    boolean spaceReady =
        awaitsSpace && (availableSegments() > reservedSegments() || !listener.mayFreeSegments());
    if (!populated && !segmentReady && !spaceReady && !rolled) {
      return 0;
    }
    refused = false;
    rolled = false;
    awaitsSegment = false;
    awaitsSpace = false;
    awaitedBytes = 0;
    listener.onReady();
    return 1;
  }

  private void sealBatch() {
    NativeMemory memory = active.file().memory();
    long address = memory.address() + headerStart;
    int headerBytes = headerEnd - headerStart;
    batchHeader.wrap(address, headerBytes);
    batchHeader.encode(
        headerBytes,
        logId,
        nextSequence,
        durableSequence,
        chainCrc,
        openRecords,
        openHeaderBlocks,
        openPayloadBlocks,
        core.clock().epochMs(),
        starts,
        headerStart,
        payloadStart / BLOCK);
    int headerCrc = memory.crc32c(crc, address, headerBytes);
    // The checksum makes the batch valid: nothing of it may be stored later than that.
    VarHandle.releaseFence();
    batchHeader.headerCrc(headerCrc);
    chainCrc = headerCrc;
    position = payloadStart + openPayloadBlocks * BLOCK;
    // A header that shares a block lies in it. When more was reserved than came, the blocks after
    // it
    // are not this batch's to share, and the rest of its own was not set to zero.
    boolean endsInLastBlock = headerEnd > headerLimit - BLOCK;
    sharedStart = endsInLastBlock ? BatchHeader.sharedAfter(headerEnd) : 0;
    active.usedBytes(position);
    markDirty(active);
    counters.batches++;
    counters.records += openRecords;
    counters.payloadBlocks += openPayloadBlocks;
    counters.headerBlocks += openHeaderBlocks;
    isOpen = false;
    openRecords = 0;
    nextSequence++;
    if (active.file().writableBytes() - position < POPULATE_AHEAD_BYTES / 2) {
      active
          .file()
          .populateTo((int) Math.min(segmentBytes, (long) position + POPULATE_AHEAD_BYTES));
    }
    if (preparing && next == null && segmentBytes - position < HURRY_BYTES) {
      storage.hurry();
    }
  }

  private int startSync() {
    if (!syncWanted || pendingSyncs > 0 || !areReadyToSync()) {
      return 0;
    }
    if (plantedBugs.contains(PlantedBug.SKIP_FDATASYNC)) {
      durableSequence = nextSequence - 1;
    }
    if (durableSequence == nextSequence - 1) {
      syncWanted = false;
      listener.onDurable(durableSequence);
      return 1;
    }
    syncTarget = nextSequence - 1;
    syncWanted = false;
    if (!plantedBugs.contains(PlantedBug.SHARE_SYNCED_HEADER)) {
      endHeaderBlock();
    }
    counters.syncs++;
    int kept = 0;
    for (int i = 0; i < dirtyCount; i++) {
      Segment segment = dirty[i];
      int to = segment.usedBytes();
      if (segment.file().syncRange(segment.syncedBytes(), to, this, segment.file().slot())) {
        pendingSyncs++;
        // A sync that fails ends the journal, so this need not be taken back.
        segment.syncedBytes(to);
        segment.setDirty(false);
      } else {
        // No slot on the ring: the part that was started must still be followed by a whole sync.
        dirty[kept++] = segment;
        syncWanted = true;
        syncTarget = durableSequence;
      }
    }
    dirtyCount = kept;
    return 1;
  }

  private boolean areReadyToSync() {
    boolean areReady = true;
    for (int i = 0; i < dirtyCount; i++) {
      Segment segment = dirty[i];
      areReady &= segment.file().isReadyToSync(segment.syncedBytes(), segment.usedBytes());
    }
    return areReady;
  }

  /** A sync of one segment has ended. */
  @Override
  public void onComplete(long context, int result) {
    if (result < 0 && plantedBugs.contains(PlantedBug.RETRY_FAILED_SYNC)) {
      segments[(int) context].file().sync(this, context);
      return;
    }
    pendingSyncs--;
    if (result < 0) {
      fail(result, "fdatasync of segment " + context);
      return;
    }
    if (pendingSyncs > 0 || failure != Status.OK) {
      return;
    }
    if (syncTarget > durableSequence) {
      durableSequence = syncTarget;
      listener.onDurable(durableSequence);
    }
    scheduleMark();
  }

  private void scheduleMark() {
    if (durabilityAsked && !markScheduled && !closed) {
      durabilityAsked = false;
      markScheduled = true;
      core.timers().schedule(core.clock().nowNs() + MARK_DELAY_NS, this::onMarkTimer);
    }
  }

  /**
   * Writes an empty batch that names the durable position, when no other batch has done so. It is
   * not synced itself: it need not survive the loss of power, only the common case that the last
   * flushed data of an idle volume rots.
   */
  private void onMarkTimer(long nowNs) {
    markScheduled = false;
    boolean idle = openRecords == 0 && durableSequence == nextSequence - 1;
    if (freeBlocks() < neededBlocks + COMMAND_MARGIN_BLOCKS) {
      return;
    }
    if (!idle || markedSequence >= durableSequence || closed || failure != Status.OK) {
      return;
    }
    if (openBatch(0, 0, false)) {
      sealBatch();
      // The mark itself is not worth a mark.
      markedSequence = nextSequence - 1;
    }
  }

  /** The file system may have room again. */
  private void onRetryTimer(long nowNs) {
    if (!closed && failure == Status.OK) {
      hostFull = false;
    }
  }

  /** Ends the journal because its device failed: nothing is acknowledged any more. */
  public void fail(int status, String what) {
    if (failure == Status.OK) {
      failure = Status.isError(status) ? Status.EIO : status;
      LOG.error(
          "{}: {} failed with {}: the log stops, nothing is acknowledged any more",
          name,
          what,
          Status.name(status));
      listener.onFailed(failure, durableSequence);
    }
  }

  /** Lets the oldest segments in memory go when there are more than the budget allows. */
  private void evictSome() {
    int budget = storage.canPin() ? residentSegments : 1;
    while (residentOrder.size() > budget) {
      Segment oldest = residentOrder.peek();
      if (oldest.isDirty() || pendingSyncs > 0) {
        // Out of memory it would depend on pages that a failed sync lets the kernel forget.
        syncWanted |= oldest.isDirty();
        return;
      }
      oldest.beginEviction();
      if (!oldest.isUnpinned()) {
        return;
      }
      residentOrder.poll();
      storage.evict(oldest.file());
    }
  }
}
