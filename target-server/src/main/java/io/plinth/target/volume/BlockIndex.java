package io.plinth.target.volume;

import org.agrona.UnsafeApi;

/**
 * A replica's map from block to place in the log and checksum: a radix tree of 4 KiB pages outside
 * the heap.
 *
 * <p>A leaf covers {@value #LEAF_BLOCKS} blocks, which is 9.1 bytes for each mapped block:
 *
 * <pre>
 *   0             8             12             64                      2304                  4096
 *  +-------------+-------------+--------------+-----------------------+---------------------+
 *  | newestIndex | mappedCount | reserved     | 448 places of 5 bytes | 448 CRC32C of 4     |
 *  +-------------+-------------+--------------+-----------------------+---------------------+
 * </pre>
 *
 * {@code newestIndex} is the newest Raft index that touched the leaf. An inner page holds 512 page
 * numbers of 8 bytes, zero where there is nothing below.
 */
final class BlockIndex {
  /** Place of a block that was never written or was trimmed: reads as zeroes. */
  static final long UNMAPPED = 0;

  /**
   * Place of a block that reads as zeroes and keeps its claim on space. Segment headers are at the
   * real place 0 and so never data.
   */
  static final long ALLOCATED_ZERO = (1L << 40) - 1;

  static final int LEAF_BLOCKS = 448;
  private static final int INNER_SHIFT = 9;
  private static final int INNER_ENTRIES = 1 << INNER_SHIFT;

  private static final int NEWEST_INDEX = 0;
  private static final int MAPPED_COUNT = 8;
  private static final int PLACES = 64;
  private static final int PLACE_BYTES = 5;
  private static final long PLACE_MASK = (1L << 40) - 1;
  private static final int CHECKSUMS = PLACES + LEAF_BLOCKS * PLACE_BYTES;

  private final IndexMemory memory;
  private final long blocks;
  private final int innerLevels;
  private int root;
  private long mapped;

  // The leaf used last: neighbours are often asked for next. Zero is no leaf.
  private long cachedLeaf = -1;
  private long cachedAddress;

