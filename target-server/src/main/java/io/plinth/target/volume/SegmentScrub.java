package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.segment.Segment;
import io.plinth.target.volume.DamageList.Kind;
import java.util.BitSet;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Verifies what is alive in one segment, a bit at a time, with what is read from the disk.
 *
 * <p>The headers of the batches say whose each block is; what its checksum must be says the index:
 * so a write that was lost is found too, though what is on the disk in its place matches itself.
 * What is dead is not read. The segment is pinned during a read only; between reads it may be
 * freed, and that ends its scrub. A block is judged by what the index says after it was read: a
 * place is written once in the life of a segment, so whatever is alive then was read as it has to
 * be.
 */
final class SegmentScrub implements Completion {
  private static final Logger LOG = LoggerFactory.getLogger(SegmentScrub.class);
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Bytes read at a time: small, so that a client's read behind it hardly waits. */
  static final int READ_BYTES = 64 << 10;

  private static final int CHECKED_PER_CYCLE = 16;
  private static final int LOOKED_PER_CYCLE = 2048;

  /** A header has at most 8 bytes for each block of a segment, or is none. */
  private static final int HEADER_PART = 256;

  private enum Stage {
    CLOSED,
    BATCHES,
    UNCHECKED,
    DONE
  }

  private final VolumeStore store;
  private final IndexSpace space;
  private final BlockReferences references;
  private final DamageList damage;
  private final boolean skipsUnreadable;
  private final boolean reportsDead;
  private final int areaBytes;
  private final NativeMemory memory;
  private final long headerArea;
  private final long chunkArea;
  private final CRC32C crc = new CRC32C();
  private final BatchHeader batch = new BatchHeader();
  private final RecordHeader record = new RecordHeader();

  private Stage stage = Stage.CLOSED;
  private Segment segment;
  private long base;
  private int end;
  private int position;

  /** Blocks of data that are no concern any more: they were judged. */
  private final BitSet judged;

  private boolean mending;
  private boolean mendAgain;
  private int judgedMeta;
  private int liveMeta;

  // What is in memory of the segment, and the blocks of it that can't be read.
  private int chunkStart;
  private int chunkEnd;
  private final BitSet unreadable = new BitSet();

  // What has to be read next, and how far that has come.
  private int wantedStart;
  private int wantedEnd;
  private int readAt;
  private boolean singly;
  private Segment reading;
  private boolean abandoned;

  // What is in memory of header blocks.
  private int headersStart;
  private int headersEnd;

  // The batch before the position.
  private boolean inBatch;
  private long headerAddress;
  private int payloadOffset;
  private int payloadBlocks;
  private int headerBytes;
  private int recordsLeft;
  private int recordAt;
  private int blockInRecord;

  /** Up to here the payload of batches was met. */
  private int payloadEnd;

  /** Whether a page of the index has to be read before this goes on. */
  private boolean awaitsPage;

  private final HeldLeaves held;

  /** The first block behind the position that is alive, as far as that is known. */
  private int liveAhead;

  // Blocks without a good header, at the end.
  private int uncheckedAt;
  private int unchecked;
  private long firstUnchecked;

  SegmentScrub(VolumeStore store, int segmentBytes, DamageList damage) {
    this.store = store;
    this.space = store.space();
    this.references = space.references();
    this.damage = damage;
    this.skipsUnreadable = store.isPlanted(PlantedBug.SCRUB_SKIPS_UNREADABLE);
    this.reportsDead = store.isPlanted(PlantedBug.SCRUB_REPORTS_DEAD);
    areaBytes = READ_BYTES + (segmentBytes / HEADER_PART & -BLOCK);
    memory = NativeMemory.reserve(2L * areaBytes);
    headerArea = memory.address();
    chunkArea = headerArea + areaBytes;
    held = new HeldLeaves(space.pages(), IndexPages.OF_SCRUB);
    judged = new BitSet(segmentBytes / BLOCK);
  }

