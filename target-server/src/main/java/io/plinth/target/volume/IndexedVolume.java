package io.plinth.target.volume;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import java.util.ArrayList;
import java.util.List;

/** What a volume and a snapshot of one have in common: an index, and reads through it. */
public abstract class IndexedVolume implements Volume {
  private static final int BLOCK = BLOCK_BYTES;

  /** Blocks that one BLOCK_STATUS looks at: some hundred microseconds. */
  private static final int STATUS_BUDGET = 1 << 16;

  final VolumeStore store;
  final BlockIndex index;
  private final VolumeStatistics statistics = new VolumeStatistics();
  private final List<Attachment> attachments = new ArrayList<>();
  private volatile int attachmentCount;
  private volatile long corruptReads;
  private boolean closed;

  IndexedVolume(VolumeStore store, BlockIndex index) {
    this.store = store;
    this.index = index;
  }

  @Override
  public Core core() {
    return store.core();
  }

  /** Returns whether this volume is one of a store's; any thread. */
  public boolean isIn(VolumeStore candidate) {
    return store.equals(candidate);
  }

  /** Returns the counts and latencies; any thread. */
  public VolumeStatistics statistics() {
    return statistics;
  }

  /** Returns how many bytes have a place or a claim on space; on the core. */
  public long mappedBytes() {
    return index.mappedBlocks() * BLOCK;
  }

  @Override
  public int attachmentCount() {
    return attachmentCount;
  }

  /** Returns how many reads have failed because of damaged blocks; any thread. */
  public long corruptReads() {
    return corruptReads;
  }

  @Override
  public boolean attach(Attachment attachment) {
    attachments.add(attachment);
    attachmentCount = attachments.size();
    return true;
  }

  @Override
  public void detach(Attachment attachment) {
    attachments.remove(attachment);
    attachmentCount = attachments.size();
  }

  @Override
  public void awaitReady(ReadyListener listener) {
    store.awaitReady(listener);
  }

  @Override
  public void cancelReady(ReadyListener listener) {
    store.cancelReady(listener);
  }

  BlockIndex index() {
    return index;
  }

  /** Returns the group whose members have what this has. */
  abstract VolumeGroup owner();

  @SuppressWarnings("NonAtomicVolatileUpdate") // only this core writes it
  void countCorruptRead() {
    corruptReads++;
  }

  boolean isClosed() {
    return closed;
  }

  /** Disconnects all clients. */
  void disconnect() {
    List<Attachment> told = List.copyOf(attachments);
    attachments.clear();
    attachmentCount = 0;
    told.forEach(Attachment::onVolumeClosed);
  }

  /** Is gone: clients are disconnected and the pages of the index given up. */
  void close() {
    closed = true;
    disconnect();
    index.clear();
  }

  /**
   * A request needs pages of the index that are not in memory; returns whether it is done with: it
   * has failed, or is to be tried again when told.
   */
  boolean withoutPages(VolumeRequest request, int found) {
    if (found == Status.EAGAIN) {
      return false;
    }
    store.complete(request, Status.EIO);
    return true;
  }

  /** Brings the pages that tell something of the first block that BLOCK_STATUS asks about. */
  private int bringFirst(VolumeRequest request) {
    long block = request.offset / BLOCK;
    int found = index.bring(block, block);
    for (int i = 0; i < request.contexts.size(); i++) {
      if (request.contexts.get(i).since() instanceof IndexedVolume snapshot
          && !snapshot.isClosed()) {
        found = IndexSpace.worse(found, snapshot.index.bring(block, block));
      }
    }
    return found;
  }

  /** Begins to bring the pages that a request will need. */
  void readAhead(VolumeRequest request) {
    if (request.length > 0 && request.operation == Operation.READ) {
      int _ = index.bring(request.offset / BLOCK, (request.offset + request.length - 1) / BLOCK);
    }
  }