  /** Creates the index of a volume of {@code blocks} blocks. */
  BlockIndex(IndexMemory memory, long blocks) {
    this.memory = memory;
    this.blocks = blocks;
    long leaves = (blocks + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
    int levels = 0;
    while (leaves > 1) {
      leaves = (leaves + INNER_ENTRIES - 1) >>> INNER_SHIFT;
      levels++;
    }
    innerLevels = levels;
  }

  /** Returns how many blocks have a place or a claim on space. */
  long mappedBlocks() {
    return mapped;
  }

  /**
   * Returns the place of a block: {@link #UNMAPPED}, {@link #ALLOCATED_ZERO}, or where its data is.
   */
  long place(long block) {
    long address = findLeaf(block / LEAF_BLOCKS);
    return address == 0 ? UNMAPPED : placeAt(address, (int) (block % LEAF_BLOCKS));
  }

  /** Returns the checksum of a block that has a place with data. */
  int checksum(long block) {
    long address = findLeaf(block / LEAF_BLOCKS);
    return UnsafeApi.getInt(address + CHECKSUMS + 4L * (block % LEAF_BLOCKS));
  }

  /** Returns how many blocks follow {@code block}, itself included, before the next leaf begins. */
  static int blocksLeftInLeaf(long block) {
    return LEAF_BLOCKS - (int) (block % LEAF_BLOCKS);
  }

  /** Returns whether the leaf of a block exists; when not, all of its blocks are unmapped. */
  boolean hasLeaf(long block) {
    return findLeaf(block / LEAF_BLOCKS) != 0;
  }

  /** Maps a block. */
  void put(long block, long place, int checksum, long raftIndex) {
    long address = makeLeaf(block / LEAF_BLOCKS);
    int i = (int) (block % LEAF_BLOCKS);
    if (placeAt(address, i) == UNMAPPED) {
      changeMapped(address, 1);
    }
    setPlace(address, i, place);
    UnsafeApi.putInt(address + CHECKSUMS + 4L * i, checksum);
    UnsafeApi.putLong(address + NEWEST_INDEX, raftIndex);
  }

  /** Makes blocks read as zeroes; {@code keepAllocated} keeps their claim on space. */
  void unmap(long firstBlock, long count, boolean keepAllocated, long raftIndex) {
    long block = firstBlock;
    long end = Math.min(blocks, firstBlock + count);
    while (block < end) {
      int n = (int) Math.min(end - block, blocksLeftInLeaf(block));
      if (keepAllocated) {
        fill(
            makeLeaf(block / LEAF_BLOCKS),
            (int) (block % LEAF_BLOCKS),
            n,
            ALLOCATED_ZERO,
            raftIndex);
        block += n;
        continue;
      }
      long address = findLeaf(block / LEAF_BLOCKS);
      if (address == 0) {
        block = nextPresentLeaf(block);
        continue;
      }
      if (n == LEAF_BLOCKS || (end == blocks && block % LEAF_BLOCKS == 0)) {
        dropLeaf(block / LEAF_BLOCKS, address);
      } else {
        fill(address, (int) (block % LEAF_BLOCKS), n, UNMAPPED, raftIndex);
      }
      block += n;
    }
  }

  /** Returns whether any block of a range has a place or a claim on space. */
  boolean anyMapped(long firstBlock, long count) {
    long block = firstBlock;
    long end = firstBlock + count;
    while (block < end) {
      long address = findLeaf(block / LEAF_BLOCKS);
      if (address == 0) {
        block = nextPresentLeaf(block);
        continue;
      }
      int n = (int) Math.min(end - block, blocksLeftInLeaf(block));
      int first = (int) (block % LEAF_BLOCKS);
      for (int i = first; i < first + n; i++) {
        if (placeAt(address, i) != UNMAPPED) {
          return true;
        }
      }
      block += n;
    }
    return false;
  }

  /**
   * Returns the first block at or after {@code block}'s leaf whose leaf may exist, skipping what is
   * absent in whole subtrees.
   */
  long nextPresentLeaf(long block) {
    long leaf = block / LEAF_BLOCKS;
    int page = root;
    if (page == 0) {
      return Long.MAX_VALUE / 2;
    }
    for (int level = innerLevels; level > 0; level--) {
      int shift = INNER_SHIFT * (level - 1);
      int entry = (int) (leaf >>> shift) & (INNER_ENTRIES - 1);
      int child = child(page, entry);
      if (child == 0) {
        return (((leaf >>> shift) + 1) << shift) * LEAF_BLOCKS;
      }
      page = child;
    }
    return block;
  }

  /** Gives all pages back; the index is empty afterwards. */
  void clear() {
    if (root != 0) {
      releaseSubtree(root, innerLevels);
      root = 0;
    }
    mapped = 0;
    cachedLeaf = -1;
  }

  private void releaseSubtree(int page, int level) {
    if (level > 0) {
      for (int i = 0; i < INNER_ENTRIES; i++) {
        int child = child(page, i);
        if (child != 0) {
          releaseSubtree(child, level - 1);
        }
      }
    }
    memory.release(page);
  }

  private long findLeaf(long leaf) {
    if (leaf == cachedLeaf) {
      return cachedAddress;
    }
    int page = root;
    for (int level = innerLevels; level > 0 && page != 0; level--) {
      page = child(page, (int) (leaf >>> (INNER_SHIFT * (level - 1))) & (INNER_ENTRIES - 1));
    }
    if (page == 0) {
      return 0;
    }
    cachedLeaf = leaf;
    cachedAddress = memory.address(page);
    return cachedAddress;
  }

  private long makeLeaf(long leaf) {
    long found = findLeaf(leaf);
    if (found != 0) {
      return found;
    }
    if (root == 0) {
      root = memory.allocate();
    }
    int page = root;
    for (int level = innerLevels; level > 0; level--) {
      int entry = (int) (leaf >>> (INNER_SHIFT * (level - 1))) & (INNER_ENTRIES - 1);
      int child = child(page, entry);
      if (child == 0) {
        child = memory.allocate();
        UnsafeApi.putLong(memory.address(page) + 8L * entry, child);
      }
      page = child;
    }
    cachedLeaf = leaf;
    cachedAddress = memory.address(page);
    return cachedAddress;
  }

  private void dropLeaf(long leaf, long address) {
    mapped -= UnsafeApi.getInt(address + MAPPED_COUNT);
    cachedLeaf = -1;
    if (innerLevels == 0) {
      memory.release(root);
      root = 0;
      return;
    }
    int page = root;
    for (int level = innerLevels; level > 1; level--) {
      page = child(page, (int) (leaf >>> (INNER_SHIFT * (level - 1))) & (INNER_ENTRIES - 1));
    }
    int entry = (int) leaf & (INNER_ENTRIES - 1);
    memory.release(child(page, entry));
    UnsafeApi.putLong(memory.address(page) + 8L * entry, 0);
  }

  private void fill(long address, int first, int count, long place, long raftIndex) {
    int change = 0;
    for (int i = first; i < first + count; i++) {
      boolean was = placeAt(address, i) != UNMAPPED;
      boolean is = place != UNMAPPED;
      if (was != is) {
        change += is ? 1 : -1;
      }
      setPlace(address, i, place);
    }
    changeMapped(address, change);
    UnsafeApi.putLong(address + NEWEST_INDEX, raftIndex);
  }

  private void changeMapped(long address, int change) {
    mapped += change;
    UnsafeApi.putInt(address + MAPPED_COUNT, UnsafeApi.getInt(address + MAPPED_COUNT) + change);
  }

  private int child(int page, int entry) {
    return (int) UnsafeApi.getLong(memory.address(page) + 8L * entry);
  }

  private static long placeAt(long address, int i) {
    // Eight bytes are read for five; behind the last place there are the checksums.
    return UnsafeApi.getLong(address + PLACES + (long) PLACE_BYTES * i) & PLACE_MASK;
  }

  private static void setPlace(long address, int i, long place) {
    long at = address + PLACES + (long) PLACE_BYTES * i;
    UnsafeApi.putInt(at, (int) place);
    UnsafeApi.putByte(at + 4, (byte) (place >>> 32));
  }
}
