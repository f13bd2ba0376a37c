package io.plinth.target.volume;

import io.plinth.engine.api.Status;

/**
 * A replica's map from block to place in the log and checksum: a radix tree of the pages of an
 * {@link IndexSpace}. A snapshot shares the pages; whichever tree changes a shared page first gets
 * a copy of it.
 */
final class BlockIndex {
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;
  private static final int INNER_SHIFT = IndexSpace.INNER_SHIFT;
  private static final int INNER_ENTRIES = IndexSpace.INNER_ENTRIES;

  private final IndexSpace space;
  private final IndexPages pages;
  private final int family;
  private long blocks;
  private int levels;
  private int root;
  private long mapped;

  // The leaf used last: neighbours are often asked for next. -1 is none.
  private long cachedLeaf = -1;
  private int cachedPage;
  private long cachedAddress;

  /** Whether nobody shares the cached leaf, nor anything above it. */
  private boolean cachedIsOwn;

  /** {@link IndexPages#drops} when it was found. */
  private long cachedDrops;

  /** What a tree consists of beside its pages. */
  record State(int root, int levels, long blocks, long mapped) {}

  /** Creates the empty index of a volume of {@code blocks} blocks. */
  BlockIndex(IndexSpace space, int family, long blocks) {
    this(space, family, new State(0, levelsFor(blocks), blocks, 0));
  }

  /** Takes over one reference to the tree that {@code state} describes. */
  BlockIndex(IndexSpace space, int family, State state) {
    this.space = space;
    this.pages = space.pages();
    this.family = family;
    this.blocks = state.blocks;
    this.levels = state.levels;
    this.root = state.root;
    this.mapped = state.mapped;
  }

