package io.plinth.engine.sim;

import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * The files of one log on a simulated disk: for each the page cache's content and what is durable.
 * The death of a process keeps the page cache; the loss of power keeps of what was not synced a
 * random part, torn at 512 bytes. Damage to the disk shows when the page cache does not hide it:
 * after the loss of power, or once a segment was evicted.
 */
public final class SimDisk {
  private static final int SUPERBLOCK_BYTES = 8192;

  private final int segmentBytes;
  private final int maxSegments;
  private final TreeMap<Integer, SimFile> files = new TreeMap<>();
  private final SimFile superblock;
  private final Map<Fault, Long> faults = new EnumMap<>(Fault.class);
  private int segmentLimit = Integer.MAX_VALUE;

  /** Creates an empty disk. */
  public SimDisk(int segmentBytes, int maxSegments) {
    this.segmentBytes = segmentBytes;
    this.maxSegments = maxSegments;
    this.superblock = new SimFile(SUPERBLOCK_BYTES);
  }

  /** The machine loses power: what was not synced is kept in random parts. */
  public void losePower(SimRandom random) {
    for (SimFile file : files.values()) {
      file.losePower(random);
    }
    superblock.losePower(random);
  }

  /** Lets the host's file system have room for so many segments in all. */
  public void limitSegments(int count) {
    segmentLimit = count;
  }

  /** Returns whether the host's file system has less room than the log may take. */
  public boolean isLimited() {
    return segmentLimit < maxSegments;
  }

  /** Returns whether no more segments can be made. */
  public boolean isFull() {
    return files.size() >= Math.min(segmentLimit, maxSegments);
  }

  /** Flips one bit, on the disk and in the page cache. */
  public void flipBit(int slot, int offset, int bit) {
    files.get(slot).flipEverywhere(offset, bit);
  }

  /** Flips one bit on the disk; the page cache hides it for as long as it holds the page. */
  public void rotBit(int slot, int offset, int bit) {
    files.get(slot).rot(offset, bit);
  }

  /** Takes back what {@link #rotBit} did. */
  public void mendBit(int slot, int offset, int bit) {
    files.get(slot).mendRot(offset, bit);
  }

  /** Lets reads of a page fail until it is written again, unless the page cache has it. */
  public void failReads(int slot, int offset) {
    files.get(slot).makeUnreadable(offset);
  }

  /**
   * The write of one page went to the place of another: there it is found now, and its own place
   * holds zeroes as before.
   */
  public void misdirectWrite(int slot, int offset, int wrongSlot, int wrongOffset) {
    byte[] content = files.get(slot).diskContent(offset, SimFile.PAGE_BYTES);
    files.get(wrongSlot).damage(wrongOffset, content);
    files.get(slot).damage(offset, new byte[SimFile.PAGE_BYTES]);
  }

  /** Returns whether a page is durable, undamaged, and the same in the page cache. */
  public boolean isSettled(int slot, int offset) {
    SimFile file = files.get(slot);
    return file.isClean(offset) && file.isIntact(offset);
  }

  /** Returns whether the disk was told what the page cache holds of a page. */
  public boolean isClean(int slot, int offset) {
    return files.get(slot).isClean(offset);
  }

  /** Returns whether a page can't be read from the disk. */
  public boolean isUnreadable(int slot, int offset) {
    return files.get(slot).isUnreadable(offset);
  }

  /** Returns the slots that have files. */
  public List<Integer> slots() {
    return new ArrayList<>(files.keySet());
  }

  /** Returns the page cache's content of a segment. */
  public NativeMemory content(int slot) {
    return files.get(slot).cached;
  }

  /** Returns what the disk holds in a range of a segment. */
  public byte[] diskContent(int slot, int offset, int length) {
    return files.get(slot).diskContent(offset, length);
  }

  /** Returns the size of every segment in bytes. */
  public int segmentBytes() {
    return segmentBytes;
  }

  /** Counts a fault that has happened. */
  public void note(Fault fault) {
    faults.merge(fault, 1L, Long::sum);
  }

  /** Returns how often each fault has happened. */
  public Map<Fault, Long> faults() {
    return new EnumMap<>(faults);
  }

  /** Returns a checksum of all that the disk holds: equal runs leave equal disks. */
  public int checksum() {
    CRC32C crc = new CRC32C();
    for (SimFile file : files.values()) {
      crc.update(file.diskContent(0, file.sizeBytes()));
    }
    crc.update(superblock.diskContent(0, SUPERBLOCK_BYTES));
    return (int) crc.getValue();
  }

  /** Frees all memory. */
  public void close() {
    files.values().forEach(file -> file.cached.close());
    superblock.cached.close();
  }

  int maxSegments() {
    return maxSegments;
  }

  NavigableMap<Integer, SimFile> files() {
    return files;
  }

  SimFile superblock() {
    return superblock;
  }
}
