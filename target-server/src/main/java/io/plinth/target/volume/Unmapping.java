package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.Replica;

/** Requests of a volume's clients that make blocks read as zeroes: TRIM and WRITE_ZEROES. */
final class Unmapping {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  private final VolumeStore store;
  private final LogVolume volume;
  private final VolumeGroup group;

  Unmapping(VolumeStore store, LogVolume volume) {
    this.store = store;
    this.volume = volume;
    this.group = volume.group();
  }

  boolean trim(VolumeRequest request) {
    // What is less than a block at the edges stays: trimming is advisory.
    long first = (request.offset + BLOCK - 1) / BLOCK;
    long end = request.offset + request.length;
    // The end of a volume whose size is no multiple of a block counts as whole.
    long endBlock = end == volume.sizeBytes() ? (end + BLOCK - 1) / BLOCK : end / BLOCK;
    request.noHole = false;
    request.pieceCount = 0;
    return unmap(request, first, endBlock);
  }

  boolean writeZeroes(VolumeRequest request) {
    long first = (request.offset + BLOCK - 1) / BLOCK;
    long end = request.offset + request.length;
    long endBlock = end == volume.sizeBytes() ? (end + BLOCK - 1) / BLOCK : end / BLOCK;
    if (first >= endBlock) {
      return volume.write(request, true);
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
    BlockIndex index = volume.index();
    int pages = index.bringEdges(first, endBlock - first);
    pages = hasHead ? IndexSpace.worse(pages, index.bring(headBlock, headBlock)) : pages;
    pages = hasTail ? IndexSpace.worse(pages, index.bring(endBlock, endBlock)) : pages;
    if (pages != Status.OK) {
      return volume.withoutPages(request, pages);
    }
    if (!store.isApplied(volume, headBlock, endBlock)) {
      return false;
    }
    long headBase = hasHead ? volume.base(headBlock) : ZeroBlock.ADDRESS;
    long tailBase = hasTail ? volume.base(endBlock) : ZeroBlock.ADDRESS;
    if (headBase == MergeBlocks.FAILED || tailBase == MergeBlocks.FAILED) {
      store.complete(request, Status.EIO);
      return true;
    }
    if (headBase == MergeBlocks.PENDING || tailBase == MergeBlocks.PENDING) {
      return false;
    }
    Journal journal = store.journal();
    int headerBytes =
        2 * RecordHeader.encodedBytes(RecordHeader.WRITE, 1)
            + RecordHeader.encodedBytes(RecordHeader.UNMAP, 1);
    long proposed = group.refusal(3);
    if (proposed == 0) {
      int blocks = (int) (endBlock - first);
      proposed =
          journal.reserve(headerBytes, 2)
              ? group.propose(RecordHeader.UNMAP, unmapFlags(request) | partFlag(), first, blocks)
              : Replica.NO_ROOM;
    }
    if (proposed <= 0) {
      return volume.refused(request, proposed);
    }
    request.unmapFirst = first;
    request.unmapCount = endBlock - first;
    int pieces = 0;
    if (hasHead) {
      int keep = (int) (request.offset % BLOCK);
      int part = hasTail ? partFlag() : 0;
      proposed = writeEdge(request, pieces++, part, headBlock, headBase, keep, BLOCK - keep);
    }
    if (hasTail) {
      int zeroes = (int) (end % BLOCK);
      proposed = writeEdge(request, pieces++, 0, endBlock, tailBase, 0, zeroes);
    }
    request.pieceCount = pieces;
    group.addBegun(request, proposed);
    return true;
  }

  /**
   * Returns the flag of an entry that has an effect only together with the next one. Without other
   * members all of them are in one batch, which is there or not.
   */
  private int partFlag() {
    return group.isAlone() ? 0 : RecordHeader.PART;
  }

  /** Returns the index of the entry. */
  private long writeEdge(
      VolumeRequest request, int piece, int flags, long block, long base, int from, int zeroes) {
    Journal journal = store.journal();
    if (store.isPlanted(PlantedBug.SPLIT_WRITE)) {
      journal.seal();
    }
    long proposed = group.propose(RecordHeader.WRITE, flags, block, 1);
    if (proposed <= 0) {
      throw new IllegalStateException("room was reserved: " + Status.name(journal.refusal()));
    }
    NativeMemory.copy(base, journal.payloadAddress(), BLOCK);
    NativeMemory.zero(journal.payloadAddress() + from, zeroes);
    volume.addPiece(request, piece, block, 1);
    return proposed;
  }

  private boolean unmap(VolumeRequest request, long first, long endBlock) {
    if (first >= endBlock) {
      return nothingToDo(request);
    }
    // With other members it is applied later, and that brings what it needs.
    int pages = group.isAlone() ? volume.index().bringEdges(first, endBlock - first) : Status.OK;
    if (pages != Status.OK) {
      return volume.withoutPages(request, pages);
    }
    if (!store.isApplied(volume, first, endBlock - 1)) {
      return false;
    }
    // Whoever has lost the lead and does not know it must not say what there is.
    if (!request.noHole && group.isAlone() && !volume.index().anyMapped(first, endBlock - first)) {
      return nothingToDo(request);
    }
    int blocks = (int) (endBlock - first);
    long proposed = group.propose(RecordHeader.UNMAP, unmapFlags(request), first, blocks);
    if (proposed <= 0) {
      return volume.refused(request, proposed);
    }
    request.unmapFirst = first;
    request.unmapCount = endBlock - first;
    group.addBegun(request, proposed);
    return true;
  }

  /**
   * Completes a request without an effect of its own; with FUA it still promises that what it found
   * is durable.
   */
  private boolean nothingToDo(VolumeRequest request) {
    if (request.fua || volume.flushPolicy() == FlushPolicy.ALWAYS) {
      return volume.flush(request);
    }
    store.complete(request, Status.OK);
    return true;
  }

  private static int unmapFlags(VolumeRequest request) {
    return request.noHole ? RecordHeader.ALLOCATED : 0;
  }
}