  /** Begins with a segment, up to a position that is durable. */
  void open(Segment newSegment, int newEnd) {
    segment = newSegment;
    base = segment.file().slot() * store.blocksPerSegment();
    end = newEnd;
    position = BLOCK;
    payloadEnd = BLOCK;
    headersStart = 0;
    headersEnd = 0;
    inBatch = false;
    chunkStart = 0;
    chunkEnd = 0;
    wantedStart = 0;
    wantedEnd = 0;
    readAt = 0;
    singly = false;
    liveAhead = 0;
    uncheckedAt = 0;
    unchecked = 0;
    judged.clear();
    judgedMeta = 0;
    liveMeta = references.liveMeta(segment.file().slot());
    stage = Stage.BATCHES;
    segment.file().beginDiskReads();
  }

  boolean isOpen() {
    return stage != Stage.CLOSED;
  }

  /** Returns whether reads can be started. */
  boolean isReady() {
    return segment.file().isReadyForDiskReads();
  }

  /** Returns whether the newest segment is read from the disk and not from the page cache. */
  boolean readsPastCache() {
    return segment.file().readsPastCache();
  }

  boolean isDone() {
    return stage == Stage.DONE;
  }

  /** Returns up to where the segment has been looked at, in bytes. */
  int position() {
    return position;
  }

  /** Returns up to where the segment is looked at, in bytes. */
  int end() {
    return end;
  }

  /** Ends the scrub of this segment, finished or not. */
  void close() {
    stage = Stage.CLOSED;
    held.release();
    if (reading != null) {
      abandoned = true;
    } else {
      segment.file().endDiskReads();
    }
  }

  /** Returns whether a read is in flight, even one that nobody waits for. */
  boolean isReading() {
    return reading != null;
  }

  /** Returns how many bytes have to be read next; zero when there is something to look at. */
  int wantedBytes() {
    return singly ? BLOCK : wantedEnd - readAt;
  }

  /** Starts the read that is wanted; false when the ring has no slot. */
  boolean read() {
    if (isGone()) {
      stage = Stage.DONE;
      return true;
    }
    int length = wantedBytes();
    segment.pin();
    reading = segment;
    long address = chunkArea + (readAt - wantedStart);
    if (!segment.file().readDisk(address, length, readAt, this, length)) {
      reading = null;
      segment.unpin();
      return false;
    }
    return true;
  }

  @Override
  public void onComplete(long length, int result) {
    Segment of = reading;
    reading = null;
    of.unpin();
    if (abandoned) {
      abandoned = false;
      of.file().endDiskReads();
      return;
    }
    if (result != length) {
      if (length > BLOCK) {
        singly = true;
        return;
      }
      unreadable.set((readAt - wantedStart) / BLOCK);
      NativeMemory.zero(chunkArea + (readAt - wantedStart), BLOCK);
    }
    readAt += (int) length;
    if (readAt >= wantedEnd) {
      chunkStart = wantedStart;
      chunkEnd = wantedEnd;
      wantedStart = wantedEnd;
      readAt = wantedEnd;
      singly = false;
    }
  }

  private void want(int offset, int least) {
    wantedStart = offset;
    wantedEnd = Math.min(end, offset + Math.max(least, READ_BYTES));
    readAt = offset;
    singly = false;
    chunkEnd = 0;
    unreadable.clear();
  }

  private boolean isRead(int offset, int length) {
    return offset >= chunkStart && offset + length <= chunkEnd;
  }

  private boolean isUnreadable(int offset) {
    return unreadable.get((offset - chunkStart) / BLOCK);
  }

  private boolean isGone() {
    return store.journal().segment(segment.file().slot()) != segment;
  }

  /** Goes on with what has been read, for one duty cycle; returns how much was done. */
  int look() {
    if (isGone()) {
      stage = Stage.DONE;
      return 1;
    }
    int done = 0;
    awaitsPage = false;
    for (int looked = 0; done < CHECKED_PER_CYCLE && looked < LOOKED_PER_CYCLE; looked++) {
      if (stage == Stage.DONE || wantedEnd > readAt || awaitsPage) {
        break;
      }
      if (stage == Stage.UNCHECKED) {
        lookForUnchecked();
      } else if (inBatch) {
        done += nextBlock();
      } else {
        nextBatch();
      }
    }
    return awaitsPage ? done : done + 1;
  }

