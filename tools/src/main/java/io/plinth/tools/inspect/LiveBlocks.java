package io.plinth.tools.inspect;

import io.plinth.engine.api.LogStorage;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.volume.IndexWalk;
import java.util.Locale;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;

/**
 * Which blocks of a log are alive, and their checksums: as a walk of the index finds them. Five
 * bytes for each block of the log outside the heap, of which only those of live parts are ever
 * touched.
 */
final class LiveBlocks implements IndexWalk.Visitor {
  private static final int BLOCK = LogFormat.BLOCK_BYTES;
  private static final int CHUNK_BLOCKS = 256;
  private static final byte DATA = 1;
  private static final byte CHECKPOINT = 2;

  /** Checked as a whole when the checkpoint was loaded. */
  private static final byte ROOT = 3;

  private final String name;
  private final LogStorage storage;
  private final int blocksPerSegment;
  private final NativeMemory kinds;
  private final NativeMemory checksums;
  private final int[] data;
  private final int[] checkpoint;

  /** A block that can't be trusted; null where all of them can. */
  record Damage(long place, String what) {}

  LiveBlocks(String name, LogStorage storage) {
    this.name = name;
    this.storage = storage;
    this.blocksPerSegment = storage.segmentBytes() / BLOCK;
    long blocks = (long) storage.maxSegments() * blocksPerSegment;
    kinds = NativeMemory.reserve(blocks);
    checksums = NativeMemory.reserve(blocks * Integer.BYTES);
    data = new int[storage.maxSegments()];
    checkpoint = new int[storage.maxSegments()];
  }

  @Override
  public void onData(long place, int checksum) throws RecoveryException {
    byte kind = kind(place);
    if (kind == DATA) {
      if (checksum(place) != checksum) {
        throw contradiction(place, "has two checksums in the index");
      }
      return;
    }
    if (kind != 0) {
      throw contradiction(place, "is taken for data and belongs to the checkpoint");
    }
    set(place, DATA, checksum);
    data[slot(place)]++;
  }

  @Override
  public void onCheckpoint(long place, int checksum) throws RecoveryException {
    if (kind(place) != 0) {
      throw contradiction(place, "belongs to the checkpoint and is referred to otherwise too");
    }
    set(place, CHECKPOINT, checksum);
    checkpoint[slot(place)]++;
  }

  /** The description of the checkpoint is at a place. */
  void onRoot(long place, int blocks) throws RecoveryException {
    for (int i = 0; i < blocks; i++) {
      onCheckpoint(place + i, 0);
      set(place + i, ROOT, 0);
    }
  }

  int data(int slot) {
    return data[slot];
  }

  int checkpoint(int slot) {
    return checkpoint[slot];
  }

  /** Returns the first live block of a segment that is at or behind an offset, or -1. */
  long firstFrom(int slot, int offset) {
    long end = (slot + 1L) * blocksPerSegment;
    for (long place = slot * (long) blocksPerSegment + offset / BLOCK; place < end; place++) {
      if (kind(place) != 0) {
        return place;
      }
    }
    return -1;
  }

  /** Reads every live block and checks it; returns the first that is damaged, or null. */
  Damage verify() {
    NativeMemory memory = NativeMemory.reserve(CHUNK_BLOCKS * (long) BLOCK);
    try {
      for (int slot = 0; slot < data.length; slot++) {
        if (data[slot] + checkpoint[slot] > 0) {
          Damage damage = verify(slot, memory);
          if (damage != null) {
            return damage;
          }
        }
      }
      return null;
    } finally {
      memory.close();
    }
  }

  private Damage verify(int slot, NativeMemory memory) {
    CRC32C crc = new CRC32C();
    long base = slot * (long) blocksPerSegment;
    for (int first = 0; first < blocksPerSegment; first += CHUNK_BLOCKS) {
      int last = Math.min(blocksPerSegment, first + CHUNK_BLOCKS) - 1;
      int from = first;
      while (from <= last && kind(base + from) == 0) {
        from++;
      }
      while (last > from && kind(base + last) == 0) {
        last--;
      }
      if (from > last) {
        continue;
      }
      int length = (last - from + 1) * BLOCK;
      int count = storage.readNow(slot, memory.address(), length, from * (long) BLOCK);
      for (int i = from; i <= last; i++) {
        byte kind = kind(base + i);
        int at = (i - from) * BLOCK;
        if (kind == DATA || kind == CHECKPOINT) {
          if (at + BLOCK > count) {
            return new Damage(base + i, "can't be read");
          }
          if (memory.crc32c(crc, memory.address() + at, BLOCK) != checksum(base + i)) {
            return new Damage(base + i, "does not match its checksum");
          }
        }
      }
    }
    return null;
  }

  /** Returns the segment that a place is in. */
  int slot(long place) {
    return (int) (place / blocksPerSegment);
  }

  /** Returns the offset of a place in its segment, in bytes. */
  long offset(long place) {
    return place % blocksPerSegment * BLOCK;
  }

  private byte kind(long place) {
    return UnsafeApi.getByte(kinds.address() + place);
  }

  private int checksum(long place) {
    return UnsafeApi.getInt(checksums.address() + place * Integer.BYTES);
  }

  private void set(long place, byte kind, int checksum) {
    UnsafeApi.putByte(kinds.address() + place, kind);
    UnsafeApi.putInt(checksums.address() + place * Integer.BYTES, checksum);
  }

  private RecoveryException contradiction(long place, String what) {
    return new RecoveryException(
        String.format(
            Locale.ROOT, "%s segment %d offset %d %s", name, slot(place), offset(place), what));
  }

  void close() {
    kinds.close();
    checksums.close();
  }
}
