package io.plinth.target.volume;

import io.plinth.engine.memory.NativeMemory;
import java.util.Arrays;

/**
 * Pages of 4 KiB for the indexes of one log's volumes, outside the heap, named by number. Page zero
 * is never handed out.
 *
 * <p>A page is shared by as many trees as {@link #refs} says. Who changes a page calls {@link
 * #touch} before. A checkpoint begins with {@link #cut}, which freezes the state of all pages
 * without copying them: a page that was changed since the checkpoint before is pending until it has
 * been written, and a pending page that is touched is copied first, so that what is written is what
 * it was at the cut.
 *
 * <p>Where memory is limited (see {@link #limit}), leaf pages that are as they were last written
 * can be dropped: a dropped page keeps its number, place and references, and its memory goes back
 * to the kernel until it is read again. Inner pages stay: there is one for 448 leaves.
 */
final class IndexPages {
  static final int PAGE_BYTES = 4096;
  private static final int SHIFT = 12;
  private static final int CHUNK = 1 << SHIFT;
  private static final int MASK = CHUNK - 1;

  /** Epoch of a page that is as it was last written. */
  private static final int CLEAN = 0;

  /** Epoch of a page that was freed after it had been changed. */
  private static final int FREED = -1;

  // Marks of a page, where memory is limited.

  private static final byte LEAF = 1;

  /** Was used since the hand of {@link ColdLeaves} came by. */
  private static final byte USED = 2;

  /** Is not in memory. */
  private static final byte ABSENT = 4;

  /** Is being read. */
  private static final byte LOADING = 8;

  /** Was read for somebody who has not had the time to use it. */
  static final byte FRESH = 16;

  /** Are kept by the cleaner, and by a scrub: see {@link HeldLeaves}. */
  static final byte OF_CLEANER = 32;

  static final byte OF_SCRUB = 64;

  /** What is known of the pages of a chunk. */
  private static final class Chunk {
    final NativeMemory memory = NativeMemory.reserve((long) CHUNK * PAGE_BYTES);
    final int[] refs = new int[CHUNK];
    final int[] siblings = new int[CHUNK];
    final int[] epochs = new int[CHUNK];
    final int[] shadows = new int[CHUNK];
    final int[] checksums = new int[CHUNK];
    final long[] places = new long[CHUNK];

    // Null without a limit. The last three are of dropped leaves.
    final byte[] marks;
    final short[] mapped;
    final int[] families;
    final long[] leaves;

    Chunk(boolean limited) {
      marks = limited ? new byte[CHUNK] : null;
      mapped = limited ? new short[CHUNK] : null;
      families = limited ? new int[CHUNK] : null;
      leaves = limited ? new long[CHUNK] : null;
      if (limited) {
        memory.useSmallPages();
      } else {
        memory.useHugePages();
      }
    }
  }

  private Chunk[] chunks = new Chunk[16];
  private int chunkCount;
  private long[] addresses = new long[16];
  private IntList free = new IntList();
  private IntList freed = new IntList();
  private IntList dirty = new IntList();
  private int nextPage = 1;
  private int used;
  private boolean limited;

  /** Pages in use that are not in memory. */
  private int absent;

  /** How often a page was dropped. */
  private long drops;

  /** References to pages beyond the first one. */
  private long shared;

  private int epoch = 1;
  private final boolean copiesPending;

  // The checkpoint that is being written.
  private IntList pending = new IntList();
  private IntList freedAtCut = new IntList();
  private int nextPending;

  /**
   * Makes an empty set of pages.
   *
   * @param copiesPending false only to plant a mistake
   */
  IndexPages(boolean copiesPending) {
    this.copiesPending = copiesPending;
  }

  /** Returns the number of a page that reads as zeroes and has one reference. */
  int allocate() {
    int page = take();
    NativeMemory.zero(address(page), PAGE_BYTES);
    chunk(page).refs[page & MASK] = 1;
    chunk(page).epochs[page & MASK] = epoch;
    dirty.add(page);
    return page;
  }

  /** Lets leaf pages be dropped. Before the first page. */
  void limit() {
    if (chunkCount > 0) {
      throw new IllegalStateException("there are index pages already");
    }
    limited = true;
  }

  /** Returns whether leaf pages may be dropped. */
  boolean isLimited() {
    return limited;
  }

  private int take() {
    used++;
    if (!free.isEmpty()) {
      int page = free.removeLast();
      if (limited) {
        chunk(page).marks[page & MASK] = 0;
      }
      return page;
    }
    int page = nextPage++;
    ensure(page);
    return page;
  }

  private void ensure(int page) {
    while (page >>> SHIFT >= chunkCount) {
      if (chunkCount == chunks.length) {
        chunks = Arrays.copyOf(chunks, chunkCount * 2);
        addresses = Arrays.copyOf(addresses, chunkCount * 2);
      }
      chunks[chunkCount] = new Chunk(limited);
      addresses[chunkCount] = chunks[chunkCount].memory.address();
      chunkCount++;
    }
  }

  private Chunk chunk(int page) {
    return chunks[page >>> SHIFT];
  }

