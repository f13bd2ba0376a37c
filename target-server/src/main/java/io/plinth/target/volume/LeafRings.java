package io.plinth.target.volume;

import java.util.Arrays;

/**
 * The leaf pages of a family, which is a volume with all snapshots and clones that descend from it:
 * pages that cover the same blocks are linked in a ring, so that all entries for a block can be
 * found by its number, whoever they belong to.
 */
final class LeafRings {
  private static final int SHIFT = 9;
  private static final int MASK = (1 << SHIFT) - 1;

  private final IndexPages pages;
  private int[][] heads = new int[8][];

  LeafRings(IndexPages pages) {
    this.pages = pages;
  }

  /** Returns a page that covers a leaf's blocks, or zero; the others follow it in a ring. */
  int first(long leaf) {
    int chunk = (int) (leaf >>> SHIFT);
    return chunk >= heads.length || heads[chunk] == null ? 0 : heads[chunk][(int) leaf & MASK];
  }

  /** Adds a page to the ring of a leaf. */
  void add(long leaf, int page) {
    int chunk = (int) (leaf >>> SHIFT);
    if (chunk >= heads.length) {
      heads = Arrays.copyOf(heads, Math.max(chunk + 1, heads.length * 2));
    }
    if (heads[chunk] == null) {
      heads[chunk] = new int[MASK + 1];
    }
    int head = heads[chunk][(int) leaf & MASK];
    if (head == 0) {
      pages.setSibling(page, page);
    } else {
      pages.setSibling(page, pages.sibling(head));
      pages.setSibling(head, page);
    }
    heads[chunk][(int) leaf & MASK] = page;
  }

  /** Takes a page out of the ring of a leaf. */
  void remove(long leaf, int page) {
    int[] chunk = heads[(int) (leaf >>> SHIFT)];
    int next = pages.sibling(page);
    if (next == page) {
      chunk[(int) leaf & MASK] = 0;
    } else {
      int before = next;
      while (pages.sibling(before) != page) {
        before = pages.sibling(before);
      }
      pages.setSibling(before, next);
      chunk[(int) leaf & MASK] = before;
    }
    pages.setSibling(page, 0);
  }
}
