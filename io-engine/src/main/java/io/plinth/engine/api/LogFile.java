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
   * Returns whether all of the file's written bytes are known to be in memory at {@link #memory()}.
   */
  boolean isResident();

  /**
   * Returns whether the file is sealed and locked in memory: as long as it is resident, what its
   * memory holds is not read from the disk again.
   */
  boolean isPinned();
}
