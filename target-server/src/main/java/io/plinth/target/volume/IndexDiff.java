package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import java.util.ArrayList;
import java.util.List;

/**
 * Compares two trees of a family, a bounded part at a time. What both share, pages or places, is
 * the same. The cleaner changes the places of a block in all trees of a family at once, but never
 * while a step runs: so each leaf is compared within one step, and nothing is remembered of it but
 * the result.
 */
final class IndexDiff {
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;

  /** Cost of looking at all entries of two leaves, when a look at pages above them costs one. */
  private static final int LEAF_COST = 16;

  /** A tree has no page at a level above its root. */
  private static final int ABOVE_ROOT = -1;

  /** Consecutive blocks that differ and read either as data or as zeroes in the newer tree. */
  record Run(long firstBlock, long blocks, boolean zero) {}

  private final IndexSpace space;
  private final BlockIndex from;
  private final BlockIndex to;
  private final long endBlock;
  private final int limit;
  private final List<Run> runs = new ArrayList<>();
  private long block;
  private boolean finished;
  private boolean full;

  // The leaf pages at the cursor.
  private int fromLeaf;
  private int toLeaf;

  /**
   * Begins a comparison.
   *
   * @param firstBlock where to begin
   * @param endBlock where to end, unless the newer tree ends before
   * @param limit how many runs to find at most
   */
  IndexDiff(
      IndexSpace space, BlockIndex from, BlockIndex to, long firstBlock, long endBlock, int limit) {
    this.space = space;
    this.from = from;
    this.to = to;
    this.block = firstBlock;
    this.endBlock = endBlock;
    this.limit = limit;
  }

  /** Returns what has been found so far, in ascending order. */
  List<Run> runs() {
    return runs;
  }

  /** Returns whether both trees were compared up to the end. */
  boolean isFinished() {
    return finished;
  }

  /** Returns whether there are more runs than were asked for. */
  boolean isFull() {
    return full;
  }

  /** Returns the first block that was not compared yet. */
  long nextBlock() {
    return block;
  }

  /**
   * Goes on until about {@code budget} is used up, or a page has to be read first; returns what was
   * used.
   */
  int step(int budget) {
    int used = 0;
    while (used < budget && !finished && !full) {
      if (block >= end()) {
        finished = true;
        break;
      }
      long leaf = block / LEAF_BLOCKS;
      int level = sharedLevel(leaf);
      if (level >= 0) {
        int shift = IndexSpace.INNER_SHIFT * level;
        block = (((leaf >>> shift) + 1) << shift) * LEAF_BLOCKS;
        used++;
      } else {
        int found = IndexSpace.worse(bring(fromLeaf), bring(toLeaf));
        if (found == Status.EAGAIN) {
          break;
        }
        compareLeaf(found == Status.OK);
        used += LEAF_COST;
      }
    }
    return used;
  }

  /**
   * Returns the highest level at which both trees have the same page above a leaf, or none; or -1
   * when even the leaves differ.
   */
  private int sharedLevel(long leaf) {
    BlockIndex.State old = from.state();
    BlockIndex.State current = to.state();
    int oldPage = ABOVE_ROOT;
    int currentPage = ABOVE_ROOT;
    for (int level = Math.max(old.levels(), current.levels()); level >= 0; level--) {
      oldPage = descend(old, leaf, level, oldPage);
      currentPage = descend(current, leaf, level, currentPage);
      if (oldPage == currentPage) {
        return level;
      }
    }
    fromLeaf = oldPage;
    toLeaf = currentPage;
    return -1;
  }

  /** Returns the page of a tree at a level above a leaf, when that of the level above is known. */
  private int descend(BlockIndex.State tree, long leaf, int level, int above) {
    boolean isOutside =
        leaf >>> (IndexSpace.INNER_SHIFT * tree.levels()) != 0
            || leaf * LEAF_BLOCKS >= tree.blocks();
    if (isOutside || tree.root() == 0) {
      return 0;
    }
    if (level > tree.levels()) {
      return ABOVE_ROOT;
    }
    if (level == tree.levels()) {
      return tree.root();
    }
    if (above == 0) {
      return 0;
    }
    int entry = (int) (leaf >>> (IndexSpace.INNER_SHIFT * level)) & (IndexSpace.INNER_ENTRIES - 1);
    return space.child(above, entry);
  }

  private int bring(int page) {
    return page == 0 ? Status.OK : space.bring(page);
  }

  /**
   * Compares the leaves at the cursor.
   *
   * @param known false when one of them can't be read: what may differ differs then
   */
  private void compareLeaf(boolean known) {
    long end = Math.min(end(), block + BlockIndex.blocksLeftInLeaf(block));
    for (; block < end; block++) {
      if (!known) {
        if (!add(false)) {
          full = true;
          return;
        }
        continue;
      }
      int i = (int) (block % LEAF_BLOCKS);
      long old = place(fromLeaf, i);
      long current = place(toLeaf, i);
      boolean wasData = IndexSpace.isData(old);
      boolean isData = IndexSpace.isData(current);
      // Zeroes are zeroes, whether they have a claim on space or not.
      if (old != current && (wasData || isData) && !add(!isData)) {
        full = true;
        return;
      }
    }
  }

  private long end() {
    return Math.min(endBlock, to.blocks());
  }

  private long place(int page, int i) {
    return page == 0 ? IndexSpace.UNMAPPED : IndexSpace.place(space.leafAddress(page), i);
  }

  /** Adds the block at the cursor; false when there are as many runs as were asked for. */
  private boolean add(boolean zero) {
    if (!runs.isEmpty()) {
      Run last = runs.getLast();
      if (last.zero == zero && last.firstBlock + last.blocks == block) {
        runs.set(runs.size() - 1, new Run(last.firstBlock, last.blocks + 1, zero));
        return true;
      }
    }
    if (runs.size() == limit) {
      return false;
    }
    runs.add(new Run(block, 1, zero));
    return true;
  }
}
