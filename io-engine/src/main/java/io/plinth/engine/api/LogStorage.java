package io.plinth.engine.api;

/**
 * The segments of one log: where they are, how new ones come to be, and how old ones are read. Slow
 * work (creating, populating, pinning, unmapping) is done elsewhere than on the core; what is asked
 * for shows later in what the files and this object answer.
 */
public interface LogStorage {
  /** Returns the size of every segment in bytes. */
  int segmentBytes();

  /** Returns the most segments that this log may have. */
  int maxSegments();

  /** Returns the slots that have a file, in ascending order. At start only. */
  int[] existingSlots();

  /** Returns whether a slot has a file. At start only. */
  boolean hasSlot(int slot);

  /** Returns the file of a slot that exists. At start only. */
  LogFile openExisting(int slot);

  /**
   * Reads from a slot and waits for it. At start only, before clients are served.
   *
   * @return the count, or a negated errno
   */
  int readNow(int slot, long address, int length, long position);

  /**
   * Returns the file of a slot that exists, mapped and being populated from {@code position} on, to
   * be appended to. At start only.
   */
  LogFile openForAppend(int slot, int position);

  /**
   * Sets the bytes of a slot from {@code from} to before {@code to} to zero, durably, and waits for
   * it. At start only.
   *
   * @return {@link Status#OK} or a negated errno
   */
  int eraseNow(int slot, int from, int to);

  /**
   * Lets the bytes of a slot from {@code from} to before {@code to} count as written just now, so
   * that the next sync writes them out: after a sync that failed, the kernel takes pages for
   * written that the disk does not hold, and a process that is new does not hear of it. What can't
   * be read is passed over: it is not in memory, and was written before. At start only.
   *
   * @return {@link Status#OK} or a negated errno
   */
  int rewriteNow(int slot, int from, int to);

  /** Deletes the file of a slot that holds no records. At start only. */
  void removeExisting(int slot);

  /**
   * Asks for a new segment to be prepared in {@code slot}; returns at once. At most one at a time.
   * What is beyond {@link LogFile#writableBytes()} may be of an earlier use of the slot, but the
   * first block is durably zero before anything behind it is written over. All of its space is
   * taken from the file system, so that there is never part of a segment.
   */
  void prepare(int slot);

  /**
   * Returns the segment that was asked for, once, when it is allocated and populated for {@link
   * LogFile#writableBytes()}; null while it is not ready or when it failed.
   */
  LogFile takePrepared();

  /**
   * Returns why the last preparation failed, or {@link Status#OK}; {@link Status#ENOSPC} when the
   * file system is full.
   */
  int prepareStatus();

  /**
   * Returns why the newest attempt to populate the segment being written has failed, or {@link
   * Status#OK}; {@link LogFile#populateTo} tries again.
   */
  int populateStatus();

  /**
   * The log is being cleaned from now on, or no more: there is more to do, and what helps the log
   * along leaves processors to those whom clients wait for as long as nobody waits for it.
   */
  default void gently(boolean isGentle) {}

  /** Whoever writes the log is about to wait for the segment that is being prepared. */
  default void hurry() {}

  /** Returns whether sealed segments can be kept in memory for certain. */
  boolean canPin();

  /**
   * Asks for all of a file that is not written any more to be brought into memory and kept there;
   * {@link LogFile#isResident()} tells whether that is so. Its memory may not be written from now
   * on.
   */
  void makeResident(LogFile file, int validBytes);

  /** Ends the residence of a file; no reference into its memory may be in use. */
  void evict(LogFile file);

  /**
   * Gives up a file whose content is not needed any more; nothing may be in use or in flight. The
   * slot can be {@link #prepare prepared} anew.
   *
   * @param keep whether the file stays, so that its space need not be found again
   */
  void free(LogFile file, boolean keep);

  /**
   * Makes the 8 KiB of the superblock durable as they are, and reads them: a copy that a process
   * before had not synced, or could not, must not be relied on while the other one is overwritten.
   *
   * @return the count, 0 or all zeroes when there is none yet, or a negated errno. At start only
   */
  int readSuperblock(long address);

  /**
   * Writes one 4 KiB copy of the superblock and makes it durable.
   *
   * @param copy 0 or 1
   * @return whether the completion will be called, as for {@link BlockFile#write}
   */
  boolean writeSuperblock(int copy, long address, Completion completion, long context);

  /** Closes all files; nothing may be in flight. */
  void close();
}
