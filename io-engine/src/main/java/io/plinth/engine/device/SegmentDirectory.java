package io.plinth.engine.device;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.LogFile;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.memory.Posix;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jctools.queues.varhandle.MpscVarHandleArrayQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A log's folder: {@code superblock} and {@code segment-NNNNNNNN} files. Helper threads create,
 * allocates, maps and populates, because all of these can wait for the file system.
 *
 * <p>Sealed segments that are kept in memory are pinned with mlock(2): only then is it known that
 * reading them does not fault. Where the limit of locked memory forbids that, only segments that
 * are being written count as resident. A segment being written is not pinned, because that makes
 * its pages fault again at the first store.
 */
public final class SegmentDirectory implements LogStorage {
  private static final Logger LOG = LoggerFactory.getLogger(SegmentDirectory.class);
  private static final String PREFIX = "segment-";
  private static final int POPULATE_STEP = 1 << 20;

  /** With so much still to be populated, somebody is about to wait for it. */
  private static final int SHORT_BYTES = 24 << 20;

  /** What is read and written again at a time. */
  private static final int REWRITE_BYTES = 1 << 20;

  /** A log is synced seldom when so much, or more, was written for each sync. */
  private static final int SELDOM_BYTES = 4 << 20;

  /** What a segment's header lies in. */
  private static final int FIRST_BYTES = 4096;

  private static final int SUPERBLOCK_COPY_BYTES = 4096;
  private static final int FILE_MODE = 0600;

  private final Path folder;
  private final IoDriver driver;
  private final int segmentBytes;
  private final int maxSegments;
  private final int initialPopulateBytes;
  private final int superblock;
  private final NativeMemory zeroes = NativeMemory.reserve(PagePieces.zeroBytes());
  private final NativeMemory probe = NativeMemory.reserve(NativeMemory.PAGE_BYTES);
  private final PagePieces startPages = new PagePieces(zeroes, () -> false, () -> false);
  private final PagePieces helperPages =
      new PagePieces(zeroes, this::helpsGently, this::isSyncedSeldom);
  private final PagePieces populatorPages =
      new PagePieces(zeroes, this::populatesGently, this::isSyncedSeldom);
  private final Thread helper;
  private final Thread populator;
  private final MpscVarHandleArrayQueue<Runnable> commands = new MpscVarHandleArrayQueue<>(1024);

  // The core's: every open file by slot.
  private final Map<Integer, SegmentFile> files = new HashMap<>();

  // The core's: slots that were freed and whose files are still there.
  private final BitSet kept = new BitSet();

  private volatile SegmentFile populating;
  private volatile SegmentFile prepared;
  private volatile boolean gentle;
  private volatile boolean hurried;

  /** Counted by the core. */
  private volatile int syncs;

  /** The helper's: {@link #syncs} when the segment before the one that is written was full. */
  private int syncsBefore;

  private volatile boolean syncedSeldom;
  private volatile int prepareStatus;
  private volatile int populateStatus;
  private volatile boolean stopping;
  private volatile boolean lockRefused;

  /**
   * Opens the folder, which must exist.
   *
   * @param segmentBytes size of every segment, a multiple of 1 MiB
   * @param maxSegments how many there may be
   * @param initialPopulateBytes how much of a new segment is populated before it is handed out
   * @throws IOException when the superblock's file can't be opened
   */
  public SegmentDirectory(
      Path folder, IoDriver driver, int segmentBytes, int maxSegments, int initialPopulateBytes)
      throws IOException {
    this.folder = folder;
    this.driver = driver;
    this.segmentBytes = segmentBytes;
    this.maxSegments = maxSegments;
    this.initialPopulateBytes = Math.min(segmentBytes, initialPopulateBytes);
    String path = folder.resolve("superblock").toString();
    superblock = Posix.open(path, Posix.O_RDWR | Posix.O_CREAT, FILE_MODE);
    if (superblock < 0) {
      throw new IOException("can't open " + path + ": " + Status.name(superblock));
    }
    // Both copies have their space from the start: a full disk must not keep a log from being
    // closed.
    int allocated = Posix.allocate(superblock, 0, 2 * SUPERBLOCK_COPY_BYTES);
    if (allocated < 0) {
      Posix.close(superblock);
      throw new IOException(
          switch (allocated) {
            case Status.ENOSPC -> "No space left for " + path;
            case Status.ENOTSUP ->
                "its file system can't allocate the space of files ahead (fallocate); ext4, xfs, btrfs"
                    + " and tmpfs can";
            default -> "can't allocate " + path + ": " + Status.name(allocated);
          });
    }
    helper = new Thread(this::runHelper, "plinth-segments-" + folder.getFileName());
    helper.setDaemon(true);
    helper.start();
    populator = new Thread(this::runPopulator, "plinth-populate-" + folder.getFileName());
    populator.setDaemon(true);
    populator.start();
  }

