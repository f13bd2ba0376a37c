package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.journal.Journal;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Reads some blocks of the log, wherever they are, into memory of its own, and verifies each. Their
 * segments are not used anew before all of them have been read.
 */
final class BlockGather implements Completion {
  static final int BLOCKS = 16;
  private static final int BLOCK = Volume.BLOCK_BYTES;

  private final VolumeStore store;
  private final NativeMemory memory = NativeMemory.reserve((long) BLOCKS * BLOCK);
  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private final CRC32C crc = new CRC32C();
  private final long[] places = new long[BLOCKS];
  private final int[] checksums = new int[BLOCKS];
  private final long[] pins = new long[BLOCKS];
  private final boolean[] good = new boolean[BLOCKS];
  private int count;
  private int started;
  private int reading;
  private boolean closed;

  BlockGather(VolumeStore store) {
    this.store = store;
  }

  /** Begins anew; nothing may be being read. */
  void begin() {
    count = 0;
    started = 0;
  }

  /** Returns whether nothing is being read. */
  boolean isIdle() {
    return reading == 0;
  }

  /** Returns how many blocks were added. */
  int count() {
    return count;
  }

  /** Adds a block that something refers to now. */
  void add(long place, int checksum) {
    places[count] = place;
    checksums[count] = checksum;
    pins[count++] = store.journal().pin(place);
  }

  /** Reads on; returns whether all blocks have been read, or can't be. */
  boolean isRead() {
    Journal journal = store.journal();
    while (started < count) {
      long address = journal.residentAddress(places[started]);
      if (address != 0) {
        NativeMemory.copy(address, address(started), BLOCK);
        finish(started++, true);
      } else if (journal.readAside(places[started], 1, address(started), this, started)) {
        started++;
        reading++;
      } else {
        return false;
      }
    }
    return reading == 0;
  }

  private void finish(int i, boolean arrived) {
    store.journal().release(pins[i]);
    good[i] = arrived && memory.crc32c(crc, address(i), BLOCK) == checksums[i];
  }

  @Override
  public void onComplete(long context, int result) {
    reading--;
    finish((int) context, result == BLOCK);
    if (closed && reading == 0) {
      memory.close();
    }
  }

  /** Returns whether a block was read and matches its checksum. */
  boolean isGood(int i) {
    return good[i];
  }

  /** Returns where a block was in the log. */
  long place(int i) {
    return places[i];
  }

  /** Returns what checksum a block must have. */
  int checksum(int i) {
    return checksums[i];
  }

  long address(int i) {
    return memory.address() + (long) i * BLOCK;
  }

  /** Copies a block. */
  void copy(int i, byte[] to) {
    view.wrap(address(i), BLOCK);
    view.getBytes(0, to);
  }

  /** Lets blocks go that were added and are not being read. */
  void abandon() {
    for (int i = started; i < count; i++) {
      store.journal().release(pins[i]);
    }
    count = started;
  }

  /** Gives the memory back as soon as nothing is being read. */
  void close() {
    abandon();
    closed = true;
    if (reading == 0) {
      memory.close();
    }
  }
}
