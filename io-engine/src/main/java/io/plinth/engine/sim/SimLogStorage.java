package io.plinth.engine.sim;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayDeque;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A process's view of a {@link SimDisk}: what it loses when it dies. Slow work ends after a random
 * number of questions.
 */
public final class SimLogStorage implements LogStorage {
  private static final int MAX_DELAY_NS = 300_000;
  private static final int SLOW_ONE_IN = 4;
  private static final int SUPERBLOCK_COPY_BYTES = 4096;

  private final SimDisk disk;
  private final SimCore core;
  private final SimRandom random;
  private final TreeMap<Integer, File> open = new TreeMap<>();
  private int preparing = -1;
  private int prepareDelay;
  private int prepareStatus;
  private int slowSyncNs;
  private int slowReadNs;
  private int syncsToFail;
  private boolean syncFailed;
  private boolean holdSyncs;
  private final ArrayDeque<Runnable> heldSyncs = new ArrayDeque<>();

  /** Opens a disk for one process. */
  public SimLogStorage(SimDisk disk, SimCore core, SimRandom random) {
    this.disk = disk;
    this.core = core;
    this.random = random;
  }

  /** Lets the host's file system have room for so many more segments only. */
  public void limitNewSegments(int count) {
    disk.limitSegments(disk.files().size() + count);
  }

  /** Lets some syncs take up to so long. */
  public void slowSyncs(int maxNs) {
    slowSyncNs = maxNs;
  }

  /** Lets some reads take up to so long. */
  public void slowReads(int maxNs) {
    slowReadNs = maxNs;
  }

  /** Lets every sync from now on fail with EIO. */
  public void failSyncs() {
    syncsToFail = Integer.MAX_VALUE;
  }

  /** Lets one sync fail with EIO; those after it report success, without the pages of the first. */
  public void failOneSync() {
    syncsToFail = 1;
  }

  /** No further sync fails. */
  public void endFailing() {
    syncsToFail = 0;
  }

  /** Returns whether the process has been told that a sync failed. */
  public boolean hasFailedSync() {
    return syncFailed;
  }

  /** Lets syncs not end until {@link #releaseSyncs}. */
  public void holdSyncs() {
    holdSyncs = true;
  }

  /** Lets the syncs end that were held back. */
  public void releaseSyncs() {
    holdSyncs = false;
    while (!heldSyncs.isEmpty()) {
      heldSyncs.poll().run();
    }
  }

  @Override
  public int segmentBytes() {
    return disk.segmentBytes();
  }

  @Override
  public int maxSegments() {
    return disk.maxSegments();
  }

  @Override
  public int[] existingSlots() {
    return disk.files().keySet().stream().mapToInt(Integer::intValue).toArray();
  }

  @Override
  public boolean hasSlot(int slot) {
    return disk.files().containsKey(slot);
  }

  @Override
  public LogFile openExisting(int slot) {
    return open.computeIfAbsent(slot, File::new);
  }

  @Override
  public int readNow(int slot, long address, int length, long position) {
    return read(disk.files().get(slot), address, length, (int) position);
  }

  @Override
  public LogFile openForAppend(int slot, int position) {
    File file = (File) openExisting(slot);
    file.writable = position;
    file.mapped = true;
    file.resident = file.content.fillCache();
    file.populateTo(position + (1 << 16));
    return file;
  }

  @Override
  public int eraseNow(int slot, int from, int to) {
    SimFile file = disk.files().get(slot);
    NativeMemory.zero(file.cached.address() + from, to - from);
    file.sync(0, segmentBytes());
    return Status.OK;
  }

  @Override
  public int rewriteNow(int slot, int from, int to) {
    disk.files().get(slot).rewrite(from, to);
    return Status.OK;
  }

  @Override
  public void removeExisting(int slot) {
    open.remove(slot);
    SimFile file = disk.files().remove(slot);
    if (file != null) {
      file.cached.close();
    }
  }

  @Override
  public void prepare(int slot) {
    prepareStatus = Status.OK;
    preparing = slot;
    prepareDelay = random.nextInt(4);
  }

  @Override
  public LogFile takePrepared() {
    if (preparing < 0 || prepareDelay-- > 0) {
      return null;
    }
    int slot = preparing;
    preparing = -1;
    if (!disk.files().containsKey(slot)) {
      if (disk.isFull()) {
        prepareStatus = Status.ENOSPC;
        disk.note(Fault.FULL_DISK);
        return null;
      }
      disk.files().put(slot, new SimFile(segmentBytes()));
    }
    File file = new File(slot);
    open.put(slot, file);
    file.content.beginAnew();
    file.zeroTo(SimFile.PAGE_BYTES);
    file.content.sync(0, SimFile.PAGE_BYTES);
    file.zeroTo(Math.min(segmentBytes(), 1 << 16));
    file.mapped = true;
    file.resident = true;
    return file;
  }

  @Override
  public int prepareStatus() {
    return prepareStatus;
  }

  @Override
  public int populateStatus() {
    return Status.OK;
  }

  @Override
  public boolean canPin() {
    return true;
  }

