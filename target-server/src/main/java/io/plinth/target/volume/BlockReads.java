package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.log.journal.PlantedBug;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads of the log that are not in memory: neighbouring blocks are read through the ring into part
 * of a buffer, and every block is checked against the checksum that the index had when the read
 * began.
 */
final class BlockReads implements Completion {
  private static final Logger LOG = LoggerFactory.getLogger(BlockReads.class);

  private final VolumeStore store;
  private final BufferPool pool;
  private final int blocksPerBuffer;
  private final int[] checksums;
  private final Operation[] operations;

  /** What a buffer is being used for. */
  private static final class Operation {
    IndexedVolume volume;
    VolumeRequest request;
    long place;
    long firstBlock;
    int blocks;
    long address;

    /** Keeps the segment from being used anew before the read has ended. */
    long pin;
  }

  BlockReads(VolumeStore store) {
    this.store = store;
    this.pool = store.readBuffers();
    this.blocksPerBuffer = pool.bufferBytes() / Volume.BLOCK_BYTES;
    this.checksums = new int[pool.capacity() * blocksPerBuffer];
    this.operations = new Operation[checksums.length];
    for (int i = 0; i < operations.length; i++) {
      operations[i] = new Operation();
    }
  }

  /** Returns how many blocks one buffer holds. */
  int blocksPerBuffer() {
    return blocksPerBuffer;
  }

  /**
   * Starts a read of consecutive blocks of a volume that are neighbours in the log.
   *
   * @param address where to, at a multiple of a block inside a buffer of the pool
   * @param request told through {@link IndexedVolume#onRequestRead}; null tells {@link
   *     MergeBlocks#onRead}
   */
  void start(
      IndexedVolume volume,
      long firstBlock,
      long place,
      int blocks,
      long address,
      VolumeRequest request) {
    int number = (int) ((address - pool.memory().address()) / Volume.BLOCK_BYTES);
    Operation operation = operations[number];
    operation.volume = volume;
    operation.request = request;
    operation.place = place;
    operation.firstBlock = firstBlock;
    operation.blocks = blocks;
    operation.address = address;
    for (int i = 0; i < blocks; i++) {
      checksums[number + i] = volume.index().checksum(firstBlock + i);
    }
    operation.pin = store.journal().pin(place);
    if (!store.journal().read(place, blocks, address, this, number)) {
      throw new IllegalStateException(
          "the ring has fewer slots than there are blocks in read buffers");
    }
  }

  @Override
  public void onComplete(long context, int result) {
    int number = (int) context;
    Operation operation = operations[number];
    store.journal().release(operation.pin);
    int status = Status.OK;
    if (result != operation.blocks * Volume.BLOCK_BYTES) {
      String what = result < 0 ? "can't be read: " + Status.name(result) : "is cut short";
      for (int i = 0; i < operation.blocks && status != Status.EIO; i++) {
        status = damaged(operation, i, checksums[number + i], what);
      }
    } else {
      status = verify(operation, number);
    }
    VolumeRequest request = operation.request;
    operation.request = null;
    if (request == null) {
      store.merges().onRead(operation.address, status);
    } else {
      operation.volume.onRequestRead(request, status);
    }
  }

  private int verify(Operation operation, int number) {
    int status = Status.OK;
    for (int i = 0; i < operation.blocks && status != Status.EIO; i++) {
      long address = operation.address + (long) i * Volume.BLOCK_BYTES;
      int checksum = checksums[number + i];
      if (store.checksum(pool.memory(), address) != checksum
          && !store.isPlanted(PlantedBug.SKIP_READ_CHECKSUM)) {
        status = damaged(operation, i, checksum, "does not match its checksum");
      }
    }
    return status;
  }

  private int damaged(Operation operation, int i, int checksum, String what) {
    return damaged(operation.volume, operation.firstBlock + i, operation.place + i, checksum, what);
  }

  /**
   * Lets a block be mended that can't be returned, or counts and reports it.
   *
   * @return EAGAIN when it is being mended, else EIO
   */
  int damaged(IndexedVolume volume, long block, long place, int checksum, String what) {
    if (store.mends().mend(volume.owner(), block, place, checksum, false)) {
      return Status.EAGAIN;
    }
    volume.countCorruptRead();
    LOG.error(
        "volume {} block {}: {} {}; reads of it fail until it is written again",
        volume.name(),
        block,
        store.journal().describe(place),
        what);
    return Status.EIO;
  }
}
