package io.plinth.engine.sim;

import io.plinth.engine.memory.NativeMemory;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One file: what the page cache holds, what the disk was told to hold, and where the disk holds
 * something else. A page is dirty when the first two differ; only dirty pages are written, and only
 * writing mends the disk.
 */
final class SimFile {
  static final int SECTOR_BYTES = 512;
  static final int PAGE_BYTES = 4096;

  final NativeMemory cached;
  private final UnsafeBuffer cache;
  private final byte[] durable;

  /** What the disk really holds, by number of sector, where that is not what it was told. */
  private final TreeMap<Integer, byte[]> damage = new TreeMap<>();

  private final BitSet unreadablePages = new BitSet();
  private final byte[] page = new byte[PAGE_BYTES];

  // Whether clean pages are in memory, so that what happens to the disk does not show.
  private boolean inCache = true;

  SimFile(int bytes) {
    cached = NativeMemory.reserve(bytes);
    cache = cached.buffer(0, bytes);
    durable = new byte[bytes];
  }

  int sizeBytes() {
    return durable.length;
  }

  /** Writes the dirty pages of a range out, as they are now. */
  void sync(int from, int to) {
    writeOut(dirtyPages(from, to));
  }

  /** Returns what the dirty pages of a range hold now, by their offsets. */
  NavigableMap<Integer, byte[]> dirtyPages(int from, int to) {
    TreeMap<Integer, byte[]> pages = new TreeMap<>();
    for (int at = from & -PAGE_BYTES; at < to; at += PAGE_BYTES) {
      if (!isClean(at)) {
        pages.put(at, page.clone());
      }
    }
    return pages;
  }

  /** Lets the disk hold pages as they were when a sync began. */
  void writeOut(NavigableMap<Integer, byte[]> pages) {
    pages.forEach((offset, content) -> {
      System.arraycopy(content, 0, durable, offset, PAGE_BYTES);
      mend(offset, PAGE_BYTES);
    });
  }

  /**
   * The disk fails to take pages: the kernel reports it once and takes them for written from then
   * on (as ext4 and xfs do).
   */
  void failToWriteOut(NavigableMap<Integer, byte[]> pages) {
    pages.forEach((offset, content) -> {
      byte[] before = diskContent(offset, PAGE_BYTES);
      System.arraycopy(content, 0, durable, offset, PAGE_BYTES);
      damage(offset, before);
    });
  }

  /**
   * What is in memory is written again, so that it is dirty where the disk holds something else.
   */
  void rewrite(int from, int to) {
    if (!inCache) {
      return;
    }
    int first = (from & -PAGE_BYTES) / SECTOR_BYTES;
    int end = ((to + PAGE_BYTES - 1) & -PAGE_BYTES) / SECTOR_BYTES;
    Map<Integer, byte[]> within = damage.subMap(first, Math.max(first, end));
    within.forEach((sector, content) ->
        System.arraycopy(content, 0, durable, sector * SECTOR_BYTES, SECTOR_BYTES));
    within.clear();
  }

  /** Keeps of each dirty sector a random part; what is in memory is what the disk holds. */
  void losePower(SimRandom random) {
    int keepOneIn = 1 + random.nextInt(4);
    for (int at = 0; at < durable.length; at += PAGE_BYTES) {
      if (!isClean(at)) {
        // The scratch array holds the page now.
        for (int sector = 0; sector < PAGE_BYTES; sector += SECTOR_BYTES) {
          if (differs(page, sector, at + sector, SECTOR_BYTES) && random.oneIn(keepOneIn)) {
            System.arraycopy(page, sector, durable, at + sector, SECTOR_BYTES);
            mend(at + sector, SECTOR_BYTES);
          }
        }
      }
    }
    damage.forEach((sector, content) ->
        System.arraycopy(content, 0, durable, sector * SECTOR_BYTES, SECTOR_BYTES));
    damage.clear();
    cache.putBytes(0, durable);
    inCache = false;
  }

  /** Drops the clean pages from memory: what is read next comes from the disk. */
  void dropCache() {
    for (int sector : damage.keySet().toArray(new Integer[0])) {
      int offset = sector * SECTOR_BYTES;
      if (isClean(offset & -PAGE_BYTES)) {
        byte[] content = damage.remove(sector);
        System.arraycopy(content, 0, durable, offset, SECTOR_BYTES);
        cache.putBytes(offset, content);
      }
    }
    inCache = false;
  }

  /** What the file held is not wanted any more: all of it is going to be written over in memory. */
  void beginAnew() {
    inCache = true;
    // Writing mends, also where the same bytes happen to be written again.
    unreadablePages.clear();
    damage.clear();
  }

  /** Brings all pages into memory; returns whether all could be read. */
  boolean fillCache() {
    if (!inCache && !unreadablePages.isEmpty()) {
      return false;
    }
    inCache = true;
    return true;
  }