  long address(int page) {
    return addresses[page >>> SHIFT] + (long) (page & MASK) * PAGE_BYTES;
  }

  /** Returns the region that a page lies in. */
  NativeMemory region(int page) {
    return chunk(page).memory;
  }

  /** Returns how many parents, or roots, refer to a page. */
  int refs(int page) {
    return chunk(page).refs[page & MASK];
  }

  void retain(int page) {
    shared += ++chunk(page).refs[page & MASK] > 1 ? 1 : 0;
  }

  /** Returns whether any page has more than one parent or root. */
  boolean anyShared() {
    return shared > 0;
  }

  /** Takes a reference away; returns whether none is left, and then the page is to be freed. */
  boolean release(int page) {
    int left = --chunk(page).refs[page & MASK];
    shared -= left > 0 ? 1 : 0;
    if (left < 0) {
      throw new IllegalStateException("index page " + page + " released too often");
    }
    return left == 0;
  }

  int sibling(int page) {
    return chunk(page).siblings[page & MASK];
  }

  void setSibling(int page, int next) {
    chunk(page).siblings[page & MASK] = next;
  }

  /** Gives a page back that nothing refers to. It is used again after the next cut. */
  void free(int page) {
    Chunk chunk = chunk(page);
    if (chunk.epochs[page & MASK] == epoch) {
      chunk.epochs[page & MASK] = FREED;
    }
    if (isAbsent(page)) {
      absent--;
      chunk.marks[page & MASK] = 0;
    }
    freed.add(page);
    used--;
  }

  /** To be called before the content of a page changes. */
  void touch(int page) {
    Chunk chunk = chunk(page);
    int i = page & MASK;
    int before = chunk.epochs[i];
    if (before == epoch) {
      return;
    }
    if (isAbsent(page)) {
      throw missing(page);
    }
    if (before != CLEAN && copiesPending) {
      int shadow = take();
      NativeMemory.copy(address(page), address(shadow), PAGE_BYTES);
      chunk.shadows[i] = shadow;
    }
    chunk.epochs[i] = epoch;
    dirty.add(page);
  }

  /** Returns how many bytes of pages are in use, in memory or not. */
  long usedBytes() {
    return (long) used * PAGE_BYTES;
  }

  /** Returns how many pages in use are in memory. */
  int residentPages() {
    return used - absent;
  }

  // Pages that are not in memory.

  /** A page is a leaf. */
  void noteLeaf(int page) {
    if (limited) {
      chunk(page).marks[page & MASK] |= LEAF;
    }
  }

  /** A leaf page is used for a client. */
  void noteUse(int page) {
    if (limited) {
      chunk(page).marks[page & MASK] |= USED;
    }
  }

  /** Returns whether a page was used since this was asked before. */
  boolean takeUse(int page) {
    byte[] marks = chunk(page).marks;
    boolean was = (marks[page & MASK] & USED) != 0;
    marks[page & MASK] &= ~USED;
    return was;
  }

  private boolean isMarked(int page, byte mark) {
    return limited && (chunk(page).marks[page & MASK] & mark) != 0;
  }

  private void mark(int page, byte mark, boolean on) {
    byte[] marks = chunk(page).marks;
    marks[page & MASK] = (byte) (on ? marks[page & MASK] | mark : marks[page & MASK] & ~mark);
  }

  /** Returns whether a page is not in memory. */
  boolean isAbsent(int page) {
    return isMarked(page, ABSENT);
  }

  boolean isLoading(int page) {
    return isMarked(page, LOADING);
  }

  void setLoading(int page, boolean loading) {
    mark(page, LOADING, loading);
  }

  /** Keeps a page in memory, or no longer, for one of several reasons. */
  void keep(int page, byte reason, boolean kept) {
    mark(page, reason, kept);
  }

  boolean isKept(int page, byte reason) {
    return isMarked(page, reason);
  }

  /** Returns what is thrown at whoever uses a page that is not in memory. */
  static IllegalStateException missing(int page) {
    return new IllegalStateException("index page " + page + " is used and is not in memory");
  }

  /** Returns a number that differs whenever a page was dropped. */
  long drops() {
    return drops;
  }

  /** Returns how many pages are in use and not in memory. */
  int absentPages() {
    return absent;
  }

  /**
   * Returns whether a page is a leaf in memory that is as it was last written, and that nobody
   * waits for.
   *
   * @param changed whether it need not be as it was written: only to plant a mistake
   */
  boolean isDroppable(int page, boolean changed) {
    Chunk chunk = chunk(page);
    int i = page & MASK;
    return (chunk.marks[i] & (LEAF | ABSENT | FRESH | OF_CLEANER | OF_SCRUB)) == LEAF
        && chunk.refs[i] > 0
        && chunk.places[i] != 0
        && (chunk.epochs[i] == CLEAN || changed);
  }

  /** Gives the memory of a page back that {@link #isDroppable} has said yes to. */
  void drop(int page) {
    Chunk chunk = chunk(page);
    int i = page & MASK;
    long address = address(page);
    chunk.mapped[i] = (short) IndexSpace.mappedCount(address);
    chunk.families[i] = IndexSpace.family(address);
    chunk.leaves[i] = IndexSpace.leaf(address);
    chunk.marks[i] = LEAF | ABSENT;
    discard(page);
    absent++;
    drops++;
  }

