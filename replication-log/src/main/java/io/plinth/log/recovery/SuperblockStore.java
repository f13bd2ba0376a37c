package io.plinth.log.recovery;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.Superblock;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;

/** Reads the superblock of a log and writes it, each time over the older copy. */
public final class SuperblockStore {
  private final LogStorage storage;
  private final NativeMemory memory = NativeMemory.reserve(2 * Superblock.BYTES);
  private final Superblock flyweight = new Superblock();
  private final CRC32C crc = new CRC32C();

  /** Creates a store over a log's storage. */
  public SuperblockStore(LogStorage storage) {
    this.storage = storage;
  }

  /**
   * Reads the superblock; at start only.
   *
   * @return the values, or null when there is none yet
   * @throws RecoveryException when there is one and it can't be used
   */
  public Superblock.Values read(String name) throws RecoveryException {
    int count = storage.readSuperblock(memory.address());
    if (count < 0) {
      throw new RecoveryException(name + ": can't read the superblock: " + Status.name(count));
    }
    if (count == 0) {
      return null;
    }
    Superblock.Values newest = null;
    int otherVersion = -1;
    boolean any = false;
    for (int copy = 0; copy * Superblock.BYTES + Superblock.BYTES <= count; copy++) {
      long address = memory.address() + (long) copy * Superblock.BYTES;
      flyweight.wrap(address);
      any |= flyweight.hasMagic();
      if (!flyweight.hasMagic()
          || flyweight.crc() != memory.crc32c(crc, address, Superblock.CRC_OFFSET)) {
        continue;
      }
      if (flyweight.version() != LogFormat.VERSION) {
        otherVersion = flyweight.version();
        continue;
      }
      if (newest == null || flyweight.generation() > newest.generation()) {
        newest = flyweight.decode();
      }
    }
    if (otherVersion >= 0 && newest == null) {
      throw new RecoveryException(
          name
              + ": format version "
              + otherVersion
              + "; this program reads version "
              + LogFormat.VERSION);
    }
    if (newest == null && hasUsedSegment()) {
      throw new RecoveryException(
          name
              + (any
                  ? ": both copies of the superblock are damaged"
                  : ": the superblock is not one of Plinth's, though there are segments"));
    }
    return newest;
  }

  /**
   * Returns whether there is a segment that begins with anything but zeroes. Nothing is written to
   * the first segment before the first superblock is durable; without one, a log without a used
   * segment is one whose first start was interrupted, and begins anew.
   */
  private boolean hasUsedSegment() {
    long address = memory.address();
    for (int slot : storage.existingSlots()) {
      int count = storage.readNow(slot, address, Superblock.BYTES, 0);
      if (count < 0) {
        return true;
      }
      for (int at = 0; at + Long.BYTES <= count; at += Long.BYTES) {
        if (UnsafeApi.getLong(address + at) != 0) {
          return true;
        }
      }
    }
    return false;
  }

  /**
   * Writes the superblock over the older copy and makes it durable.
   *
   * @return whether the completion will be called
   */
  public boolean write(Superblock.Values values, Completion completion, long context) {
    int copy = (int) (values.generation() & 1);
    long address = memory.address() + (long) copy * Superblock.BYTES;
    flyweight.wrap(address);
    flyweight.encode(values);
    flyweight.crc(memory.crc32c(crc, address, Superblock.CRC_OFFSET));
    return storage.writeSuperblock(copy, address, completion, context);
  }

  /** Frees the memory; no write may be in flight. */
  public void close() {
    memory.close();
  }
}
