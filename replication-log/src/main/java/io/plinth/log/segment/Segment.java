package io.plinth.log.segment;

import io.plinth.engine.api.LogFile;

/** One segment of a log: its file and what its core knows of it. */
public final class Segment {
  private static final long[] NONE_VERIFIED = new long[0];

  private final LogFile file;
  private final long sequence;
  private final long firstBatch;
  private final int previousCrc;
  private int usedBytes;
  private int syncedBytes;
  private int pins;
  private boolean dirty;
  private boolean evicting;
  private long[] verified = NONE_VERIFIED;

  /**
   * Creates the state of a segment.
   *
   * @param sequence its place in the order of segments
   * @param firstBatch the sequence of its first batch, and
   * @param previousCrc the checksum that this one continues; as its header has them
   */
  public Segment(LogFile file, long sequence, long firstBatch, int previousCrc, int usedBytes) {
    this.file = file;
    this.sequence = sequence;
    this.firstBatch = firstBatch;
    this.previousCrc = previousCrc;
    this.usedBytes = usedBytes;
  }

  public LogFile file() {
    return file;
  }

  public long sequence() {
    return sequence;
  }

  /** Returns the sequence of its first batch. */
  public long firstBatch() {
    return firstBatch;
  }

  /** Returns the checksum that its first batch continues. */
  public int previousCrc() {
    return previousCrc;
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

  /** Gets ready to note which blocks of a pinned segment have been verified. */
  public void beginVerification(int blocks) {
    verified = new long[(blocks + Long.SIZE - 1) / Long.SIZE];
  }

  /** Returns whether a block's checksum has matched since the segment was pinned. */
  public boolean isVerified(int block) {
    int word = block / Long.SIZE;
    return word < verified.length && (verified[word] & 1L << block) != 0;
  }

  /** Notes that a block's checksum has matched; only what is pinned can't change behind us. */
  public void setVerified(int block) {
    int word = block / Long.SIZE;
    if (word < verified.length && file.isPinned()) {
      verified[word] |= 1L << block;
    }
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