  /** Returns how many of the bytes from {@code offset} on can be read, up to {@code length}. */
  int readable(int offset, int length) {
    if (inCache) {
      return length;
    }
    int bad = unreadablePages.nextSetBit(offset / PAGE_BYTES);
    // A dirty page is in memory whatever was dropped.
    while (bad >= 0 && !isClean(bad * PAGE_BYTES)) {
      bad = unreadablePages.nextSetBit(bad + 1);
    }
    return bad < 0 ? length : Math.max(0, Math.min(length, bad * PAGE_BYTES - offset));
  }

  /**
   * Reads past the page cache: what the disk holds, and of dirty pages what is in memory, because
   * they are written first.
   *
   * @return how many bytes could be read, up to {@code length}
   */
  int readDisk(long address, int offset, int length) {
    int end = Math.min(durable.length, offset + length);
    for (int at = offset; at < end; at += PAGE_BYTES) {
      boolean clean = isClean(at);
      if (clean && unreadablePages.get(at / PAGE_BYTES)) {
        return at - offset;
      }
      byte[] content = clean ? diskContent(at, PAGE_BYTES) : page;
      new UnsafeBuffer(address + at - offset, PAGE_BYTES).putBytes(0, content);
    }
    return Math.max(0, end - offset);
  }

  /**
   * Returns whether the page at an offset holds in memory what the disk was told; leaves it in the
   * scratch array.
   */
  boolean isClean(int offset) {
    cache.getBytes(offset & -PAGE_BYTES, page);
    return !differs(page, 0, offset & -PAGE_BYTES, PAGE_BYTES);
  }

  /** Returns whether the disk holds a page as it was told, and can read it. */
  boolean isIntact(int offset) {
    int sector = (offset & -PAGE_BYTES) / SECTOR_BYTES;
    return damage.subMap(sector, sector + PAGE_BYTES / SECTOR_BYTES).isEmpty()
        && !unreadablePages.get(offset / PAGE_BYTES);
  }

  /** Lets the disk hold other content in whole sectors; seen when the cache does not hide it. */
  void damage(int offset, byte[] content) {
    for (int at = 0; at < content.length; at += SECTOR_BYTES) {
      byte[] sector = Arrays.copyOfRange(content, at, at + SECTOR_BYTES);
      if (differs(sector, 0, offset + at, SECTOR_BYTES)) {
        damage.put((offset + at) / SECTOR_BYTES, sector);
      } else {
        damage.remove((offset + at) / SECTOR_BYTES);
      }
    }
    if (!inCache) {
      dropCache();
    }
  }

  /** Flips a bit on the disk. */
  void rot(int offset, int bit) {
    int start = offset & -SECTOR_BYTES;
    byte[] sector = diskContent(start, SECTOR_BYTES);
    sector[offset - start] ^= (byte) (1 << bit);
    damage(start, sector);
  }

  /** Flips a bit back that was flipped by {@link #rot}, wherever that has shown. */
  void mendRot(int offset, int bit) {
    if (damage.containsKey(offset / SECTOR_BYTES)) {
      rot(offset, bit);
    } else {
      flipEverywhere(offset, bit);
    }
  }

  /** Flips a bit on the disk and in memory. */
  void flipEverywhere(int offset, int bit) {
    durable[offset] ^= (byte) (1 << bit);
    cache.putByte(offset, (byte) (cache.getByte(offset) ^ (1 << bit)));
  }

  void makeUnreadable(int offset) {
    unreadablePages.set(offset / PAGE_BYTES);
  }

  boolean isUnreadable(int offset) {
    return unreadablePages.get(offset / PAGE_BYTES);
  }

  /** Returns what the disk holds. */
  byte[] diskContent(int offset, int length) {
    byte[] content = Arrays.copyOfRange(durable, offset, offset + length);
    int first = offset / SECTOR_BYTES;
    int last = (offset + length - 1) / SECTOR_BYTES;
    for (Map.Entry<Integer, byte[]> entry : damage.subMap(first, last + 1).entrySet()) {
      int sectorStart = entry.getKey() * SECTOR_BYTES;
      int from = Math.max(sectorStart, offset);
      int to = Math.min(sectorStart + SECTOR_BYTES, offset + length);
      System.arraycopy(entry.getValue(), from - sectorStart, content, from - offset, to - from);
    }
    return content;
  }

  private void mend(int offset, int length) {
    damage.subMap(offset / SECTOR_BYTES, (offset + length) / SECTOR_BYTES).clear();
    unreadablePages.clear(offset / PAGE_BYTES);
  }

  private boolean differs(byte[] content, int at, int offset, int length) {
    return !Arrays.equals(content, at, at + length, durable, offset, offset + length);
  }
}
