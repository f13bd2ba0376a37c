package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Makes the index durable, so that older log need not be replayed: a bit in each duty cycle.
 *
 * <p>A checkpoint is the state at its cut, a position between two batches. In this order: pages
 * that have changed since the checkpoint before, the table of where each page is, and the
 * description (see {@link CheckpointRoot}) are appended; all of it is made durable; the superblock
 * is switched. If the node dies before the switch, recovery finds the checkpoint before, and its
 * pages, because their segments are freed only after the switch.
 */
public final class Checkpointer {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Pages written in one duty cycle: some tens of microseconds. */
  private static final int PAGES_PER_CYCLE = 16;

  private static final int FREED_PER_CYCLE = 256;

  /** A checkpoint is due after so much log; the replay of it takes a fraction of a second. */
  private static final long INTERVAL_BYTES = 1L << 30;

  private static final long MAX_INTERVAL_BYTES = 4L << 30;

  /** So that writing the index adds a few percent to what is written anyway. */
  private static final int INTERVAL_INDEX_FACTOR = 32;

  /** Switches the superblock; NodeLog has the rest of what is in it. */
  public interface Superblocks {
    /**
     * Writes a superblock that names a checkpoint.
     *
     * @return whether the completion will be called
     */
    boolean write(
        Superblock.Start start,
        Superblock.CheckpointPlace place,
        long durableSequence,
        Completion completion);

    /**
     * Returns whether everything that was appended is part of what {@link #extension} returns; when
     * not, a checkpoint has to wait.
     */
    boolean isSettled();

    /** Returns what else is to be kept with a checkpoint: the state at its cut. */
    byte[] extension();

    /** Returns the part of {@link #extension} that grows with more than the number of volumes. */
    int settingsBytes();
  }

  private enum Stage {
    IDLE,
    PAGES,
    FREED,
    TABLE,
    ROOT,
    SYNC,
    SWITCH,
    SUPERBLOCK
  }

  private final VolumeStore store;
  private final IndexPages pages;
  private final BlockReferences references;
  private final PageTable table = new PageTable();
  private final List<IntConsumer> waiting = new ArrayList<>();
  private final List<IntConsumer> waitingForNext = new ArrayList<>();
  private final int[] run = new int[PAGES_PER_CYCLE];

  private Journal journal;
  private Superblocks superblocks;
  private Stage stage = Stage.IDLE;

  /** A checkpoint is to begin as soon as it can. */
  private boolean wanted;

  /** The segment in which the cut of the newest checkpoint is. */
  private long cutSegment;

  private Superblock.Start start = Superblock.Start.NEW;
  private Superblock.Start durableStart = Superblock.Start.NEW;
  private CheckpointRoot root;
  private byte[] encodedRoot;
  private long rootPlace;
  private int rootBlocks;
  private long staleRootPlace;
  private int staleRootBlocks;
  private long[] stalePlaces = new long[256];
  private int staleCount;
  private long appendedAtCut;
  private long completed;

  Checkpointer(VolumeStore store) {
    this.store = store;
    this.pages = store.space().pages();
    this.references = store.space().references();
  }

  /** Takes over what was loaded at start. */
  void loaded(CheckpointRoot found, long place, int blocks) {
    table.restore(found.tablePlaces(), found.tableChecksums());
    rootPlace = place;
    rootBlocks = blocks;
  }

  void start(Journal openJournal, Superblocks openSuperblocks) {
    journal = openJournal;
    superblocks = openSuperblocks;
  }

  /**
   * Tells from where on the log is replayed, as long as there is no newer checkpoint.
   *
   * @param replayedBytes length of the log from there
   */
  public void recovered(Superblock.Start found, long replayedBytes) {
    durableStart = found;
    appendedAtCut = -replayedBytes;
  }

  /** Returns how many checkpoints have become durable since the start. */
  public long completed() {
    return completed;
  }

  /** Returns whether one is being written or about to begin. */
  boolean isBusy() {
    return stage != Stage.IDLE || wanted;
  }

  /** Returns the sequence of the segment in which replay would begin now. */
  long replayedFrom() {
    return durableStart.segmentSequence();
  }

