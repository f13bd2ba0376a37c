package io.plinth.engine.sim;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayDeque;
import java.util.TreeMap;

/**
 * A process's view of a {@link SimDisk}: what it loses when it dies. Slow work ends after a random
 * number of questions.
 */
public final class SimLogStorage implements LogStorage {
  private static final long MAX_DELAY_NS = 300_000;

  private final SimDisk disk;
  private final SimCore core;
  private final SimRandom random;
  private final TreeMap<Integer, File> open = new TreeMap<>();
  private int preparing = -1;
  private int prepareDelay;
  private int prepareStatus;
  private int freeSegments = Integer.MAX_VALUE;
  private boolean failSyncs;
  private boolean skipSyncs;
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
    freeSegments = count;
  }

  /** Lets every sync from now on fail with EIO. */
  public void failSyncs() {
    failSyncs = true;
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

  /** A planted bug: syncs report success and make nothing durable. */
  public void skipSyncs() {
    skipSyncs = true;
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
  public LogFile openExisting(int slot) {
    return open.computeIfAbsent(slot, File::new);
  }

  @Override
  public int readNow(int slot, long address, int length, long position) {
    SimDisk.SimFile file = disk.files().get(slot);
    int count = (int) Math.max(0, Math.min(length, segmentBytes() - position));
    NativeMemory.copy(file.cached.address() + position, address, count);
    return count;
  }

  @Override
  public LogFile openForAppend(int slot, int position) {
    File file = (File) openExisting(slot);
    file.writable = position;
    file.resident = true;
    file.populateTo(position + (1 << 16));
    return file;
  }

  @Override
  public int eraseNow(int slot, int position) {
    SimDisk.SimFile file = disk.files().get(slot);
    NativeMemory.zero(file.cached.address() + position, segmentBytes() - position);
    file.sync();
    return Status.OK;
  }

  @Override
  public void removeExisting(int slot) {
    open.remove(slot);
    SimDisk.SimFile file = disk.files().remove(slot);
    if (file != null) {
      file.cached.close();
    }
  }

  @Override
  public void prepare(int slot, boolean reserved) {
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
    if (freeSegments == 0) {
      prepareStatus = Status.ENOSPC;
      return null;
    }
    freeSegments--;
    disk.files().put(slot, new SimDisk.SimFile(segmentBytes()));
    File file = new File(slot);
    open.put(slot, file);
    file.writable = Math.min(segmentBytes(), 1 << 16);
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
    ((File) file).resident = true;
    ((File) file).sealed = true;
  }

  @Override
  public void evict(LogFile file) {
    ((File) file).resident = false;
  }

  @Override
  public int readSuperblock(long address) {
    SimDisk.SimFile file = disk.superblock();
    NativeMemory.copy(file.cached.address(), address, file.durable.length);
    for (byte b : file.durable) {
      if (b != 0) {
        return file.durable.length;
      }
    }
    return 0;
  }

  @Override
  public boolean writeSuperblock(int copy, long address, Completion completion, long context) {
    SimDisk.SimFile file = disk.superblock();
    NativeMemory.copy(address, file.cached.address() + copy * 4096L, 4096);
    file.sync();
    core.complete(delay(), completion, context, 4096);
    return true;
  }

  @Override
  public void close() {
    open.clear();
  }

  private long delay() {
    return random.nextInt((int) MAX_DELAY_NS);
  }

  private final class File implements LogFile {
    private final int slot;
    private int writable;
    private int target;
    private boolean resident;
    private boolean sealed;

    File(int slot) {
      this.slot = slot;
    }

    private SimDisk.SimFile content() {
      return disk.files().get(slot);
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
      return content().cached;
    }

    @Override
    public int writableBytes() {
      if (writable < target && random.oneIn(2)) {
        writable = Math.min(target, writable + (1 << 16));
      }
      return writable;
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
      NativeMemory.copy(content().cached.address() + position, address, length);
      core.complete(delay(), completion, context, length);
      return true;
    }

    @Override
    public boolean write(
        long address, int length, long position, Completion completion, long context) {
      NativeMemory.copy(address, content().cached.address() + position, length);
      core.complete(delay(), completion, context, length);
      return true;
    }

    @Override
    public boolean sync(Completion completion, long context) {
      return syncRange(0, segmentBytes(), completion, context);
    }

    @Override
    public boolean syncRange(int from, int to, Completion completion, long context) {
      if (holdSyncs) {
        heldSyncs.add(() -> syncNow(from, to, completion, context));
      } else {
        syncNow(from, to, completion, context);
      }
      return true;
    }

    private void syncNow(int from, int to, Completion completion, long context) {
      // What is written while the sync runs may or may not be part of it: here it is not, which is
      // the harder case.
      if (!failSyncs && !skipSyncs) {
        content().sync(from, to);
      }
      core.complete(delay(), completion, context, failSyncs ? Status.EIO : Status.OK);
    }

    @Override
    public void close() {
      open.remove(slot);
    }
  }
}
