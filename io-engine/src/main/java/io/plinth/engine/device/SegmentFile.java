package io.plinth.engine.device;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.memory.NativeMemory;

/**
 * A segment in a file of its own, mapped while it is written and as long as it is kept in memory.
 */
final class SegmentFile implements LogFile {
  /** Stands for a descriptor that is not open. */
  static final int NONE = -1;

  /**
   * From so many bytes on, what is synced is taken out of the page table at once before. Else the
   * kernel does that for each page that is mapped writable, and each time interrupts all processors
   * that run a thread of this process.
   */
  private static final int UNMAP_BYTES = 64 << 10;

  /** With so much to sync, a helper does that in small pieces where others need the processor. */
  private static final int ASIDE_BYTES = 1 << 20;

  private final SegmentDirectory directory;
  private final IoDriver driver;
  private final int slot;
  private final int descriptor;
  private final int sizeBytes;

  // Written by the helper, read by the core. The mapping is published before the counters that
  // allow its use.
  private volatile NativeMemory memory;
  private volatile int writableBytes;
  private volatile boolean resident;

  /** Of the file past the page cache; the ordinary one where there is no such thing. */
  private volatile int diskDescriptor = NONE;

  /** Which opening of that descriptor is done, so that the core never uses one about to close. */
  private volatile int openedDisk;

  /** Up to where a helper has got ready for a sync. */
  private volatile int readyBytes;

  // Written by the core, read by the helpers.
  private volatile boolean sealed;
  private volatile int populateTarget;

  // The core's: who reads the disk, and how often the first of them began.
  private int diskReaders;
  private int diskOpenings;

  // The core's: whether a helper gets ready for the next sync, and up to where.
  private boolean isGettingReady;
  private int readyTarget;

  SegmentFile(
      SegmentDirectory directory, IoDriver driver, int slot, int descriptor, int sizeBytes) {
    this.directory = directory;
    this.driver = driver;
    this.slot = slot;
    this.descriptor = descriptor;
    this.sizeBytes = sizeBytes;
  }

  @Override
  public int slot() {
    return slot;
  }

  @Override
  public int sizeBytes() {
    return sizeBytes;
  }

  @Override
  public NativeMemory memory() {
    return memory;
  }

  @Override
  public int writableBytes() {
    return writableBytes;
  }

  @Override
  public void populateTo(int bytes) {
    int target = Math.min(bytes, sizeBytes);
    if (target > populateTarget) {
      populateTarget = target;
      directory.populateFurther(this);
    }
  }

  @Override
  public boolean isResident() {
    return resident;
  }

  @Override
  public boolean isPinned() {
    return sealed && resident;
  }

  @Override
  public boolean read(
      long address, int length, long position, Completion completion, long context) {
    return driver.read(descriptor, address, length, position, completion, context);
  }

  @Override
  public boolean readAside(
      long address, int length, long position, Completion completion, long context) {
    return driver.readAside(descriptor, address, length, position, completion, context);
  }

  @Override
  public boolean write(
      long address, int length, long position, Completion completion, long context) {
    return driver.write(descriptor, address, length, position, false, completion, context);
  }

  @Override
  public boolean sync(Completion completion, long context) {
    directory.countSync();
    return driver.sync(descriptor, completion, context);
  }

  @Override
  public boolean syncRange(int from, int to, Completion completion, long context) {
    directory.countSync();
    int first = isGettingReady ? readyTarget : from;
    isGettingReady = false;
    NativeMemory mapped = memory;
    if (mapped != null && to - first >= UNMAP_BYTES) {
      int start = first & -NativeMemory.PAGE_BYTES;
      boolean _ = mapped.unmapPages(start, to - start);
    }
    return driver.syncRange(descriptor, from, to - from, completion, context);
  }

  @Override
  public boolean isReadyToSync(int from, int to) {
    if (isGettingReady) {
      return readyBytes >= readyTarget;
    }
    if (to - from < ASIDE_BYTES || !directory.isGentle()) {
      return true;
    }
    isGettingReady = true;
    readyTarget = to;
    directory.getReadyToSync(this, from, to);
    return false;
  }

  @Override
  public void beginDiskReads() {
    if (diskReaders++ == 0) {
      diskOpenings++;
      directory.openPastCache(this, diskOpenings);
    }
  }

  @Override
  public boolean isReadyForDiskReads() {
    return diskReaders > 0 && openedDisk == diskOpenings && diskDescriptor != NONE;
  }

  @Override
  public boolean readsPastCache() {
    return isReadyForDiskReads() && diskDescriptor != descriptor;
  }

  @Override
  public boolean readDisk(
      long address, int length, long position, Completion completion, long context) {
    return driver.read(diskDescriptor, address, length, position, completion, context);
  }

  @Override
  public void endDiskReads() {
    if (--diskReaders == 0) {
      directory.closePastCache(this);
    }
  }

  @Override
  public void close() {
    directory.closeFile(this);
  }

  int diskDescriptor() {
    return diskDescriptor;
  }

  void setDiskDescriptor(int value) {
    diskDescriptor = value;
  }

  void setOpenedDisk(int opening) {
    openedDisk = opening;
  }

  int descriptor() {
    return descriptor;
  }

  /**
   * Returns whether the file is not written any more, so that populating it is pointless and may
   * fail.
   */
  boolean isSealed() {
    return sealed;
  }

  void seal() {
    sealed = true;
  }

  int populateTarget() {
    return populateTarget;
  }

  void setPopulateTarget(int bytes) {
    populateTarget = bytes;
  }

  void setMemory(NativeMemory mapping) {
    memory = mapping;
  }

  void setWritableBytes(int bytes) {
    writableBytes = bytes;
  }

  void setReadyBytes(int bytes) {
    readyBytes = bytes;
  }

  void setResident(boolean value) {
    resident = value;
  }
}