  private void nextBatch() {
    if (position >= end) {
      stage = Stage.UNCHECKED;
      return;
    }
    int block = position & -BLOCK;
    if (!hasHeaders(block, BLOCK)) {
      return;
    }
    int found = BatchHeader.find(headerArea + block - headersStart, position - block);
    if (found < 0) {
      passOver(block);
      return;
    }
    position = block + found;
    batch.wrap(headerArea + position - headersStart, BatchHeader.BYTES);
    boolean possible = batch.isPossible(position, end) && batch.headerBytes() <= areaBytes;
    int length = possible ? found + batch.headerBytes() : 0;
    if (possible && !hasHeaders(block, length)) {
      return;
    }
    headerAddress = headerArea + position - headersStart;
    batch.wrap(headerAddress, BatchHeader.BYTES);
    if (!possible || batch.headerCrc() != batch.checksum(memory, crc, headerAddress)) {
      position += BatchHeader.ALIGNMENT;
      return;
    }
    headerBytes = batch.headerBytes();
    recordsLeft = batch.recordCount();
    recordAt = BatchHeader.BYTES;
    blockInRecord = 0;
    payloadBlocks = batch.payloadBlocks();
    payloadOffset = batch.payloadStart() * BLOCK;
    payloadEnd = Math.max(payloadEnd, batch.endOffset());
    int shared = batch.sharedStart();
    position = shared > 0 ? shared : payloadEnd;
    inBatch = true;
  }

  /** Brings header blocks into memory; false when they have to be read first. */
  private boolean hasHeaders(int start, int length) {
    if (start >= headersStart && start + length <= headersEnd) {
      return true;
    }
    int blocks = (length + BLOCK - 1) & -BLOCK;
    if (!isRead(start, blocks)) {
      want(start, blocks);
      return false;
    }
    // What can't be read was set to zero, and is no header.
    NativeMemory.copy(chunkArea + start - chunkStart, headerArea, blocks);
    headersStart = start;
    headersEnd = start + blocks;
    return true;
  }

  /** What is no batch lies behind the last one, or its header is damaged. */
  private void passOver(int block) {
    position = Math.max(payloadEnd, block + BLOCK);
    if (judgedMeta < liveMeta) {
      return;
    }
    int last = end / BLOCK;
    liveAhead = Math.max(liveAhead, position / BLOCK);
    while (liveAhead < last && references.count(base + liveAhead) == 0) {
      liveAhead++;
    }
    position = liveAhead == last ? end : position;
  }

  private int nextBlock() {
    if (recordsLeft == 0) {
      inBatch = false;
      return 0;
    }
    record.wrap(headerAddress + recordAt, headerBytes - recordAt);
    if (!record.isPossible(headerBytes - recordAt, payloadBlocks)) {
      recordsLeft = 0;
      return 0;
    }
    int count = RecordHeader.hasPayload(record.type()) ? record.blockCount() : 0;
    if (blockInRecord >= count) {
      recordAt += RecordHeader.encodedBytes(record.type(), record.blockCount());
      blockInRecord = 0;
      recordsLeft--;
      return 0;
    }
    int i = blockInRecord;
    int offset = payloadOffset + (record.payloadBlock() + i) * BLOCK;
    long place = base + offset / BLOCK;
    boolean isMeta = record.type() == RecordHeader.META;
    boolean isAlive = isMeta ? isMeta(i, place) : references.count(place) > 0 || reportsDead;
    if (!isAlive) {
      blockInRecord++;
      return 0;
    }
    if (!isRead(offset, BLOCK)) {
      want(offset, BLOCK);
      return 0;
    }
    if (isMeta) {
      judgeMeta(i, place, offset);
    } else {
      judge(i, place, offset);
    }
    blockInRecord += awaitsPage ? 0 : 1;
    return awaitsPage ? 0 : 1;
  }

