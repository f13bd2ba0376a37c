package io.plinth.engine.api;

import io.plinth.engine.memory.NativeMemory;

/**
 * One segment of a log: a preallocated file of fixed size that is written by copying into resident
 * memory and read back through the ring.
 */
public interface LogFile extends BlockFile {
  /** Returns the number of this segment's slot, which names its file. */
  int slot();

  /** Returns the size in bytes. */
  int sizeBytes();

  /**
   * Returns the whole file in memory, or null when it is not mapped. Bytes below {@link
   * #writableBytes()} may be written, and bytes may be read while {@link #isResident()}, without a
   * page fault that waits for a disk.
   */
  NativeMemory memory();

  /**
   * Returns how many bytes from the start are populated for writing; grows by itself up to {@link
   * #sizeBytes()}.
   */
  int writableBytes();

  /** Asks for population up to {@code bytes} from the start; returns at once. */
  void populateTo(int bytes);

  /**
   * Makes a range durable as {@link #sync} does. Pages that are populated ahead of the range count
   * as written to the kernel: a sync of the whole file would write them out, and the next store
   * into each would fault.
   */
  boolean syncRange(int from, int to, Completion completion, long context);

  /**
   * Returns whether {@link #syncRange} may begin now without keeping this core's processor busy for
   * long. When not, the file gets ready for what was written so far, and the core is woken when it
   * is: then, or at any later time, the range may have grown.
   */
  default boolean isReadyToSync(int from, int to) {
    return true;
  }

  /**
   * Returns whether all of the file's written bytes are known to be in memory at {@link #memory()}.
   */
  boolean isResident();

  /**
   * Returns whether the file is sealed and locked in memory: as long as it is resident, what its
   * memory holds is not read from the disk again.
   */
  boolean isPinned();

  /**
   * Reads as {@link #read} does, but never copies on this thread: for large reads that nobody waits
   * for.
   */
  default boolean readAside(
      long address, int length, long position, Completion completion, long context) {
    return read(address, length, position, completion, context);
  }

  /**
   * Gets ready for {@link #readDisk}, which takes a moment; whoever asks for it ends it with {@link
   * #endDiskReads}.
   */
  default void beginDiskReads() {}

  /** Returns whether {@link #readDisk} may be used now. */
  default boolean isReadyForDiskReads() {
    return true;
  }

  /** Returns whether {@link #readDisk} sees the disk and not the kernel's page cache. */
  default boolean readsPastCache() {
    return false;
  }

  /**
   * Reads as {@link #read} does, but what the disk holds, where the file system offers that (see
   * {@link #readsPastCache}); what the page cache holds and has not written is written first.
   * Address, length and position are multiples of 4096.
   */
  default boolean readDisk(
      long address, int length, long position, Completion completion, long context) {
    return read(address, length, position, completion, context);
  }

  /** Ends what {@link #beginDiskReads} began; no such read may be in flight. */
  default void endDiskReads() {}
}