  boolean blockStatus(VolumeRequest request) {
    int pages = bringFirst(request);
    if (pages != Status.OK) {
      return withoutPages(request, pages);
    }
    int contexts = request.contexts.size();
    // What all of them together may look at in this duty cycle: the answer may be about less than
    // was asked for.
    int budget = STATUS_BUDGET / contexts;
    int limit = request.singleExtent ? 1 : request.extentLimit;
    for (int i = 0; i < contexts; i++) {
      Volume since = request.contexts.get(i).since();
      ExtentList extents = request.extents(i);
      extents.clear();
      if (since == null) {
        findAllocation(request, extents, limit, budget);
      } else if (since instanceof IndexedVolume snapshot && !snapshot.isClosed()) {
        findChanges(request, snapshot, extents, limit, budget);
      } else {
        // Deleted since it was selected.
        store.complete(request, Status.EIO);
        return true;
      }
    }
    store.complete(request, Status.OK);
    return true;
  }

  private void findAllocation(VolumeRequest request, ExtentList extents, int limit, int budget) {
    long position = request.offset;
    long end = request.offset + request.length;
    for (int looks = 0; position < end && looks < budget; looks++) {
      long block = position / BLOCK;
      if (block % IndexSpace.LEAF_BLOCKS == 0 && index.bring(block, block) != Status.OK) {
        // Of this leaf when it is asked about, or told of again.
        return;
      }
      long next;
      int state;
      if (index.hasLeaf(block)) {
        next = (block + 1) * BLOCK;
        long place = index.place(block);
        state = place == IndexSpace.UNMAPPED ? ExtentList.HOLE | ExtentList.ZERO : 0;
        state = place == IndexSpace.ALLOCATED_ZERO ? ExtentList.ZERO : state;
      } else {
        next = index.nextPresentLeaf(block) * BLOCK;
        next = next <= position ? (block + BlockIndex.blocksLeftInLeaf(block)) * BLOCK : next;
        state = ExtentList.HOLE | ExtentList.ZERO;
      }
      next = Math.min(next, end);
      if (!extents.add(next - position, state, limit)) {
        return;
      }
      position = next;
    }
  }

  private void findChanges(
      VolumeRequest request, IndexedVolume since, ExtentList extents, int limit, int budget) {
    long position = request.offset;
    long end = request.offset + request.length;
    IndexDiff diff =
        new IndexDiff(
            store.space(),
            since.index(),
            index,
            position / BLOCK,
            (end + BLOCK - 1) / BLOCK,
            limit);
    int _ = diff.step(budget);
    long compared = diff.isFinished() ? end : Math.min(end, diff.nextBlock() * BLOCK);
    for (IndexDiff.Run run : diff.runs()) {
      long from = Math.max(position, run.firstBlock() * BLOCK);
      long to = Math.min(compared, (run.firstBlock() + run.blocks()) * BLOCK);
      if ((from > position && !extents.add(from - position, 0, limit))
          || !extents.add(to - from, ExtentList.CHANGED, limit)) {
        return;
      }
      position = to;
    }
    if (position < compared) {
      boolean _ = extents.add(compared - position, 0, limit);
    }
  }

  boolean read(VolumeRequest request) {
    request.pendingReads = 0;
    request.failure = Status.OK;
    request.data.clear();
    request.coldBuffer = 0;
    int pages = index.bring(request.offset / BLOCK, (request.offset + request.length - 1) / BLOCK);
    if (pages != Status.OK) {
      return withoutPages(request, pages);
    }
    if (!hasReadBuffers(request)) {
      return false;
    }
    long position = request.offset;
    long end = request.offset + request.length;
    while (position < end && request.failure == Status.OK) {
      position = readRun(request, position, end);
    }
    if (request.pendingReads == 0) {
      finishRead(request);
    }
    return true;
  }

  /**
   * Returns whether the pool has the buffers that blocks outside of memory need; when not, asks to
   * be told.
   */
  private boolean hasReadBuffers(VolumeRequest request) {
    long first = request.offset / BLOCK;
    long last = (request.offset + request.length - 1) / BLOCK;
    Journal journal = store.journal();
    int cold = 0;
    for (long block = first; block <= last; block++) {
      long place = index.place(block);
      boolean data = place != IndexSpace.UNMAPPED && place != IndexSpace.ALLOCATED_ZERO;
      if (data && journal.residentAddress(place) == 0) {
        cold++;
      }
    }
    int perBuffer = store.reads().blocksPerBuffer();
    // Runs never straddle buffers in the worst case that each run leaves a buffer's rest unused:
    // they are split instead.
    int needed = (cold + perBuffer - 1) / perBuffer;
    if (store.readBuffers().available() >= needed) {
      return true;
    }
    if (needed > store.readBuffers().capacity()) {
      throw new IllegalArgumentException(
          "a read of " + request.length + " bytes is more than the front end may ask for");
    }
    store.awaitReadBuffers(needed);
    return false;
  }

