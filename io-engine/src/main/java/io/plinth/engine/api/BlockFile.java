package io.plinth.engine.api;

/**
 * A file read and written at explicit positions through the core's ring.
 *
 * <p>Submit contract of all methods: true means accepted, and the completion is called exactly
 * once; false means that all slots are in use, nothing happens, and the completion is never called.
 */
public interface BlockFile {
  /**
   * Reads up to {@code length} bytes at {@code position} into memory; the result is the count, 0 at
   * the end of the file.
   */
  boolean read(long address, int length, long position, Completion completion, long context);

  /**
   * Writes up to {@code length} bytes at {@code position}; the result is the count, which may be
   * short.
   */
  boolean write(long address, int length, long position, Completion completion, long context);

  /** Makes all writes that completed before this call durable, as fdatasync(2) does. */
  boolean sync(Completion completion, long context);

  /** Closes the file once all its operations have completed. */
  void close();
}
