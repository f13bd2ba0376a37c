package io.plinth.log.journal;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayList;
import java.util.List;

/** Segments in memory, which are prepared and populated when the test says so. */
final class ManualLogStorage implements LogStorage, AutoCloseable {
  private final int segmentBytes;
  private final int initialBytes;
  private final List<File> files = new ArrayList<>();
  private File asked;
  private File prepared;
  private int populateStatus = Status.OK;

  /**
   * An empty log.
   *
   * @param initialBytes how much of a new segment is populated
   */
  ManualLogStorage(int segmentBytes, int initialBytes) {
    this.segmentBytes = segmentBytes;
    this.initialBytes = initialBytes;
  }

  /** Prepares the segment that was asked for. */
  void prepareAsked() {
    prepared = asked;
    asked = null;
  }

  /** Populates all files as far as was asked for, but not beyond {@code bytes}. */
  void populateTo(int bytes) {
    for (File file : files) {
      file.writable = Math.max(file.writable, Math.min(file.wanted, bytes));
    }
  }

  /** Lets every population fail from now on. */
  void failPopulation(int status) {
    populateStatus = status;
  }

  @Override
  public int segmentBytes() {
    return segmentBytes;
  }

  @Override
  public int maxSegments() {
    return 16;
  }

  @Override
  public boolean hasSlot(int slot) {
    return false;
  }

  @Override
  public void free(LogFile file, boolean keep) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int[] existingSlots() {
    return new int[0];
  }

  @Override
  public void prepare(int slot) {
    asked = new File(slot);
    files.add(asked);
  }

  @Override
  public LogFile takePrepared() {
    File taken = prepared;
    prepared = null;
    return taken;
  }

  @Override
  public int prepareStatus() {
    return Status.OK;
  }

  @Override
  public int populateStatus() {
    return populateStatus;
  }

  @Override
  public boolean canPin() {
    return true;
  }

  @Override
  public void makeResident(LogFile file, int validBytes) {}

  @Override
  public void evict(LogFile file) {}

  @Override
  public void close() {
    files.forEach(file -> file.memory.close());
    files.clear();
  }

  @Override
  public LogFile openExisting(int slot) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int readNow(int slot, long address, int length, long position) {
    throw new UnsupportedOperationException();
  }

  @Override
  public LogFile openForAppend(int slot, int position) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int eraseNow(int slot, int from, int to) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int rewriteNow(int slot, int from, int to) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void removeExisting(int slot) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int readSuperblock(long address) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean writeSuperblock(int copy, long address, Completion completion, long context) {
    throw new UnsupportedOperationException();
  }

  private final class File implements LogFile {
    private final int slot;
    private final NativeMemory memory = NativeMemory.reserve(segmentBytes);
    private int writable = initialBytes;
    private int wanted;

    File(int slot) {
      this.slot = slot;
    }

    @Override
    public int slot() {
      return slot;
    }

    @Override
    public int sizeBytes() {
      return segmentBytes;
    }

    @Override
    public NativeMemory memory() {
      return memory;
    }

    @Override
    public int writableBytes() {
      return writable;
    }

    @Override
    public void populateTo(int bytes) {
      wanted = Math.max(wanted, bytes);
    }

    @Override
    public boolean isResident() {
      return true;
    }

    @Override
    public boolean isPinned() {
      return false;
    }

    @Override
    public boolean read(
        long address, int length, long position, Completion completion, long context) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean write(
        long address, int length, long position, Completion completion, long context) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean sync(Completion completion, long context) {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean syncRange(int from, int to, Completion completion, long context) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
  }
}