  private void judge(int i, long place, int offset) {
    boolean first = record.type() == RecordHeader.WRITE;
    int family = first ? store.family(record.group()) : record.group();
    long block = first ? record.firstBlock() + i : record.block(i);
    int found = space.bringRing(family, block, held);
    awaitsPage = found == Status.EAGAIN;
    if (!awaitsPage) {
      held.release();
    }
    if (found != Status.OK) {
      // What can't be read of the index is reported where it lies.
      judged.set(offset / BLOCK, found == Status.EIO);
      return;
    }
    int leaf = space.findLeaf(family, block, place);
    if (leaf == 0 && !reportsDead) {
      // The header is not what belongs here.
      return;
    }
    judged.set(offset / BLOCK);
    int expected =
        leaf == 0
            ? record.checksum(i)
            : IndexSpace.checksum(space.leafAddress(leaf), (int) (block % IndexSpace.LEAF_BLOCKS));
    String what = judge(offset, expected);
    LogVolume volume = what == null ? null : store.volume(family);
    if (volume != null
        && leaf != 0
        && store.mends().mend(volume.group(), block, place, expected, true)) {
      return;
    }
    if (what != null && damage.add(Kind.DATA, place, segment.sequence(), family, block, what)) {
      LOG.error(
          "{} {} on the disk; it is lost unless it is written again",
          store.journal().describe(place),
          what);
    }
  }

  /** Returns what is wrong with a block, or null. */
  private String judge(int offset, int expected) {
    if (isUnreadable(offset)) {
      return skipsUnreadable ? null : DamageList.UNREADABLE;
    }
    int found = memory.crc32c(crc, chunkArea + (offset - chunkStart), BLOCK);
    return found == expected ? null : DamageList.MISMATCH;
  }

  private boolean isMeta(int i, long place) {
    int number = record.number(i);
    Checkpointer checkpointer = store.checkpointer();
    IndexPages pages = space.pages();
    return switch (record.flags()) {
      case RecordHeader.PAGES ->
          number > 0 && number < pages.pageLimit() && pages.place(number) == place;
      case RecordHeader.TABLE -> checkpointer.isTable(number, place);
      default -> checkpointer.isRoot(place);
    };
  }

  /**
   * Judges a block of the checkpoint. What it holds is in memory too, so that the next checkpoint
   * mends it; a page that is not there is read through the page cache, which may be better than the
   * disk.
   */
  private void judgeMeta(int i, long place, int offset) {
    judgedMeta++;
    int number = record.number(i);
    Checkpointer checkpointer = store.checkpointer();
    IndexPages pages = space.pages();
    int expected =
        switch (record.flags()) {
          case RecordHeader.PAGES -> pages.checksum(number);
          case RecordHeader.TABLE -> checkpointer.table().checksum(number);
          default -> record.checksum(i);
        };
    String what = judge(offset, expected);
    if (what == null) {
      return;
    }
    Kind kind =
        switch (record.flags()) {
          case RecordHeader.PAGES -> Kind.PAGE;
          case RecordHeader.TABLE -> Kind.TABLE;
          default -> Kind.DESCRIPTION;
        };
    if (damage.add(kind, place, segment.sequence(), 0, number, what)) {
      Journal journal = store.journal();
      LOG.error(
          "{} {} on the disk; a new checkpoint does without it", journal.describe(place), what);
    }
    if (kind == Kind.PAGE && pages.refs(number) > 0) {
      space.mend(number);
    } else if (kind == Kind.TABLE) {
      checkpointer.rewriteTable(number);
    }
    mend();
  }

  /** Lets a checkpoint begin that has the blocks that were touched; one at a time. */
  private void mend() {
    if (mending) {
      mendAgain = true;
      return;
    }
    mending = true;
    store
        .checkpointer()
        .request(status -> {
          mending = false;
          if (mendAgain && status == Status.OK) {
            mendAgain = false;
            mend();
          }
        });
  }

  /** Looks at one block of the segment: alive, and not met behind a good header? */
  private void lookForUnchecked() {
    if (uncheckedAt < end / BLOCK) {
      int block = uncheckedAt++;
      if (references.count(base + block) > 0 && !judged.get(block)) {
        firstUnchecked = unchecked == 0 ? base + block : firstUnchecked;
        unchecked++;
      }
      return;
    }
    stage = Stage.DONE;
    if (unchecked > 0) {
      String what = "can't be checked: the header of its batch is damaged";
      if (damage.add(Kind.UNCHECKED, firstUnchecked, segment.sequence(), 0, unchecked, what)) {
        LOG.error("{} and more blocks {}", store.journal().describe(firstUnchecked), what);
      }
    }
  }

  void free() {
    memory.close();
  }
}
