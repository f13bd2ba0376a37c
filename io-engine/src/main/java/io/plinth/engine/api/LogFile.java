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
   * Returns whether all of the file's written bytes are known to be in memory at {@link #memory()}.
   */
  boolean isResident();
}
