package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.journal.PlantedBug;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import org.agrona.UnsafeApi;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * What the indexes of one log share: pages, references to blocks of the log, and the rings of leaf
 * pages by family. Copies pages that are shared before they change, and frees trees that are needed
 * no more, a bit at a time.
 *
 * <p>A leaf page covers {@value #LEAF_BLOCKS} blocks, which is 9.1 bytes for each mapped block:
 *
 * <pre>
 *   0             8             12       16     24             64                      2304                  4096
 *  +-------------+-------------+--------+------+--------------+-----------------------+---------------------+
 *  | newestIndex | mappedCount | family | leaf | reserved     | 448 places of 5 bytes | 448 CRC32C of 4     |
 *  +-------------+-------------+--------+------+--------------+-----------------------+---------------------+
 * </pre>
 *
 * {@code newestIndex} is the newest Raft index that touched the leaf; {@code family} and {@code
 * leaf} name the ring that the page is in. An inner page holds 512 page numbers of 8 bytes, zero
 * where there is nothing below.
 */
final class IndexSpace {
  /** Place of a block that was never written or was trimmed: reads as zeroes. */
  static final long UNMAPPED = 0;

  /**
   * Place of a block that reads as zeroes and keeps its claim on space. Segment headers are at the
   * real place 0 and so never data.
   */
  static final long ALLOCATED_ZERO = (1L << 40) - 1;

  static final int LEAF_BLOCKS = 448;
  static final int INNER_SHIFT = 9;
  static final int INNER_ENTRIES = 1 << INNER_SHIFT;

  private static final int NEWEST_INDEX = 0;
  private static final int MAPPED_COUNT = 8;
  private static final int FAMILY = 12;
  private static final int LEAF = 16;
  private static final int PLACES = 64;
  private static final int PLACE_BYTES = 5;
  private static final long PLACE_MASK = (1L << 40) - 1;
  private static final int CHECKSUMS = PLACES + LEAF_BLOCKS * PLACE_BYTES;

  /** So many pages of doomed trees are read at a time. */
  private static final int READ_AHEAD = 32;

  /** Pages of trees that are being freed, each with its level. */
  private final IntList doomedPages = new IntList();

  private final IntList doomedLevels = new IntList();
  private final IndexPages pages;
  private final BlockReferences references;
  private final Int2ObjectHashMap<LeafRings> families = new Int2ObjectHashMap<>();

  private final Set<PlantedBug> plantedBugs;
  private final boolean readsDropped;

  /** Null where pages are not dropped. */
  private LeafLoader loader;

  private long changes;

  /** Sum of what was read ahead, so that the compiler keeps these reads. */
  long touched;

  IndexSpace(int segments, int blocksPerSegment, Set<PlantedBug> plantedBugs) {
    this.plantedBugs = plantedBugs;
    this.readsDropped = plantedBugs.contains(PlantedBug.DROPPED_READS_AS_UNMAPPED);
    pages = new IndexPages(!plantedBugs.contains(PlantedBug.CHANGE_PENDING_PAGE));
    references = new BlockReferences(segments, blocksPerSegment);
  }

  IndexPages pages() {
    return pages;
  }

  /** Lets leaf pages be dropped, and read again by a loader. Before the first page. */
  void limit(LeafLoader newLoader) {
    loader = newLoader;
    pages.limit();
  }

  /** Returns what reads dropped pages again; null where none are dropped. */
  LeafLoader loader() {
    return loader;
  }

  // Leaf pages that may have been dropped.

  /**
   * Sees to it that a leaf page is in memory: OK when it is, and stays there in this duty cycle;
   * EAGAIN when it is being read, and {@link VolumeStore#later} tells of it; EIO when it can't be.
   */
  int bring(int page) {
    return pages.isAbsent(page) && !readsDropped ? loader.bring(page) : Status.OK;
  }

  /** Returns what two answers of {@link #bring} are together. */
  static int worse(int one, int other) {
    if (one == Status.EIO || other == Status.EIO) {
      return Status.EIO;
    }
    return one == Status.OK ? other : one;
  }

  /**
   * Sees to it that all pages of a family for the leaf of a block are in memory.
   *
   * @param held gets those that are, so that they stay until the last one has come; null where the
   *     caller does not insist
   */
  int bringRing(int family, long block, HeldLeaves held) {
    int first = pages.isLimited() && block >= 0 ? firstOfRing(family, block) : 0;
    int found = Status.OK;
    int page = first;
    while (page != 0) {
      int one = bring(page);
      if (one == Status.OK && held != null) {
        held.hold(page);
      }
      found = worse(found, one);
      page = pages.sibling(page) == first ? 0 : pages.sibling(page);
    }
    return found;
  }

  private int firstOfRing(int family, long block) {
    LeafRings rings = families.get(family);
    return rings == null ? 0 : rings.first(block / LEAF_BLOCKS);
  }

  /** Returns the address of a leaf page that is used for a client; see {@link #leafAddress}. */
  long use(int page) {
    long address = leafAddress(page);
    pages.noteUse(page);
    return address;
  }

  /**
   * Returns the address of a leaf page, which must be in memory; before the log is open it is read
   * where it is not.
   */
  long leafAddress(int page) {
    if (pages.isAbsent(page) && !readsDropped) {
      if (loader == null || !loader.readNow(page)) {
        throw IndexPages.missing(page);
      }
    }
    return pages.address(page);
  }

  /** Lets a page be written anew, as soon as it is in memory. */
  void mend(int page) {
    if (pages.isAbsent(page)) {
      loader.mend(page);
    } else {
      pages.touch(page);
    }
  }

  /** Returns how many blocks a leaf page maps, in memory or not. */
  int mappedIn(int page) {
    return pages.isAbsent(page) ? pages.absentMapped(page) : mappedCount(pages.address(page));
  }

  BlockReferences references() {
    return references;
  }

  /** A tree begins to change: what was counted of all trees before may be so no more. */
  void noteChange() {
    changes++;
  }

  /** Returns a number that differs whenever a tree has changed; moves of the cleaner are none. */
  long changes() {
    return changes;
  }

  static boolean isData(long place) {
    return place != UNMAPPED && place != ALLOCATED_ZERO;
  }

  /** One more tree has this page as its root. */
  void shareRoot(int page) {
    if (!plantedBugs.contains(PlantedBug.LOSE_SNAPSHOT_REFERENCE)) {
      pages.retain(page);
    }
  }

  // Pages of a tree.

  /** Returns whether a page has to be copied before one of its trees changes it. */
  boolean isShared(int page) {
    return pages.refs(page) > 1 && !plantedBugs.contains(PlantedBug.CHANGE_SHARED_PAGE);
  }

  int child(int page, int entry) {
    return (int) UnsafeApi.getLong(pages.address(page) + 8L * entry);
  }

  /** Sets an entry of an inner page that has one reference. */
  void setChild(int page, int entry, int child) {
    pages.touch(page);
    UnsafeApi.putLong(pages.address(page) + 8L * entry, child);
  }

  /** Makes an empty page of a tree; level 0 is a leaf. */
  int newPage(int level, int family, long leaf) {
    int page = pages.allocate();
    if (level == 0) {
      pages.noteLeaf(page);
      UnsafeApi.putInt(pages.address(page) + FAMILY, family);
      UnsafeApi.putLong(pages.address(page) + LEAF, leaf);
      rings(family).add(leaf, page);
    }
    return page;
  }

  /**
   * Returns a page with the same content and one reference, for a tree that has one of several
   * references to {@code page} and gives it up.
   */
  int copy(int page, int level) {
    long from = level == 0 ? leafAddress(page) : pages.address(page);
    int copy = pages.allocate();
    NativeMemory.copy(from, pages.address(copy), IndexPages.PAGE_BYTES);
    if (pages.release(page)) {
      throw new IllegalStateException("index page " + page + " was not shared");
    }
    if (level > 0) {
      for (int i = 0; i < INNER_ENTRIES; i++) {
        int child = child(copy, i);
        if (child != 0) {
          pages.retain(child);
        }
      }
      return copy;
    }
    pages.noteLeaf(copy);
    long address = pages.address(copy);
    for (int i = 0; i < LEAF_BLOCKS; i++) {
      long place = place(address, i);
      if (isData(place)) {
        references.retain(place);
      }
    }
    rings(UnsafeApi.getInt(address + FAMILY)).add(UnsafeApi.getLong(address + LEAF), copy);
    return copy;
  }

  /** Gives up a reference to a page; what only it refers to is freed by {@link #freeSome}. */
  void doom(int page, int level) {
    doomedPages.add(page);
    doomedLevels.add(level);
  }

  /** Returns whether trees are being freed. */
  boolean isFreeing() {
    return !doomedPages.isEmpty();
  }

  /**
   * Frees up to {@code limit} pages of doomed trees; returns how many were looked at: none while a
   * page has to be read first.
   */
  int freeSome(int limit) {
    int done = 0;
    noteChange();
    while (done < limit && !doomedPages.isEmpty()) {
      int newest = doomedPages.size() - 1;
      int found = bringDoomed(newest);
      if (found == Status.EAGAIN) {
        for (int i = newest - 1; i >= 0 && i > newest - READ_AHEAD; i--) {
          int _ = bringDoomed(i);
        }
        break;
      }
      int page = doomedPages.removeLast();
      int level = doomedLevels.removeLast();
      done++;
      if (pages.release(page)) {
        if (level > 0) {
          doomChildren(page, level);
        } else if (found == Status.OK) {
          releaseLeaf(page);
        } else {
          // What it refers to stays counted until the next start, which counts anew.
          rings(pages.absentFamily(page)).remove(pages.absentLeaf(page), page);
        }
        pages.free(page);
      }
    }
    return done;
  }

  /** A leaf that nobody shares has to be in memory to be freed. */
  private int bringDoomed(int i) {
    int page = doomedPages.get(i);
    boolean needed = doomedLevels.get(i) == 0 && pages.refs(page) == 1;
    return needed ? bring(page) : Status.OK;
  }

  private void doomChildren(int page, int level) {
    for (int i = 0; i < INNER_ENTRIES; i++) {
      int child = child(page, i);
      if (child != 0) {
        doom(child, level - 1);
      }
    }
  }

  private void releaseLeaf(int page) {
    long address = leafAddress(page);
    boolean releases = !plantedBugs.contains(PlantedBug.KEEP_DELETED_REFERENCES);
    for (int i = 0; i < LEAF_BLOCKS && releases; i++) {
      long place = place(address, i);
      if (isData(place)) {
        references.release(place);
      }
    }
    rings(UnsafeApi.getInt(address + FAMILY)).remove(UnsafeApi.getLong(address + LEAF), page);
  }

  // Leaves.

  static int mappedCount(long leafAddress) {
    return UnsafeApi.getInt(leafAddress + MAPPED_COUNT);
  }

  static void changeMappedCount(long leafAddress, int change) {
    UnsafeApi.putInt(leafAddress + MAPPED_COUNT, mappedCount(leafAddress) + change);
  }

  /** Returns the family that a leaf page is of. */
  static int family(long leafAddress) {
    return UnsafeApi.getInt(leafAddress + FAMILY);
  }

  /** Returns the number of the leaf that a page is for. */
  static long leaf(long leafAddress) {
    return UnsafeApi.getLong(leafAddress + LEAF);
  }

  static long newestIndex(long leafAddress) {
    return UnsafeApi.getLong(leafAddress + NEWEST_INDEX);
  }

  static void newestIndex(long leafAddress, long raftIndex) {
    UnsafeApi.putLong(leafAddress + NEWEST_INDEX, raftIndex);
  }

  static long place(long leafAddress, int i) {
    // Eight bytes are read for five; behind the last place there are the checksums.
    return UnsafeApi.getLong(leafAddress + PLACES + (long) PLACE_BYTES * i) & PLACE_MASK;
  }

  static int checksum(long leafAddress, int i) {
    return UnsafeApi.getInt(leafAddress + CHECKSUMS + 4L * i);
  }

  /** Reads what {@link #setPlace} will look at. */
  void touch(long leafAddress, int i) {
    long place = place(leafAddress, i);
    touched += newestIndex(leafAddress) + checksum(leafAddress, i);
    if (isData(place)) {
      touched += references.touch(place);
    }
  }

  /** Sets an entry of a leaf that has one reference and was touched. */
  void setPlace(long leafAddress, int i, long place, int checksum) {
    long before = place(leafAddress, i);
    // First the new one: the same place must not seem dead in between.
    if (isData(place)) {
      references.retain(place);
      UnsafeApi.putInt(leafAddress + CHECKSUMS + 4L * i, checksum);
    }
    if (isData(before)) {
      references.release(before);
    }
    storePlace(leafAddress, i, place);
  }

  private static void storePlace(long leafAddress, int i, long place) {
    long at = leafAddress + PLACES + (long) PLACE_BYTES * i;
    UnsafeApi.putInt(at, (int) place);
    UnsafeApi.putByte(at + 4, (byte) (place >>> 32));
  }

  // Families.

  private LeafRings rings(int family) {
    LeafRings rings = families.get(family);
    if (rings == null) {
      rings = new LeafRings(pages);
      families.put(family, rings);
    }
    return rings;
  }

  /**
   * Lets every entry for a block that refers to one place refer to another, in all trees of a
   * family; returns how many there were.
   */
  int relocate(int family, long block, long from, long to) {
    int first = firstOfRing(family, block);
    if (first == 0) {
      return 0;
    }
    int i = (int) (block % LEAF_BLOCKS);
    int changed = 0;
    int page = first;
    do {
      long address = leafAddress(page);
      if (place(address, i) == from) {
        pages.touch(page);
        setPlace(address, i, to, checksum(address, i));
        changed++;
      }
      page = pages.sibling(page);
    } while (page != first);
    return changed;
  }

  /** Returns a leaf page of a family in which a block is at a place, or zero. */
  int findLeaf(int family, long block, long place) {
    int first = block < 0 ? 0 : firstOfRing(family, block);
    if (first == 0) {
      return 0;
    }
    int i = (int) (block % LEAF_BLOCKS);
    int page = first;
    do {
      if (place(leafAddress(page), i) == place) {
        return page;
      }
      page = pages.sibling(page);
    } while (page != first);
    return 0;
  }

  // At start.

  /** Reads pages that were restored. */
  interface PageReader {
    /** Reads a page to its address: it is in memory then. */
    void read(int page) throws IndexException;
  }

  /**
   * Counts the references of a tree whose pages were restored; a page that was met before is not
   * entered again.
   *
   * @param reader of inner pages
   * @param leaves gets the leaf pages that were not met before: they have not been read
   * @throws IndexException when the pages make no sense
   */
  void count(int root, int level, PageReader reader, BitSet leaves) throws IndexException {
    List<int[]> stack = new ArrayList<>();
    stack.add(new int[] {root, level});
    while (!stack.isEmpty()) {
      int[] next = stack.removeLast();
      int page = next[0];
      if (page <= 0 || page >= pages.pageLimit() || pages.place(page) == 0) {
        throw new IndexException("index page " + page + " is missing");
      }
      pages.retain(page);
      if (pages.refs(page) > 1) {
        continue;
      }
      if (next[1] == 0) {
        pages.noteLeaf(page);
        leaves.set(page);
        continue;
      }
      reader.read(page);
      for (int i = 0; i < INNER_ENTRIES; i++) {
        int child = child(page, i);
        if (child != 0) {
          stack.add(new int[] {child, next[1] - 1});
        }
      }
    }
  }

  /** Counts the references of a leaf page that has been read. */
  void countLeaf(int page) throws IndexException {
    long address = pages.address(page);
    for (int i = 0; i < LEAF_BLOCKS; i++) {
      long place = place(address, i);
      if (isData(place)) {
        if (!references.isPlace(place)) {
          throw new IndexException("index page " + page + " names a place outside of the log");
        }
        references.retain(place);
      }
    }
    rings(UnsafeApi.getInt(address + FAMILY)).add(UnsafeApi.getLong(address + LEAF), page);
  }

  void close() {
    pages.close();
    references.close();
  }
}