  @Override
  public void makeResident(LogFile file, int validBytes) {
    File segment = (File) file;
    segment.mapped = true;
    segment.resident = segment.content.fillCache();
    segment.sealed = true;
  }

  @Override
  public void evict(LogFile file) {
    File segment = (File) file;
    segment.resident = false;
    segment.mapped = false;
    segment.content.dropCache();
  }

  @Override
  public void free(LogFile file, boolean keep) {
    open.remove(file.slot());
    if (!keep) {
      disk.files().remove(file.slot()).cached.close();
    }
  }

  @Override
  public int readSuperblock(long address) {
    SimFile file = disk.superblock();
    file.rewrite(0, file.sizeBytes());
    file.sync(0, file.sizeBytes());
    return read(file, address, file.sizeBytes(), 0);
  }

  @Override
  public boolean writeSuperblock(int copy, long address, Completion completion, long context) {
    SimFile file = disk.superblock();
    int from = copy * SUPERBLOCK_COPY_BYTES;
    NativeMemory.copy(address, file.cached.address() + from, SUPERBLOCK_COPY_BYTES);
    NavigableMap<Integer, byte[]> pages = file.dirtyPages(from, from + SUPERBLOCK_COPY_BYTES);
    core.complete(
        delay(MAX_DELAY_NS),
        (written, result) -> {
          file.writeOut(pages);
          completion.onComplete(written, result);
        },
        context,
        SUPERBLOCK_COPY_BYTES);
    return true;
  }

  @Override
  public void close() {
    open.clear();
  }

  private long delay(int maxNs) {
    return random.nextInt(maxNs);
  }

  private long delay(int slowNs, Fault fault) {
    if (slowNs > 0 && random.oneIn(SLOW_ONE_IN)) {
      disk.note(fault);
      return delay(slowNs);
    }
    return delay(MAX_DELAY_NS);
  }

  private static int read(SimFile file, long address, int length, int position) {
    int wanted = Math.max(0, Math.min(length, file.sizeBytes() - position));
    int count = file.readable(position, wanted);
    if (count == 0 && wanted > 0) {
      return Status.EIO;
    }
    NativeMemory.copy(file.cached.address() + position, address, count);
    return count;
  }

  private final class File implements LogFile {
    private final int slot;
    private final SimFile content;
    private int writable;
    private int target;
    private boolean mapped;
    private boolean resident;
    private boolean sealed;

    File(int slot) {
      this.slot = slot;
      this.content = disk.files().get(slot);
    }

    @Override
    public int slot() {
      return slot;
    }

    @Override
    public int sizeBytes() {
      return segmentBytes();
    }

    @Override
    public NativeMemory memory() {
      return mapped ? content.cached : null;
    }

    @Override
    public int writableBytes() {
      if (writable < target && random.oneIn(2)) {
        zeroTo(Math.min(target, writable + (1 << 16)));
      }
      return writable;
    }

    /** Population writes zeroes over what an earlier use of the slot has left. */
    void zeroTo(int end) {
      NativeMemory.zero(content.cached.address() + writable, end - writable);
      writable = end;
    }

    @Override
    public void populateTo(int bytes) {
      target = Math.max(target, Math.min(bytes, segmentBytes()));
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
      int result = SimLogStorage.read(content, address, length, (int) position);
      core.complete(delay(slowReadNs, Fault.SLOW_READ), completion, context, result);
      return true;
    }

    @Override
    public boolean readsPastCache() {
      return true;
    }

    @Override
    public boolean readDisk(
        long address, int length, long position, Completion completion, long context) {
      int count = content.readDisk(address, (int) position, length);
      int result = count == 0 && length > 0 ? Status.EIO : count;
      core.complete(delay(slowReadNs, Fault.SLOW_READ), completion, context, result);
      return true;
    }

    @Override
    public boolean write(
        long address, int length, long position, Completion completion, long context) {
      NativeMemory.copy(address, content.cached.address() + position, length);
      core.complete(delay(MAX_DELAY_NS), completion, context, length);
      return true;
    }

    @Override
    public boolean sync(Completion completion, long context) {
      return syncRange(0, segmentBytes(), completion, context);
    }

    @Override
    public boolean syncRange(int from, int to, Completion completion, long context) {
      // What is written while the sync runs may or may not be part of it: here it is not, which is
      // the harder case.
      NavigableMap<Integer, byte[]> pages = content.dirtyPages(from, to);
      if (holdSyncs) {
        heldSyncs.add(() -> endSync(pages, completion, context));
      } else {
        endSync(pages, completion, context);
      }
      return true;
    }

    private void endSync(NavigableMap<Integer, byte[]> pages, Completion completion, long context) {
      boolean fails = syncsToFail > 0;
      if (fails) {
        syncsToFail--;
        disk.note(Fault.FAILED_SYNC);
      }
      core.complete(
          delay(slowSyncNs, Fault.SLOW_SYNC),
          (slotNumber, result) -> {
            if (fails) {
              syncFailed = true;
              content.failToWriteOut(pages);
            } else {
              content.writeOut(pages);
            }
            completion.onComplete(slotNumber, result);
          },
          context,
          fails ? Status.EIO : Status.OK);
    }

    @Override
    public void close() {
      open.remove(slot);
    }
  }
}