  @Override
  public int segmentBytes() {
    return segmentBytes;
  }

  @Override
  public int maxSegments() {
    return maxSegments;
  }

  @Override
  public int[] existingSlots() {
    int[] slots = new int[16];
    int count = 0;
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, PREFIX + "*")) {
      for (Path entry : entries) {
        if (count == slots.length) {
          slots = Arrays.copyOf(slots, count * 2);
        }
        slots[count++] =
            Integer.parseInt(entry.getFileName().toString().substring(PREFIX.length()));
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException("can't list " + folder, e);
    }
    slots = Arrays.copyOf(slots, count);
    Arrays.sort(slots);
    return slots;
  }

  @Override
  public boolean hasSlot(int slot) {
    return Files.exists(Path.of(path(slot)));
  }

  @Override
  public LogFile openExisting(int slot) {
    SegmentFile open = files.get(slot);
    if (open != null) {
      return open;
    }
    int descriptor = Posix.open(path(slot), Posix.O_RDWR, 0);
    if (descriptor < 0) {
      throw new IllegalStateException("can't open " + path(slot) + ": " + Status.name(descriptor));
    }
    SegmentFile file = new SegmentFile(this, driver, slot, descriptor, segmentBytes);
    files.put(slot, file);
    return file;
  }

  @Override
  public int readNow(int slot, long address, int length, long position) {
    SegmentFile file = (SegmentFile) openExisting(slot);
    int done = 0;
    while (done < length) {
      int count = Posix.read(file.descriptor(), address + done, length - done, position + done);
      if (count == Status.EINTR) {
        continue;
      }
      if (count < 0) {
        return count;
      }
      if (count == 0) {
        break;
      }
      done += count;
    }
    return done;
  }

  @Override
  public LogFile openForAppend(int slot, int position) {
    SegmentFile file = (SegmentFile) openExisting(slot);
    NativeMemory memory = NativeMemory.mapFile(file.descriptor(), segmentBytes);
    if (memory == null) {
      throw new IllegalStateException("can't map " + path(slot));
    }
    file.setMemory(memory);
    int from = position & -NativeMemory.PAGE_BYTES;
    file.setWritableBytes(from);
    file.setPopulateTarget(from);
    file.populateTo(from + initialPopulateBytes);
    submit(() ->
        file.setResident(from == 0 || helperPages.populateForRead(memory, from) == Status.OK));
    return file;
  }

  @Override
  public int eraseNow(int slot, int from, int to) {
    int descriptor = ((SegmentFile) openExisting(slot)).descriptor();
    int result;
    if (to == segmentBytes) {
      result = Posix.truncate(descriptor, from);
      result = result == Status.OK ? Posix.allocate(descriptor, 0, segmentBytes) : result;
    } else {
      result = startPages.writeZeroes(descriptor, from, to - from);
    }
    return result == Status.OK ? Posix.sync(descriptor) : result;
  }

  @Override
  public int rewriteNow(int slot, int from, int to) {
    int descriptor = ((SegmentFile) openExisting(slot)).descriptor();
    NativeMemory buffer = NativeMemory.reserve(REWRITE_BYTES);
    int result = Status.OK;
    int at = from & -NativeMemory.PAGE_BYTES;
    while (at < to && result == Status.OK) {
      int length = Math.min(REWRITE_BYTES, to - at);
      int count = readNow(slot, buffer.address(), length, at);
      if (count <= 0) {
        // Page by page, to pass over the one that can't be read.
        length = Math.min(NativeMemory.PAGE_BYTES, length);
        count = readNow(slot, buffer.address(), length, at);
      }
      if (count > 0) {
        result = writeNow(descriptor, buffer.address(), count, at);
        // While the disk has this, more is read: the sync that follows waits for less.
        int _ = Posix.beginWriteback(descriptor, at, count);
      }
      at += count > 0 ? count : length;
    }
    buffer.close();
    return result;
  }

  private static int writeNow(int descriptor, long address, int length, long position) {
    int done = 0;
    while (done < length) {
      int count = Posix.write(descriptor, address + done, length - done, position + done);
      if (count < 0 && count != Status.EINTR) {
        return count;
      }
      done += Math.max(0, count);
    }
    return Status.OK;
  }

  @Override
  public void removeExisting(int slot) {
    SegmentFile file = files.remove(slot);
    if (file != null) {
      unmap(file);
      Posix.close(file.descriptor());
    }
    deleteQuietly(Path.of(path(slot)));
  }

  @Override
  public void prepare(int slot) {
    prepareStatus = Status.OK;
    boolean isKept = kept.get(slot);
    kept.clear(slot);
    submit(() -> {
      createSegment(slot, isKept);
      hurried = false;
    });
  }

  @Override
  public LogFile takePrepared() {
    SegmentFile file = prepared;
    if (file != null) {
      prepared = null;
      files.put(file.slot(), file);
    }
    return file;
  }

  @Override
  public int prepareStatus() {
    return prepareStatus;
  }

  @Override
  public int populateStatus() {
    return populateStatus;
  }

  @Override
  public void gently(boolean isGentle) {
    gentle = isGentle;
  }

  @Override
  public void hurry() {
    hurried = true;
  }

  @Override
  public boolean canPin() {
    return !lockRefused;
  }

  @Override
  public void makeResident(LogFile file, int validBytes) {
    SegmentFile segment = (SegmentFile) file;
    segment.seal();
    submit(() -> pin(segment, validBytes));
  }

  @Override
  public void evict(LogFile file) {
    SegmentFile segment = (SegmentFile) file;
    segment.setResident(false);
    submit(() -> {
      unmap(segment);
      // The cache for log data is ours to bound: pages that leave it are used again for the
      // segments to come.
      helperPages.dropCache(segment.descriptor(), segmentBytes);
    });
  }

  @Override
  public void free(LogFile file, boolean keep) {
    SegmentFile segment = (SegmentFile) file;
    segment.setResident(false);
    files.remove(segment.slot());
    kept.set(segment.slot(), keep);
    submit(() -> {
      unmap(segment);
      closeDiskDescriptor(segment);
      Posix.close(segment.descriptor());
      if (!keep) {
        deleteQuietly(Path.of(path(segment.slot())));
      }
    });
  }

  @Override
  public int readSuperblock(long address) {
    int count = Posix.read(superblock, address, 2 * SUPERBLOCK_COPY_BYTES, 0);
    if (count > 0) {
      int result = writeNow(superblock, address, count, 0);
      result = result == Status.OK ? Posix.sync(superblock) : result;
      return result < 0 ? result : count;
    }
    return count;
  }

  @Override
  public boolean writeSuperblock(int copy, long address, Completion completion, long context) {
    return driver.write(
        superblock,
        address,
        SUPERBLOCK_COPY_BYTES,
        (long) copy * SUPERBLOCK_COPY_BYTES,
        true,
        completion,
        context);
  }

  @Override
  public void close() {
    stopping = true;
    LockSupport.unpark(helper);
    LockSupport.unpark(populator);
    joinUninterruptibly(populator);
    joinUninterruptibly(helper);
    if (prepared != null) {
      files.put(prepared.slot(), prepared);
    }
    for (SegmentFile file : files.values()) {
      unmap(file);
      closeDiskDescriptor(file);
      Posix.close(file.descriptor());
    }
    files.clear();
    Posix.close(superblock);
    zeroes.close();
    probe.close();
  }

  private static void joinUninterruptibly(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  void closeFile(SegmentFile file) {
    files.remove(file.slot());
    submit(() -> {
      unmap(file);
      closeDiskDescriptor(file);
      Posix.close(file.descriptor());
    });
  }

  void openPastCache(SegmentFile file, int opening) {
    submit(() -> {
      if (file.diskDescriptor() == SegmentFile.NONE) {
        int opened = Posix.open(path(file.slot()), Posix.O_RDONLY | Posix.O_DIRECT, 0);
        // Some file systems let a file be opened so and refuse to read it.
        boolean works =
            opened >= 0
                && Posix.read(opened, probe.address(), NativeMemory.PAGE_BYTES, 0) != Status.EINVAL;
        if (opened >= 0 && !works) {
          Posix.close(opened);
        }
        file.setDiskDescriptor(works ? opened : file.descriptor());
      }
      file.setOpenedDisk(opening);
      driver.wakeup();
    });
  }

  void closePastCache(SegmentFile file) {
    submit(() -> closeDiskDescriptor(file));
  }

  private static void closeDiskDescriptor(SegmentFile file) {
    int descriptor = file.diskDescriptor();
    if (descriptor != SegmentFile.NONE && descriptor != file.descriptor()) {
      Posix.close(descriptor);
    }
    file.setDiskDescriptor(SegmentFile.NONE);
  }

  /** Lets the helper populate a file up to its target; only the file that is being written asks. */
  void populateFurther(SegmentFile file) {
    populating = file;
    LockSupport.unpark(populator);
  }

  private void submit(Runnable command) {
    if (!commands.offer(command)) {
      throw new IllegalStateException("the queue of the segment helper is full");
    }
    LockSupport.unpark(helper);
  }

  private String path(int slot) {
    return folder.resolve(String.format(Locale.ROOT, "%s%08d", PREFIX, slot)).toString();
  }

  private void runHelper() {
    while (!stopping) {
      Runnable command = commands.poll();
      if (command != null) {
        command.run();
      } else {
        LockSupport.park(this);
      }
    }
    for (Runnable command = commands.poll(); command != null; command = commands.poll()) {
      command.run();
    }
  }

  private void runPopulator() {
    while (!stopping) {
      if (!populateStep()) {
        LockSupport.park(this);
      }
    }
  }

  /**
   * Populates a bit more of the segment that is being written; returns whether there was anything
   * to do.
   */
  private boolean populateStep() {
    SegmentFile file = populating;
    if (file == null || file.isSealed()) {
      return false;
    }
    int from = file.writableBytes();
    if (from >= file.populateTarget()) {
      return false;
    }
    int to = Math.min(file.sizeBytes(), from + POPULATE_STEP);
    return populate(file, to, populatorPages) == Status.OK;
  }

  /** Not when somebody is about to wait for what is populated. */
  private boolean populatesGently() {
    SegmentFile file = populating;
    return gentle && file != null && file.populateTarget() - file.writableBytes() <= SHORT_BYTES;
  }

  /** Not when somebody is about to wait for the next segment. */
  private boolean helpsGently() {
    return gentle && !hurried;
  }

  private boolean isSyncedSeldom() {
    return syncedSeldom;
  }

  private int populate(SegmentFile file, int to, PagePieces pages) {
    int from = file.writableBytes();
    NativeMemory memory = file.memory();
    // Zeroes first: faulting in pages that are cached already costs a quarter of faulting in pages
    // of unwritten extents.
    int result = pages.writeZeroes(file.descriptor(), from, to - from);
    if (result == Status.OK) {
      result = pages.populateForWrite(memory, from, to);
    }
    if (result == Status.EFAULT) {
      // What a store would get as SIGBUS.
      result = isFileSystemFull() ? Status.ENOSPC : Status.EIO;
    }
    if (result < 0 && file.isSealed()) {
      // The segment was sealed meanwhile, and its mapping is not writable any more.
      return result;
    }
    if (result < 0) {
      if (populateStatus == Status.OK) {
        LOG.error("{}: can't populate: {}", path(file.slot()), Status.name(result));
      }
      file.setPopulateTarget(from);
      populateStatus = result;
      driver.wakeup();
      return result;
    }
    populateStatus = Status.OK;
    file.setWritableBytes(to);
    driver.wakeup();
    return Status.OK;
  }

  private boolean isFileSystemFull() {
    try {
      return Files.getFileStore(folder).getUsableSpace() < POPULATE_STEP;
    } catch (IOException e) {
      return false;
    }
  }

  private boolean lock(NativeMemory memory, int length) {
    if (lockRefused) {
      return false;
    }
    int result = helperPages.lock(memory, length);
    if (result < 0) {
      lockRefused = true;
      LOG.warn(
          "can't pin log memory ({}): older data is read through the ring; raise the locked-memory limit (ulimit -l,"
              + " or LimitMEMLOCK= in the service unit)",
          Status.name(result));
    }
    return result == 0;
  }

  private void createSegment(int slot, boolean kept) {
    String path = path(slot);
    // A file that we did not keep ourselves is not ours to overwrite.
    int create = kept ? 0 : Posix.O_CREAT | Posix.O_EXCL;
    int descriptor = Posix.open(path, Posix.O_RDWR | create, FILE_MODE);
    if (descriptor < 0) {
      prepareStatus = descriptor;
      driver.wakeup();
      return;
    }
    int result = Posix.allocate(descriptor, 0, segmentBytes);
    SegmentFile file = new SegmentFile(this, driver, slot, descriptor, segmentBytes);
    if (kept && result == Status.OK) {
      // Before anything else of it is written over: else a loss of power could leave a segment that
      // looks whole from its header.
      result = helperPages.writeZeroes(descriptor, 0, FIRST_BYTES);
    }
    if (result == Status.OK) {
      // The size and the directory entry must be durable before a record in the file is called
      // durable.
      result = Posix.sync(descriptor);
    }
    if (result == Status.OK) {
      result = Posix.syncDirectory(folder.toString());
    }
    if (result == Status.OK) {
      NativeMemory memory = NativeMemory.mapFile(descriptor, segmentBytes);
      if (memory == null) {
        result = Status.ENOMEM;
      } else {
        file.setMemory(memory);
        result = populate(file, initialPopulateBytes, helperPages);
      }
    }
    if (result < 0) {
      unmap(file);
      Posix.close(descriptor);
      deleteQuietly(Path.of(path));
      populateStatus = Status.OK;
      prepareStatus = result;
      driver.wakeup();
      return;
    }
    file.setPopulateTarget(initialPopulateBytes);
    file.setResident(true);
    prepared = file;
    driver.wakeup();
  }

  private static void deleteQuietly(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.warn("can't remove {}: {}", path, e.getMessage());
    }
  }

  /** On the core: a part of the log is being made durable. */
  @SuppressWarnings("NonAtomicVolatileUpdate") // only the core writes it
  void countSync() {
    syncs++;
  }

  /** On the core: whether others need the processors more than the helpers do. */
  boolean isGentle() {
    return gentle;
  }

  void getReadyToSync(SegmentFile file, int from, int to) {
    submit(() -> {
      NativeMemory memory = file.memory();
      if (memory != null && !file.isPinned()) {
        helperPages.unmap(memory, from & -NativeMemory.PAGE_BYTES, to);
      }
      helperPages.beginWriteback(file.descriptor(), from, to);
      file.setReadyBytes(to);
      driver.wakeup();
    });
  }

  /** Looks at how often the segment that is full now was synced. */
  private void judgeSyncs() {
    int now = syncs;
    syncedSeldom = (now - syncsBefore) * (long) SELDOM_BYTES <= segmentBytes;
    syncsBefore = now;
  }

  private void pin(SegmentFile file, int validBytes) {
    if (file.populateTarget() > 0) {
      // Was not opened to be read, as at a start.
      judgeSyncs();
    }
    NativeMemory memory = file.memory();
    if (memory == null) {
      memory = NativeMemory.mapFile(file.descriptor(), segmentBytes);
      if (memory == null) {
        return;
      }
      file.setMemory(memory);
    }
    helperPages.unmap(memory, 0, segmentBytes);
    memory.makeReadOnly(file.descriptor());
    int length = (validBytes + NativeMemory.PAGE_BYTES - 1) & -NativeMemory.PAGE_BYTES;
    // Brings the pages as well.
    file.setResident(lock(memory, length));
    // So that the pages are clean when the segment leaves memory, and a later sync has less to do.
    helperPages.beginWriteback(file.descriptor(), 0, length);
  }

  private void unmap(SegmentFile file) {
    NativeMemory memory = file.memory();
    file.setResident(false);
    if (memory != null) {
      file.setMemory(null);
      helperPages.close(memory);
    }
  }
}