  /** A page is in memory again with the content that it had. */
  void restored(int page) {
    mark(page, ABSENT, false);
    mark(page, LOADING, false);
    absent--;
  }

  /** Returns how many blocks a dropped leaf maps. */
  int absentMapped(int page) {
    return chunk(page).mapped[page & MASK];
  }

  /** Returns the family of a dropped leaf. */
  int absentFamily(int page) {
    return chunk(page).families[page & MASK];
  }

  /** Returns which leaf a dropped page is. */
  long absentLeaf(int page) {
    return chunk(page).leaves[page & MASK];
  }

  // The checkpoint.

  /** Returns how many pages have to be written at most, by the checkpoint at work and the next. */
  int unwrittenPages() {
    return dirty.size() + pending.size() - nextPending;
  }

  /** Returns the number above all pages ever used. */
  int pageLimit() {
    return nextPage;
  }

  /** Returns where a page was last written, zero for never. */
  long place(int page) {
    return chunk(page).places[page & MASK];
  }

  int checksum(int page) {
    return chunk(page).checksums[page & MASK];
  }

  // A checkpoint, in this order: cut, pages until there is none, freed pages until there is none.

  /** Begins a checkpoint of the state as it is now. */
  void cut() {
    if (nextPending < pending.size() || !freedAtCut.isEmpty()) {
      throw new IllegalStateException("the checkpoint before is not finished");
    }
    IntList emptied = pending;
    emptied.clear();
    pending = dirty;
    dirty = emptied;
    nextPending = 0;
    IntList none = freedAtCut;
    freedAtCut = freed;
    freed = none;
    epoch++;
  }

  /**
   * Collects the next pages that the checkpoint has to write, as many as fit; returns how many,
   * zero when all are written.
   */
  int pending(int[] into) {
    while (nextPending < pending.size() && !isPending(pending.get(nextPending))) {
      nextPending++;
    }
    int count = 0;
    for (int i = nextPending; i < pending.size() && count < into.length; i++) {
      if (isPending(pending.get(i))) {
        into[count++] = pending.get(i);
      }
    }
    return count;
  }

  private boolean isPending(int page) {
    Chunk chunk = chunk(page);
    return chunk.shadows[page & MASK] != 0 || chunk.epochs[page & MASK] == epoch - 1;
  }

  /** Returns the address of what a pending page held at the cut. */
  long pendingAddress(int page) {
    int shadow = chunk(page).shadows[page & MASK];
    return address(shadow == 0 ? page : shadow);
  }

  /** A pending page has been written; returns where it was before. */
  long written(int page, long place, int checksum) {
    Chunk chunk = chunk(page);
    int i = page & MASK;
    int shadow = chunk.shadows[i];
    if (shadow == 0) {
      chunk.epochs[i] = CLEAN;
    } else {
      chunk.shadows[i] = 0;
      discard(shadow);
      free.add(shadow);
      used--;
    }
    long before = chunk.places[i];
    chunk.places[i] = place;
    chunk.checksums[i] = checksum;
    return before;
  }

  /** Returns the next page that was free at the cut, or zero. */
  int nextFreed() {
    return freedAtCut.isEmpty() ? 0 : freedAtCut.get(freedAtCut.size() - 1);
  }

  /** The page that {@link #nextFreed} returned may be used again; returns where it was written. */
  long recycle(int page) {
    freedAtCut.removeLast();
    long before = chunk(page).places[page & MASK];
    chunk(page).places[page & MASK] = 0;
    chunk(page).epochs[page & MASK] = CLEAN;
    discard(page);
    free.add(page);
    return before;
  }

  /** Where memory is limited that of a free page goes back to the kernel. */
  private void discard(int page) {
    if (limited) {
      boolean _ = chunk(page).memory.discard((long) (page & MASK) * PAGE_BYTES, PAGE_BYTES);
    }
  }

  // At start.

  /** Makes room for pages below a limit; they are all free until they are restored. */
  void restoreLimit(int limit) {
    ensure(limit);
    nextPage = limit;
  }

  /**
   * A page was written at a place. It is in memory when that has been read to its address, and with
   * a limit only when {@link #restored} was told so.
   */
  void restore(int page, long place, int checksum) {
    chunk(page).places[page & MASK] = place;
    chunk(page).checksums[page & MASK] = checksum;
    used++;
    if (limited) {
      mark(page, ABSENT, true);
      absent++;
    }
  }

  /** All pages are restored and counted: those without a reference are given back. */
  void finishRestore() {
    for (int page = nextPage - 1; page > 0; page--) {
      if (refs(page) == 0) {
        if (place(page) == 0) {
          free.add(page);
        } else {
          free(page);
        }
      }
    }
  }

  void close() {
    for (int i = 0; i < chunkCount; i++) {
      chunks[i].memory.close();
    }
    chunkCount = 0;
  }
}