  /**
   * Returns whether the place of a page that is as it was written is one of a durable checkpoint.
   */
  boolean isDurable(long place) {
    return stage == Stage.IDLE || journal.segmentSequence(place) < cutSegment;
  }

  /** Returns how many blocks of the log a checkpoint needs that begins now. */
  long neededBlocks() {
    long unwritten = pages.unwrittenPages();
    // Not the size of the description before: there may be more snapshots by now.
    long described =
        2L * rootBlocks
            + (store.treeCount() * CheckpointRoot.MAX_TREE_BYTES + superblocks.settingsBytes())
                / BLOCK;
    return unwritten + unwritten / PAGES_PER_CYCLE + 2L * table.blocks() + described + 8;
  }

  /** Returns where the pages of the newest checkpoint are. */
  PageTable table() {
    return table;
  }

  /** Returns whether a block of the page table is at a place. */
  boolean isTable(int block, long place) {
    return block >= 0 && block < table.blocks() && table.place(block) == place;
  }

  /** Returns whether a block of the newest description is at a place. */
  boolean isRoot(long place) {
    return place >= rootPlace && place < rootPlace + rootBlocks;
  }

  /** Lets the next checkpoint write a block of the page table anew. */
  void rewriteTable(int block) {
    table.touchBlock(block);
  }

  /**
   * Asks for a checkpoint of the state as it is now.
   *
   * @param done told OK when it is durable, or why it failed
   */
  public void request(IntConsumer done) {
    if (journal.failure() != Status.OK) {
      done.accept(journal.failure());
    } else if (stage == Stage.IDLE) {
      waiting.add(done);
      wanted = true;
    } else {
      waitingForNext.add(done);
    }
  }

  /** Begins a checkpoint unless one is being written. */
  void requestSoon() {
    wanted = true;
  }

  int doWork() {
    if (stage == Stage.IDLE) {
      return doIdleWork();
    }
    if (journal.failure() != Status.OK) {
      if (stage != Stage.SYNC && stage != Stage.SUPERBLOCK) {
        end(journal.failure());
      }
      return 1;
    }
    return switch (stage) {
      case PAGES -> writePages();
      case FREED -> recyclePages();
      case TABLE -> writeTable();
      case ROOT -> writeRoot();
      case SWITCH -> switchSuperblock();
      case IDLE, SYNC, SUPERBLOCK -> 0;
    };
  }

  private int doIdleWork() {
    if (journal.failure() != Status.OK) {
      if (!waiting.isEmpty()) {
        end(journal.failure());
      }
      return 0;
    }
    wanted |= appendedBytes() - appendedAtCut >= intervalBytes();
    if (!wanted || !superblocks.isSettled() || !store.beginCheckpointCut()) {
      return 0;
    }
    // Who was told of a commit may have begun something there.
    boolean settled = superblocks.isSettled();
    if (settled) {
      wanted = false;
      begin();
    }
    store.endCheckpointCut();
    return settled ? 1 : 0;
  }

  private long appendedBytes() {
    return (journal.counters().payloadBlocks() + journal.counters().headerBlocks()) * BLOCK;
  }

  private long intervalBytes() {
    long byIndex = pages.usedBytes() * INTERVAL_INDEX_FACTOR;
    long capacity = journal.slotCount() * store.blocksPerSegment() * BLOCK;
    return Math.min(
        Math.clamp(byIndex, INTERVAL_BYTES, MAX_INTERVAL_BYTES), Math.max(BLOCK, capacity / 8));
  }

  private void begin() {
    Superblock.Start cut = journal.mark();
    start = store.groups().replayStart(cut);
    cutSegment = cut.segmentSequence();
    pages.cut();
    root = CheckpointRoot.of(store, superblocks.extension(), cut.sequence());
    appendedAtCut = appendedBytes();
    staleCount = 0;
    stage = Stage.PAGES;
  }

  private int writePages() {
    int count = pages.pending(run);
    if (count == 0) {
      stage = Stage.FREED;
      return 1;
    }
    if (!journal.beginLocal(RecordHeader.META, RecordHeader.PAGES, 0, count)) {
      return 0;
    }
    for (int i = 0; i < count; i++) {
      int page = run[i];
      long place = journal.payloadPlace() + i;
      NativeMemory.copy(
          pages.pendingAddress(page), journal.payloadAddress() + (long) i * BLOCK, BLOCK);
      journal.number(i, page);
      moved(pages.written(page, place, journal.checksum(i)), place);
      table.touch(page);
    }
    return count;
  }

