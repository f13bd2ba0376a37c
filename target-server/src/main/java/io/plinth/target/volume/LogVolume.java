package io.plinth.target.volume;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.ReplicaGroup;
import java.util.ArrayList;
import java.util.List;
import org.agrona.UnsafeApi;

/** A volume whose blocks live in the log of its core. */
public final class LogVolume implements Volume {
  private static final int BLOCK = BLOCK_BYTES;

  private final VolumeStore store;
  private final ReplicaGroup group;
  private final String name;
  private final long sizeBytes;
  private final FlushPolicy flushPolicy;
  private final BlockIndex index;
  private final VolumeStatistics statistics = new VolumeStatistics();
  private final List<Attachment> attachments = new ArrayList<>();
  private volatile int attachmentCount;
  private volatile long corruptReads;
  private boolean closed;

  LogVolume(VolumeStore store, int group, String name, long sizeBytes, FlushPolicy flushPolicy) {
    this.store = store;
    this.group = new ReplicaGroup(group);
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.flushPolicy = flushPolicy;
    this.index = new BlockIndex(store.indexMemory(), (sizeBytes + BLOCK - 1) / BLOCK);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public Core core() {
    return store.core();
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  /** Returns the group whose log this volume's records are; on the core. */
  public ReplicaGroup group() {
    return group;
  }

  /** Returns whether this volume is one of a store's; any thread. */
  public boolean isIn(VolumeStore candidate) {
    return store.equals(candidate);
  }

  /** Returns when writes are acknowledged; any thread. */
  public FlushPolicy flushPolicy() {
    return flushPolicy;
  }

  /** Returns the counts and latencies; any thread. */
  public VolumeStatistics statistics() {
    return statistics;
  }

  /** Returns how many bytes have a place or a claim on space; on the core. */
  public long mappedBytes() {
    return index.mappedBlocks() * BLOCK;
  }

  /** Returns how many clients use the volume; any thread. */
  public int attachmentCount() {
    return attachmentCount;
  }

  /** Returns how many reads have failed because of damaged blocks; any thread. */
  public long corruptReads() {
    return corruptReads;
  }

  @Override
  public void attach(Attachment attachment) {
    attachments.add(attachment);
    attachmentCount = attachments.size();
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

  @Override
  public boolean submit(VolumeRequest request) {
    request.volume = this;
    if (closed) {
      store.complete(request, Status.ESHUTDOWN);
      return true;
    }
    if (request.length == 0 && request.operation != Operation.FLUSH) {
      store.complete(request, Status.OK);
      return true;
    }
    return switch (request.operation) {
      case READ -> read(request);
      case WRITE -> write(request, false);
      case FLUSH -> flush(request);
      case TRIM -> trim(request);
      case WRITE_ZEROES -> writeZeroes(request);
      case CACHE -> {
        store.complete(request, Status.OK);
        yield true;
      }
      case BLOCK_STATUS -> blockStatus(request);
    };
  }

  void lead() {
    group.lead();
  }

  BlockIndex index() {
    return index;
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // only this core writes it
  void countCorruptRead() {
    corruptReads++;
  }

  void close() {
    closed = true;
    for (Attachment attachment : List.copyOf(attachments)) {
      attachment.onVolumeClosed();
    }
    index.clear();
  }

  void recover(RecordHeader record, long payloadPlace) throws RecoveryException {
    long first = record.firstBlock();
    long blocks = (sizeBytes + BLOCK - 1) / BLOCK;
    if (first < 0 || first >= blocks || record.blockCount() > blocks - first) {
      throw new RecoveryException(
          "volume "
              + name
              + ": a record names block "
              + first
              + ", which lies outside of the volume");
    }
    group.recovered(record.term(), record.index());
    if (record.type() == RecordHeader.WRITE) {
      for (int i = 0; i < record.blockCount(); i++) {
        index.put(first + i, payloadPlace + i, record.checksum(i), record.index());
      }
    } else if (record.type() == RecordHeader.UNMAP) {
      index.unmap(
          first,
          record.blockCount(),
          (record.flags() & RecordHeader.ALLOCATED) != 0,
          record.index());
    }
  }

  /** Puts a committed request's effect into the index. */
  void apply(VolumeRequest request) {
    if (closed) {
      return;
    }
    if (request.unmapCount > 0) {
      index.unmap(request.unmapFirst, request.unmapCount, request.noHole, request.groupIndex);
    }
    for (int piece = 0; piece < request.pieceCount; piece++) {
      long first = request.pieceFirst[piece];
      long place = request.piecePlace[piece];
      long checksums = request.pieceChecksums[piece];
      int count = request.pieceBlocks[piece];
      for (int i = 0; i < count; i++) {
        index.put(first + i, place + i, UnsafeApi.getInt(checksums + 4L * i), request.groupIndex);
      }
    }
  }

  private boolean flush(VolumeRequest request) {
    // Every write that was acknowledged is in a sealed batch.
    Journal journal = store.journal();
    long sealed = journal.sealedSequence();
    if (journal.durableSequence() >= sealed && journal.failure() == Status.OK) {
      store.complete(request, Status.OK);
    } else {
      store.awaitDurable(request, sealed);
    }
    return true;
  }

  private boolean write(VolumeRequest request, boolean zeroes) {
    long first = request.offset / BLOCK;
    long end = request.offset + request.length;
    long last = (end - 1) / BLOCK;
    int head = (int) (request.offset % BLOCK);
    int tail = (int) (end % BLOCK);
    boolean mergeHead = head != 0 || (first == last && tail != 0);
    boolean mergeTail = tail != 0 && last != first;
    if ((mergeHead || mergeTail) && store.isBegun(this, first, last)) {
      store.journal().seal();
    }
    long headBase = mergeHead ? base(first) : 0;
    long tailBase = mergeTail ? base(last) : 0;
    if ((mergeHead && headBase == MergeBlocks.PENDING)
        || (mergeTail && tailBase == MergeBlocks.PENDING)) {
      return false;
    }
    if (headBase == MergeBlocks.FAILED || tailBase == MergeBlocks.FAILED) {
      store.complete(request, Status.EIO);
      return true;
    }
    Journal journal = store.journal();
    int count = (int) (last - first + 1);
    if (!journal.begin(RecordHeader.WRITE, 0, group, first, count)) {
      return refused(request);
    }
    long target = journal.payloadAddress();
    if (mergeHead) {
      NativeMemory.copy(headBase, target, BLOCK);
    }
    if (mergeTail) {
      NativeMemory.copy(tailBase, target + (long) (count - 1) * BLOCK, BLOCK);
    }
    if (zeroes) {
      NativeMemory.zero(target + head, request.length);
    } else {
      copyPayload(request, target + head);
    }
    addPiece(request, first, count);
    request.unmapCount = 0;
    request.groupIndex = group.lastIndex();
    store.addBegun(request);
    return true;
  }

  /** Notes the WRITE just begun as a piece of the request's effect. */
  private void addPiece(VolumeRequest request, long first, int count) {
    addPiece(request, 0, first, count);
    request.pieceCount = 1;
  }

  private void addPiece(VolumeRequest request, int piece, long first, int count) {
    Journal journal = store.journal();
    for (int i = 0; i < count; i++) {
      journal.checksum(i);
    }
    request.pieceFirst[piece] = first;
    request.pieceBlocks[piece] = count;
    request.piecePlace[piece] = journal.payloadPlace();
    request.pieceChecksums[piece] = journal.checksumAddress();
  }

  private static void copyPayload(VolumeRequest request, long target) {
    long to = target;
    IoVector payload = request.payload;
    for (int i = 0; i < payload.count(); i++) {
      NativeMemory.copy(payload.address(i), to, payload.length(i));
      to += payload.length(i);
    }
  }

  /** Returns whether the request is done with: completed with an error, or to be tried again. */
  private boolean refused(VolumeRequest request) {
    int refusal = store.journal().refusal();
    if (refusal == Status.EAGAIN) {
      return false;
    }
    store.complete(request, refusal);
    return true;
  }

  /**
   * Returns the address of what a block holds now, for a write of a part of it; valid in this call
   * only. {@link MergeBlocks#PENDING} when it has to be read first, {@link MergeBlocks#FAILED} when
   * it can't be.
   */
  private long base(long block) {
    long place = index.place(block);
    if (place == BlockIndex.UNMAPPED || place == BlockIndex.ALLOCATED_ZERO) {
      return ZeroBlock.ADDRESS;
    }
    Journal journal = store.journal();
    long address = journal.residentAddress(place);
    if (address == 0) {
      return store.merges().find(this, block, place);
    }
    if (!journal.isResidentGood(place, address, index.checksum(block))) {
      store.reads().report(this, block, place, "does not match its checksum");
      return MergeBlocks.FAILED;
    }
    return address;
  }

  private boolean trim(VolumeRequest request) {
    // What is less than a block at the edges stays: trimming is advisory.
    long first = (request.offset + BLOCK - 1) / BLOCK;
    long end = request.offset + request.length;
    // The end of a volume whose size is no multiple of a block counts as whole.
    long endBlock = end == sizeBytes ? (end + BLOCK - 1) / BLOCK : end / BLOCK;
    request.noHole = false;
    request.pieceCount = 0;
    return unmap(request, first, endBlock);
  }

  private boolean writeZeroes(VolumeRequest request) {
    long first = (request.offset + BLOCK - 1) / BLOCK;
    long end = request.offset + request.length;
    long endBlock = end == sizeBytes ? (end + BLOCK - 1) / BLOCK : end / BLOCK;
    if (first >= endBlock) {
      return write(request, true);
    }
    request.pieceCount = 0;
    if (first * BLOCK == request.offset && endBlock * BLOCK >= end) {
      return unmap(request, first, endBlock);
    }
    return writeZeroesWithEdges(request, first, endBlock);
  }

  /**
   * Zeroes whole blocks and parts of the blocks around them in one batch, so that a crash leaves
   * all or nothing.
   */
  private boolean writeZeroesWithEdges(VolumeRequest request, long first, long endBlock) {
    long headBlock = request.offset / BLOCK;
    long end = request.offset + request.length;
    boolean hasHead = headBlock < first;
    boolean hasTail = end > endBlock * BLOCK;
    if (store.isBegun(this, headBlock, endBlock)) {
      store.journal().seal();
    }
    long headBase = hasHead ? base(headBlock) : ZeroBlock.ADDRESS;
    long tailBase = hasTail ? base(endBlock) : ZeroBlock.ADDRESS;
    if (headBase == MergeBlocks.PENDING || tailBase == MergeBlocks.PENDING) {
      return false;
    }
    if (headBase == MergeBlocks.FAILED || tailBase == MergeBlocks.FAILED) {
      store.complete(request, Status.EIO);
      return true;
    }
    Journal journal = store.journal();
    int headerBytes =
        2 * RecordHeader.encodedBytes(RecordHeader.WRITE, 1)
            + RecordHeader.encodedBytes(RecordHeader.UNMAP, 1);
    if (!journal.reserve(headerBytes, 2)
        || !journal.begin(
            RecordHeader.UNMAP, unmapFlags(request), group, first, (int) (endBlock - first))) {
      return refused(request);
    }
    request.unmapFirst = first;
    request.unmapCount = endBlock - first;
    int pieces = 0;
    if (hasHead) {
      int keep = (int) (request.offset % BLOCK);
      writeEdge(request, pieces++, headBlock, headBase, keep, BLOCK - keep);
    }
    if (hasTail) {
      writeEdge(request, pieces++, endBlock, tailBase, 0, (int) (end % BLOCK));
    }
    request.pieceCount = pieces;
    request.groupIndex = group.lastIndex();
    store.addBegun(request);
    return true;
  }

  private void writeEdge(
      VolumeRequest request, int piece, long block, long base, int from, int zeroes) {
    Journal journal = store.journal();
    if (!journal.begin(RecordHeader.WRITE, 0, group, block, 1)) {
      throw new IllegalStateException("room was reserved: " + Status.name(journal.refusal()));
    }
    NativeMemory.copy(base, journal.payloadAddress(), BLOCK);
    NativeMemory.zero(journal.payloadAddress() + from, zeroes);
    addPiece(request, piece, block, 1);
  }

  private boolean unmap(VolumeRequest request, long first, long endBlock) {
    if (first >= endBlock) {
      return nothingToDo(request);
    }
    if (store.isBegun(this, first, endBlock - 1)) {
      store.journal().seal();
    }
    if (!request.noHole && !index.anyMapped(first, endBlock - first)) {
      return nothingToDo(request);
    }
    if (!store
        .journal()
        .begin(RecordHeader.UNMAP, unmapFlags(request), group, first, (int) (endBlock - first))) {
      return refused(request);
    }
    request.unmapFirst = first;
    request.unmapCount = endBlock - first;
    request.groupIndex = group.lastIndex();
    store.addBegun(request);
    return true;
  }

  /**
   * Completes a request without an effect of its own; with FUA it still promises that what it found
   * is durable.
   */
  private boolean nothingToDo(VolumeRequest request) {
    if (request.fua || flushPolicy == FlushPolicy.ALWAYS) {
      return flush(request);
    }
    store.complete(request, Status.OK);
    return true;
  }

  private static int unmapFlags(VolumeRequest request) {
    return request.noHole ? RecordHeader.ALLOCATED : 0;
  }

  private boolean blockStatus(VolumeRequest request) {
    long position = request.offset;
    long end = request.offset + request.length;
    request.extents.clear();
    int limit = request.singleExtent ? 1 : request.extentLimit;
    while (position < end) {
      long block = position / BLOCK;
      long next;
      int state;
      if (index.hasLeaf(block)) {
        next = (block + 1) * BLOCK;
        long place = index.place(block);
        state = place == BlockIndex.UNMAPPED ? ExtentList.HOLE | ExtentList.ZERO : 0;
        state = place == BlockIndex.ALLOCATED_ZERO ? ExtentList.ZERO : state;
      } else {
        next = index.nextPresentLeaf(block) * BLOCK;
        next = next <= position ? (block + BlockIndex.blocksLeftInLeaf(block)) * BLOCK : next;
        state = ExtentList.HOLE | ExtentList.ZERO;
      }
      next = Math.min(next, end);
      int count = request.extents.count();
      if (count == limit && request.extents.state(count - 1) != state) {
        break;
      }
      request.extents.add(next - position, state);
      position = next;
    }
    store.complete(request, Status.OK);
    return true;
  }

  private boolean read(VolumeRequest request) {
    request.pendingReads = 0;
    request.failure = Status.OK;
    request.data.clear();
    request.coldBuffer = 0;
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
      boolean data = place != BlockIndex.UNMAPPED && place != BlockIndex.ALLOCATED_ZERO;
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
    if (place == BlockIndex.UNMAPPED || place == BlockIndex.ALLOCATED_ZERO) {
      return readZeroes(request, position, end);
    }
    long address = journal.residentAddress(place);
    if (address == 0) {
      return readCold(request, position, end);
    }
    long next = Math.min(end, (block + 1) * BLOCK);
    if (!journal.isResidentGood(place, address, index.checksum(block))) {
      store.reads().report(this, block, place, "does not match its checksum");
      request.failure = Status.EIO;
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
    return place == BlockIndex.UNMAPPED || place == BlockIndex.ALLOCATED_ZERO;
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
    if (status != Status.OK) {
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
    store.complete(request, request.failure);
  }
}