  private static int levelsFor(long blocks) {
    long leaves = (blocks + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
    int levels = 0;
    while (leaves > 1) {
      leaves = (leaves + INNER_ENTRIES - 1) >>> INNER_SHIFT;
      levels++;
    }
    return levels;
  }

  State state() {
    return new State(root, levels, blocks, mapped);
  }

  int family() {
    return family;
  }

  /** Returns a tree with the same content, in constant time. */
  BlockIndex snapshot() {
    if (root != 0) {
      space.shareRoot(root);
    }
    cachedIsOwn = false;
    space.noteChange();
    return new BlockIndex(space, family, state());
  }

  /** Returns how many blocks the tree covers. */
  long blocks() {
    return blocks;
  }

  /** Covers another number of blocks; what is cut off is unmapped. */
  void resize(long newBlocks, long raftIndex) {
    if (newBlocks < blocks) {
      unmap(newBlocks, blocks - newBlocks, false, raftIndex);
    }
    int needed = levelsFor(newBlocks);
    while (levels < needed) {
      levels++;
      if (root != 0) {
        int above = space.newPage(levels, family, 0);
        space.setChild(above, 0, root);
        root = above;
      }
    }
    blocks = newBlocks;
    cachedLeaf = -1;
    space.noteChange();
  }

  /** Returns how many blocks have a place or a claim on space. */
  long mappedBlocks() {
    return mapped;
  }

  /**
   * Returns the place of a block: {@link IndexSpace#UNMAPPED}, {@link IndexSpace#ALLOCATED_ZERO},
   * or where its data is.
   */
  long place(long block) {
    long address = findLeaf(block / LEAF_BLOCKS);
    return address == 0
        ? IndexSpace.UNMAPPED
        : IndexSpace.place(address, (int) (block % LEAF_BLOCKS));
  }

  /**
   * Begins to read what {@link #put} of a block will look at, which is all over memory: the
   * processor waits for it while it copies and checks what is to be written.
   */
  void touch(long block) {
    long leaf = block / LEAF_BLOCKS;
    int page = findPage(leaf);
    if (page != 0) {
      space.touch(pages.address(page), (int) (block % LEAF_BLOCKS));
    }
  }

  /** Returns the checksum of a block that has a place with data. */
  int checksum(long block) {
    return IndexSpace.checksum(findLeaf(block / LEAF_BLOCKS), (int) (block % LEAF_BLOCKS));
  }

  /** Returns how many blocks follow {@code block}, itself included, before the next leaf begins. */
  static int blocksLeftInLeaf(long block) {
    return LEAF_BLOCKS - (int) (block % LEAF_BLOCKS);
  }

  /** Returns whether the leaf of a block exists; when not, all of its blocks are unmapped. */
  boolean hasLeaf(long block) {
    return leafPage(block) != 0;
  }

  /**
   * Returns the number of the page that covers a block, in memory or not, or zero: equal pages hold
   * the same.
   */
  int leafPage(long block) {
    return findPage(block / LEAF_BLOCKS);
  }

  /**
   * Sees to it that the pages of a range are in memory, as {@link IndexSpace#bring} does with one:
   * before blocks of the range are looked at or changed.
   */
  int bring(long firstBlock, long lastBlock) {
    int found = Status.OK;
    if (pages.isLimited()) {
      long last = lastBlock / LEAF_BLOCKS;
      for (long leaf = firstBlock / LEAF_BLOCKS; leaf <= last; leaf++) {
        int page = findPage(leaf);
        if (page != 0) {
          pages.noteUse(page);
          found = IndexSpace.worse(found, space.bring(page));
        }
      }
    }
    return found;
  }

  /**
   * The same before {@link #unmap} or {@link #anyMapped}, which look only at leaves of which the
   * range is a part.
   */
  int bringEdges(long firstBlock, long count) {
    long end = Math.min(blocks, firstBlock + count);
    if (!pages.isLimited() || firstBlock >= end) {
      return Status.OK;
    }
    long last = (end - 1) / LEAF_BLOCKS * LEAF_BLOCKS;
    int found = isWhole(firstBlock, end) ? Status.OK : bring(firstBlock, firstBlock);
    return last <= firstBlock || isWhole(last, end)
        ? found
        : IndexSpace.worse(found, bring(last, last));
  }

  /** Returns whether a range up to {@code end} has all blocks of the leaf of {@code block}. */
  private boolean isWhole(long block, long end) {
    return block % LEAF_BLOCKS == 0 && (end - block >= LEAF_BLOCKS || end == blocks);
  }

  /** Says which entry a leaf that exists is as new as. */
  void stamp(long block, long raftIndex) {
    IndexSpace.newestIndex(makeLeaf(block / LEAF_BLOCKS), raftIndex);
  }

  /** Maps a block. */
  void put(long block, long place, int checksum, long raftIndex) {
    long address = makeLeaf(block / LEAF_BLOCKS);
    int i = (int) (block % LEAF_BLOCKS);
    if (IndexSpace.place(address, i) == IndexSpace.UNMAPPED) {
      changeMapped(address, 1);
    }
    space.setPlace(address, i, place, checksum);
    IndexSpace.newestIndex(address, raftIndex);
  }

  /**
   * Makes blocks read as zeroes; {@code keepAllocated} keeps their claim on space. Pages that are
   * needed no more are freed by {@link IndexSpace#freeSome}.
   */
  void unmap(long firstBlock, long count, boolean keepAllocated, long raftIndex) {
    long block = firstBlock;
    long end = Math.min(blocks, firstBlock + count);
    while (block < end) {
      int n = (int) Math.min(end - block, blocksLeftInLeaf(block));
      long leaf = block / LEAF_BLOCKS;
      int page = findPage(leaf);
      if (keepAllocated) {
        if (page != 0 && pages.isAbsent(page) && isWhole(block, end)) {
          // Need not be read to be replaced.
          dropLeaf(leaf);
        }
        fill(makeLeaf(leaf), block, n, IndexSpace.ALLOCATED_ZERO, raftIndex);
      } else if (page == 0) {
        block = nextPresentLeaf(block);
        continue;
      } else if (isWhole(block, end)) {
        dropLeaf(leaf);
      } else {
        fill(makeLeaf(leaf), block, n, IndexSpace.UNMAPPED, raftIndex);
      }
      block += n;
    }
  }

  /** Returns whether any block of a range has a place or a claim on space. */
  boolean anyMapped(long firstBlock, long count) {
    long block = firstBlock;
    long end = firstBlock + count;
    while (block < end) {
      int page = findPage(block / LEAF_BLOCKS);
      if (page == 0) {
        block = nextPresentLeaf(block);
        continue;
      }
      int n = (int) Math.min(end - block, blocksLeftInLeaf(block));
      int mappedInLeaf = space.mappedIn(page);
      if (mappedInLeaf == 0 || isWhole(block, end)) {
        if (mappedInLeaf > 0) {
          return true;
        }
        block += n;
        continue;
      }
      long address = findLeaf(block / LEAF_BLOCKS);
      int first = (int) (block % LEAF_BLOCKS);
      for (int i = first; i < first + n; i++) {
        if (IndexSpace.place(address, i) != IndexSpace.UNMAPPED) {
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
    for (int level = levels; level > 0; level--) {
      int shift = INNER_SHIFT * (level - 1);
      int entry = (int) (leaf >>> shift) & (INNER_ENTRIES - 1);
      int child = space.child(page, entry);
      if (child == 0) {
        return (((leaf >>> shift) + 1) << shift) * LEAF_BLOCKS;
      }
      page = child;
    }
    return block;
  }

  /**
   * Gives the whole tree up; {@link IndexSpace#freeSome} frees it. The index is empty afterwards.
   */
  void clear() {
    if (root != 0) {
      space.doom(root, levels);
      root = 0;
    }
    mapped = 0;
    cachedLeaf = -1;
    space.noteChange();
  }

  /** Becomes what another tree of the family is, which goes on to exist. */
  void replaceBy(BlockIndex other) {
    clear();
    BlockIndex copy = other.snapshot();
    root = copy.root;
    levels = copy.levels;
    blocks = copy.blocks;
    mapped = copy.mapped;
  }

  private long findLeaf(long leaf) {
    if (isCached(leaf)) {
      return cachedAddress;
    }
    int page = descend(leaf);
    if (page == 0) {
      return 0;
    }
    cache(leaf, page, false);
    return cachedAddress;
  }

  /** Returns the page of a leaf, in memory or not, or zero. */
  private int findPage(long leaf) {
    return isCached(leaf) ? cachedPage : descend(leaf);
  }

  private boolean isCached(long leaf) {
    return leaf == cachedLeaf && cachedDrops == pages.drops();
  }

  private int descend(long leaf) {
    int page = root;
    for (int level = levels; level > 0 && page != 0; level--) {
      page = space.child(page, entry(leaf, level));
    }
    return page;
  }

  private void cache(long leaf, int page, boolean own) {
    cachedAddress = pages.isLimited() ? space.use(page) : pages.address(page);
    cachedLeaf = leaf;
    cachedPage = page;
    cachedIsOwn = own;
    cachedDrops = pages.drops();
  }

  private static int entry(long leaf, int level) {
    return (int) (leaf >>> (INNER_SHIFT * (level - 1))) & (INNER_ENTRIES - 1);
  }

  /** Returns the address of a leaf that is this tree's own and about to be changed. */
  private long makeLeaf(long leaf) {
    boolean there = isCached(leaf) && cachedIsOwn;
    if (!there && !pages.anyShared()) {
      // Without snapshots there is nobody to share with.
      there = findLeaf(leaf) != 0;
    }
    if (!there) {
      int page = ownRoot(leaf);
      for (int level = levels; level > 0; level--) {
        page = ownChild(page, level, leaf);
      }
      cache(leaf, page, true);
    }
    space.noteChange();
    pages.touch(cachedPage);
    return cachedAddress;
  }

  private int ownRoot(long leaf) {
    if (root == 0) {
      root = space.newPage(levels, family, leaf);
    } else if (space.isShared(root)) {
      root = space.copy(root, levels);
    }
    return root;
  }

  private int ownChild(int page, int level, long leaf) {
    int entry = entry(leaf, level);
    int child = space.child(page, entry);
    if (child == 0) {
      child = space.newPage(level - 1, family, leaf);
      space.setChild(page, entry, child);
    } else if (space.isShared(child)) {
      child = space.copy(child, level - 1);
      space.setChild(page, entry, child);
    }
    return child;
  }

  /** Takes a leaf that exists out of the tree. */
  private void dropLeaf(long leaf) {
    mapped -= space.mappedIn(findPage(leaf));
    cachedLeaf = -1;
    if (levels == 0) {
      space.doom(root, 0);
      root = 0;
      return;
    }
    int page = ownRoot(leaf);
    for (int level = levels; level > 1; level--) {
      page = ownChild(page, level, leaf);
    }
    int entry = entry(leaf, 1);
    int child = space.child(page, entry);
    space.setChild(page, entry, 0);
    space.doom(child, 0);
  }

  private void fill(long address, long firstBlock, int count, long place, long raftIndex) {
    int first = (int) (firstBlock % LEAF_BLOCKS);
    int change = 0;
    for (int i = first; i < first + count; i++) {
      boolean was = IndexSpace.place(address, i) != IndexSpace.UNMAPPED;
      boolean is = place != IndexSpace.UNMAPPED;
      if (was != is) {
        change += is ? 1 : -1;
      }
      space.setPlace(address, i, place, 0);
    }
    changeMapped(address, change);
    IndexSpace.newestIndex(address, raftIndex);
  }

  private void changeMapped(long address, int change) {
    mapped += change;
    IndexSpace.changeMappedCount(address, change);
  }
}