  /** A block of the checkpoint has a new place; the old one stays until the switch. */
  private void moved(long from, long to) {
    references.retainMeta(to);
    if (from != 0) {
      stale(from);
    }
  }

  private void stale(long place) {
    if (staleCount == stalePlaces.length) {
      stalePlaces = Arrays.copyOf(stalePlaces, staleCount * 2);
    }
    stalePlaces[staleCount++] = place;
  }

  private int recyclePages() {
    int count = 0;
    for (int page = pages.nextFreed(); page != 0; page = pages.nextFreed()) {
      if (count++ == FREED_PER_CYCLE) {
        return count;
      }
      long before = pages.recycle(page);
      if (before != 0) {
        stale(before);
        table.touch(page);
      }
    }
    stage = Stage.TABLE;
    return 1;
  }

  private int writeTable() {
    int number = table.nextDirty();
    if (number < 0) {
      stage = Stage.ROOT;
      return 1;
    }
    if (!journal.beginLocal(RecordHeader.META, RecordHeader.TABLE, 0, 1)) {
      return 0;
    }
    journal.number(0, number);
    table.encode(number, pages, journal.payloadAddress());
    moved(
        table.written(number, journal.payloadPlace(), journal.checksum(0)), journal.payloadPlace());
    return 1;
  }

  private int writeRoot() {
    if (encodedRoot == null) {
      encodedRoot = root.encode(table, pages.pageLimit());
    }
    int blocks = (encodedRoot.length + BLOCK - 1) / BLOCK;
    if (!journal.beginLocal(RecordHeader.META, RecordHeader.ROOT, 0, blocks)) {
      return 0;
    }
    NativeMemory.zero(journal.payloadAddress(), (long) blocks * BLOCK);
    new UnsafeBuffer(journal.payloadAddress(), encodedRoot.length).putBytes(0, encodedRoot);
    staleRootPlace = rootPlace;
    staleRootBlocks = rootBlocks;
    rootPlace = journal.payloadPlace();
    rootBlocks = blocks;
    for (int i = 0; i < blocks; i++) {
      journal.number(i, i);
      int _ = journal.checksum(i);
      references.retainMeta(rootPlace + i);
    }
    stage = Stage.SYNC;
    store.whenDurable(this::onDurable);
    return 1;
  }

  private void onDurable(int status) {
    if (status != Status.OK) {
      end(status);
      return;
    }
    stage = Stage.SWITCH;
    int _ = switchSuperblock();
  }

  /** Tried again in the next cycle when the ring has no slot. */
  private int switchSuperblock() {
    Superblock.CheckpointPlace place =
        new Superblock.CheckpointPlace(
            rootPlace, encodedRoot.length, CheckpointRoot.checksum(encodedRoot));
    boolean accepted =
        superblocks.write(
            start,
            place,
            journal.durableSequence(),
            (context, result) -> {
              if (Status.isError(result)) {
                journal.fail(result, "writing the superblock");
                end(journal.failure());
              } else {
                complete();
              }
            });
    stage = accepted ? Stage.SUPERBLOCK : Stage.SWITCH;
    return accepted ? 1 : 0;
  }

  private void complete() {
    durableStart = start;
    completed++;
    releaseStale();
    end(Status.OK);
  }

  private void releaseStale() {
    for (int i = 0; i < staleCount; i++) {
      references.releaseMeta(stalePlaces[i]);
    }
    for (int i = 0; i < staleRootBlocks; i++) {
      references.releaseMeta(staleRootPlace + i);
    }
    staleCount = 0;
    staleRootBlocks = 0;
  }

  private void end(int status) {
    stage = Stage.IDLE;
    root = null;
    encodedRoot = null;
    List<IntConsumer> told = List.copyOf(waiting);
    waiting.clear();
    waiting.addAll(waitingForNext);
    waitingForNext.clear();
    told.forEach(done -> done.accept(status));
    wanted = !waiting.isEmpty();
  }
}
