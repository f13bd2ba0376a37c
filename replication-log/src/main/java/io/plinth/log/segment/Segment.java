package io.plinth.log.segment;

import io.plinth.engine.api.LogFile;

/** One segment of a log: its file and what its core knows of it. */
public final class Segment {
  private final LogFile file;
  private final long sequence;
  private int usedBytes;
  private int syncedBytes;
  private int pins;
  private boolean dirty;
  private boolean evicting;

  /** Creates the state of a segment whose place in the order of segments is {@code sequence}. */
  public Segment(LogFile file, long sequence, int usedBytes) {
    this.file = file;
    this.sequence = sequence;
    this.usedBytes = usedBytes;
  }

  public LogFile file() {
    return file;
  }

  public long sequence() {
    return sequence;
  }

  /** Returns how many bytes from the start hold the header and batches. */
  public int usedBytes() {
    return usedBytes;
  }

  public void usedBytes(int bytes) {
    usedBytes = bytes;
  }

  /** Returns up to where a sync has been begun; what is before it never changes again. */
  public int syncedBytes() {
    return syncedBytes;
  }

  public void syncedBytes(int bytes) {
    syncedBytes = bytes;
  }

  /** Returns whether there may be bytes that are not durable. */
  public boolean isDirty() {
    return dirty;
  }

  public void setDirty(boolean value) {
    dirty = value;
  }

  /** Counts a reference into the segment's memory. */
  public void pin() {
    pins++;
  }

  /** Ends a reference. */
  public void unpin() {
    if (pins <= 0) {
      throw new IllegalStateException("segment in slot " + file.slot() + " unpinned too often");
    }
    pins--;
  }

  /** Returns whether memory may be read without waiting for a disk. */
  public boolean isReadable() {
    return !evicting && file.isResident();
  }

  /** Returns whether nothing refers to the memory, so that it may go. */
  public boolean isUnpinned() {
    return pins == 0;
  }

  /** Stops new references, until {@link #isUnpinned()} allows eviction. */
  public void beginEviction() {
    evicting = true;
  }

  public boolean isEvicting() {
    return evicting;
  }
}
