package io.plinth.target.volume;

import io.plinth.engine.api.Status;

/**
 * Counts what only one tree refers to, a bounded part at a time: blocks that one entry refers to,
 * in a leaf page that neither itself nor by a page above it belongs to another tree. What is below
 * a shared page is shared, and is not looked at.
 */
final class SpaceWalk {
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;

  /** Cost of looking at all entries of a leaf, when a way down to it costs one. */
  private static final int LEAF_COST = 64;

  private final IndexSpace space;
  private final BlockIndex index;
  private final long changesBefore;
  private final boolean wasFreeing;
  private long leaf;
  private long unique;
  private long zeroes;
  private boolean finished;
  private boolean unreadable;

  SpaceWalk(IndexSpace space, BlockIndex index) {
    this.space = space;
    this.index = index;
    this.changesBefore = space.changes();
    this.wasFreeing = space.isFreeing();
  }

  /** Returns how many blocks of the log only this tree refers to. */
  long unique() {
    return unique;
  }

  /** Returns how many blocks that read as zeroes only this tree keeps allocated. */
  long zeroes() {
    return zeroes;
  }

  /**
   * Returns whether the counts are those of one moment: nothing has changed since the begin, and
   * everything could be read.
   */
  boolean isExact() {
    return !unreadable && !wasFreeing && space.changes() == changesBefore;
  }

  boolean isFinished() {
    return finished;
  }

  /** Goes on until about {@code budget} is used up, or a page has to be read first. */
  void step(int budget) {
    IndexPages pages = space.pages();
    for (int used = 0; used < budget && !finished; used++) {
      BlockIndex.State tree = index.state();
      boolean outside =
          leaf >>> (IndexSpace.INNER_SHIFT * tree.levels()) != 0
              || leaf * LEAF_BLOCKS >= tree.blocks();
      if (outside || tree.root() == 0 || pages.refs(tree.root()) > 1) {
        finished = true;
        return;
      }
      int page = tree.root();
      int level = tree.levels();
      while (level > 0 && page != 0) {
        level--;
        int shift = IndexSpace.INNER_SHIFT * level;
        page = space.child(page, (int) (leaf >>> shift) & (IndexSpace.INNER_ENTRIES - 1));
        if (page == 0 || pages.refs(page) > 1) {
          leaf = ((leaf >>> shift) + 1) << shift;
          page = 0;
        }
      }
      if (page != 0) {
        int found = space.bring(page);
        if (found == Status.EAGAIN) {
          return;
        }
        if (found == Status.OK) {
          count(space.leafAddress(page));
        } else {
          unreadable = true;
        }
        leaf++;
        used += LEAF_COST;
      }
    }
  }

  private void count(long address) {
    BlockReferences references = space.references();
    for (int i = 0; i < LEAF_BLOCKS; i++) {
      long place = IndexSpace.place(address, i);
      if (place == IndexSpace.ALLOCATED_ZERO) {
        zeroes++;
      } else if (place != IndexSpace.UNMAPPED && references.count(place) == 1) {
        unique++;
      }
    }
  }
}