  /**
   * Adds the longest run of equal kind from {@code position} to the request's data; returns where
   * it ends.
   */
  private long readRun(VolumeRequest request, long position, long end) {
    Journal journal = store.journal();
    long block = position / BLOCK;
    int skip = (int) (position % BLOCK);
    long place = index.place(block);
    if (place == IndexSpace.UNMAPPED || place == IndexSpace.ALLOCATED_ZERO) {
      return readZeroes(request, position, end);
    }
    long address = journal.residentAddress(place);
    if (address == 0) {
      return readCold(request, position, end);
    }
    long next = Math.min(end, (block + 1) * BLOCK);
    if (!journal.isResidentGood(place, address, index.checksum(block))
        && !store.isPlanted(PlantedBug.SKIP_READ_CHECKSUM)) {
      request.failure =
          store
              .reads()
              .damaged(this, block, place, index.checksum(block), "does not match its checksum");
      return next;
    }
    IoVector data = request.data;
    int length = (int) (next - position);
    int last = data.count() - 1;
    if (last >= 0
        && data.address(last) + data.length(last) == address + skip
        && journal.equals(data.owner(last))) {
      // Neighbouring addresses are in one segment: each begins with a header block, which is never
      // data.
      data.extendLast(length);
    } else {
      data.add(address + skip, length, journal, journal.pin(place));
    }
    return next;
  }

  private long readZeroes(VolumeRequest request, long position, long end) {
    long next = position;
    while (next < end && isZero(next / BLOCK)) {
      next = Math.min(end, (next / BLOCK + 1) * BLOCK);
    }
    request.data.add(0, (int) (next - position), null, 0);
    return next;
  }

  private boolean isZero(long block) {
    long place = index.place(block);
    return place == IndexSpace.UNMAPPED || place == IndexSpace.ALLOCATED_ZERO;
  }

  private long readCold(VolumeRequest request, long position, long end) {
    Journal journal = store.journal();
    long block = position / BLOCK;
    int skip = (int) (position % BLOCK);
    long place = index.place(block);
    long lastBlock = (end - 1) / BLOCK;
    BufferPool pool = store.readBuffers();
    boolean newBuffer =
        request.coldBuffer == 0 || request.coldBlocks == store.reads().blocksPerBuffer();
    if (newBuffer) {
      request.coldBuffer = pool.acquire();
      request.coldBlocks = 0;
    }
    int room = store.reads().blocksPerBuffer() - request.coldBlocks;
    int blocks = 1;
    while (blocks < room
        && block + blocks <= lastBlock
        && journal.areNeighbours(place + blocks - 1, index.place(block + blocks))) {
      blocks++;
    }
    long address = request.coldBuffer + (long) request.coldBlocks * BLOCK;
    request.coldBlocks += blocks;
    long next = Math.min(end, (block + blocks) * BLOCK);
    if (!newBuffer) {
      request.data.dropOwner(request.coldOwner);
    }
    request.coldOwner = request.data.count();
    request.data.add(address + skip, (int) (next - position), pool, request.coldBuffer);
    request.pendingReads++;
    store.reads().start(this, block, place, blocks, address, request);
    return next;
  }

  /** One of a request's reads has ended. */
  void onRequestRead(VolumeRequest request, int status) {
    request.pendingReads--;
    if (status != Status.OK && request.failure != Status.EIO) {
      request.failure = status;
    }
    if (request.pendingReads == 0) {
      finishRead(request);
    }
  }

  private void finishRead(VolumeRequest request) {
    if (request.failure != Status.OK) {
      request.data.releaseAll();
    }
    if (request.failure == Status.EAGAIN) {
      store.mends().await(request);
    } else {
      store.complete(request, request.failure);
    }
  }

  /** Reads again what was damaged; false when it must be tried again. */
  boolean readAgain(VolumeRequest request) {
    if (closed) {
      store.complete(request, Status.ESHUTDOWN);
      return true;
    }
    return read(request);
  }
}
