package io.plinth.engine.sim;

import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * The files of one log on a simulated disk: for each the page cache's content and what is durable.
 * The death of a process keeps the page cache; the loss of power keeps of what was not synced a
 * random part, torn at 512 bytes.
 */
public final class SimDisk {
  private static final int SECTOR_BYTES = 512;
  private static final int SUPERBLOCK_BYTES = 8192;

  private final int segmentBytes;
  private final int maxSegments;
  private final TreeMap<Integer, SimFile> files = new TreeMap<>();
  private final SimFile superblock;

  /** One file: both contents, and what shall go wrong with it. */
  static final class SimFile {
    final NativeMemory cached;
    final byte[] durable;

    SimFile(int bytes) {
      cached = NativeMemory.reserve(bytes);
      durable = new byte[bytes];
    }

    void sync() {
      sync(0, durable.length);
    }

    void sync(int from, int to) {
      cached.buffer(0, durable.length).getBytes(from, durable, from, to - from);
    }

    void losePower(SimRandom random) {
      byte[] sector = new byte[SECTOR_BYTES];
      var buffer = cached.buffer(0, durable.length);
      int keepOneIn = 1 + random.nextInt(4);
      for (int at = 0; at < durable.length; at += SECTOR_BYTES) {
        buffer.getBytes(at, sector);
        if (!java.util.Arrays.equals(sector, 0, SECTOR_BYTES, durable, at, at + SECTOR_BYTES)) {
          if (random.oneIn(keepOneIn)) {
            System.arraycopy(sector, 0, durable, at, SECTOR_BYTES);
          }
        }
      }
      buffer.putBytes(0, durable);
    }
  }

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

  /** Flips one bit, on the disk and in the page cache. */
  public void flipBit(int slot, int offset, int bit) {
    SimFile file = files.get(slot);
    byte value = (byte) (file.durable[offset] ^ (1 << bit));
    file.durable[offset] = value;
    var buffer = file.cached.buffer(offset, 1);
    buffer.putByte(0, (byte) (buffer.getByte(0) ^ (1 << bit)));
  }

  /** Returns the slots that have files. */
  public List<Integer> slots() {
    return new ArrayList<>(files.keySet());
  }

  /** Returns the page cache's content of a segment. */
  public NativeMemory content(int slot) {
    return files.get(slot).cached;
  }

  /** Frees all memory. */
  public void close() {
    files.values().forEach(file -> file.cached.close());
    superblock.cached.close();
  }

  int segmentBytes() {
    return segmentBytes;
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
