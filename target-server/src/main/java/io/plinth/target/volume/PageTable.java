package io.plinth.target.volume;

import java.util.Arrays;
import java.util.BitSet;
import org.agrona.UnsafeApi;

/**
 * Where each index page was last written, in blocks that are themselves written when an entry in
 * them has changed. A block has {@value #ENTRIES} entries of 9 bytes: the place in the log (u40,
 * zero when the page is not in use) and the CRC32C of the page.
 */
final class PageTable {
  static final int ENTRIES = 448;
  private static final int ENTRY_BYTES = 9;

  private final BitSet dirty = new BitSet();
  private long[] places = new long[16];
  private int[] checksums = new int[16];
  private int blocks;

  /** Takes over what a checkpoint has. */
  void restore(long[] foundPlaces, int[] foundChecksums) {
    blocks = foundPlaces.length;
    places = Arrays.copyOf(foundPlaces, Math.max(16, blocks));
    checksums = Arrays.copyOf(foundChecksums, Math.max(16, blocks));
  }

  int blocks() {
    return blocks;
  }

  long place(int block) {
    return places[block];
  }

  int checksum(int block) {
    return checksums[block];
  }

  /** The entry of a page has changed. */
  void touch(int page) {
    touchBlock(page / ENTRIES);
  }

  /** A block has to be written anew. */
  void touchBlock(int block) {
    if (block >= blocks) {
      blocks = block + 1;
      if (blocks > places.length) {
        places = Arrays.copyOf(places, blocks * 2);
        checksums = Arrays.copyOf(checksums, blocks * 2);
      }
    }
    dirty.set(block);
  }

  /** Returns the next block that has to be written, or -1. */
  int nextDirty() {
    return dirty.nextSetBit(0);
  }

  /** Writes a block's bytes to an address. */
  void encode(int block, IndexPages pages, long address) {
    int first = block * ENTRIES;
    for (int i = 0; i < ENTRIES; i++) {
      int page = first + i;
      boolean known = page > 0 && page < pages.pageLimit();
      long place = known ? pages.place(page) : 0;
      long at = address + (long) ENTRY_BYTES * i;
      UnsafeApi.putInt(at, (int) place);
      UnsafeApi.putByte(at + 4, (byte) (place >>> 32));
      UnsafeApi.putInt(at + 5, place == 0 ? 0 : pages.checksum(page));
    }
    for (int i = ENTRIES * ENTRY_BYTES; i < Volume.BLOCK_BYTES; i++) {
      UnsafeApi.putByte(address + i, (byte) 0);
    }
  }

  static long entryPlace(long address, int i) {
    return UnsafeApi.getLong(address + (long) ENTRY_BYTES * i) & (1L << 40) - 1;
  }

  static int entryChecksum(long address, int i) {
    return UnsafeApi.getInt(address + (long) ENTRY_BYTES * i + 5);
  }

  /** A block has been written; returns where it was before, zero for nowhere. */
  long written(int block, long place, int checksum) {
    dirty.clear(block);
    long before = places[block];
    places[block] = place;
    checksums[block] = checksum;
    return before;
  }
}
