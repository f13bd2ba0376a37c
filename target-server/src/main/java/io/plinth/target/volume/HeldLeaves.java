package io.plinth.target.volume;

/**
 * Leaf pages that one owner keeps in memory until it has all that it needs at once: the pages of
 * one ring, of which there are as many as snapshots and clones have their own copies. They may
 * exceed the memory limit.
 */
final class HeldLeaves {
  private final IndexPages pages;
  private final byte reason;
  private final IntList held = new IntList();

  /**
   * Creates an empty set.
   *
   * @param reason for {@link IndexPages#keep}, of this owner alone
   */
  HeldLeaves(IndexPages pages, byte reason) {
    this.pages = pages;
    this.reason = reason;
  }

  void hold(int page) {
    if (!pages.isKept(page, reason)) {
      pages.keep(page, reason, true);
      held.add(page);
    }
  }

  void release() {
    while (!held.isEmpty()) {
      pages.keep(held.removeLast(), reason, false);
    }
  }
}
