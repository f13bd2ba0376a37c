package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.segment.Segment;
import java.time.Instant;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * Makes a volume of what another one was at a moment that the log still tells: begins with the
 * newest snapshot before it, or with the empty volume, and applies the records from there to the
 * moment to a tree of its own. On the volume's core, a bit in each duty cycle.
 *
 * <p>Nothing of that is in the log: the new volume begins to exist with the checkpoint that ends
 * the work. What its tree refers to, dead or not, is in segments that are held meanwhile.
 */
public final class HistoryRestore implements BackgroundJob {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Records and blocks of one duty cycle: some tens of microseconds. */
  private static final int BUDGET_PER_CYCLE = 512;

  /**
   * How it went.
   *
   * @param volume the new one; null when there is a problem
   * @param problem one line for a person; null when there is a volume
   */
  public record Result(LogVolume volume, String problem) {}

  private enum Stage {
    BASE,
    SEGMENT,
    RECORDS,
    CHECKPOINT
  }

  private final VolumeStore store;
  private final LogVolume origin;
  private final Moment moment;
  private final int group;
  private final String name;
  private final FlushPolicy flushPolicy;
  private final Consumer<Result> done;
  private final SegmentRecords records;
  private Stage stage = Stage.BASE;
  private LogPoint base;
  private BlockIndex tree;
  private long sizeBytes;
  private long segmentSequence;
  private long expectedBatch = -1;
  private boolean ended;

  /** The record is to be looked at again: a page that it changes was not in memory. */
  private boolean retries;

  /** Index of the next block of the record at which this is. */
  private int blockInRecord = -1;

  /**
   * Begins to restore.
   *
   * @param group of the new volume
   * @param done told on the core how it went
   */
  public HistoryRestore(
      LogVolume origin,
      Moment moment,
      int group,
      String name,
      FlushPolicy flushPolicy,
      Consumer<Result> done) {
    this.store = origin.store;
    this.origin = origin;
    this.moment = moment;
    this.group = group;
    this.name = name;
    this.flushPolicy = flushPolicy;
    this.done = done;
    this.records = new SegmentRecords(store);
  }

  @Override
  public boolean step() {
    if (origin.isClosed() && stage != Stage.CHECKPOINT) {
      // Not while a read is on its way.
      return (!records.isActive() || records.isLoaded()) && fail("it was deleted meanwhile");
    }
    return switch (stage) {
      case BASE -> begin();
      case SEGMENT -> nextSegment();
      case RECORDS -> apply();
      case CHECKPOINT -> ended;
    };
  }

  private boolean begin() {
    if (!origin.group().isAlone()) {
      return fail("it has replicas on other nodes, and this log does not tell what it was");
    }
    SnapshotVolume newest = null;
    long kept = store.deadSegments().keptFrom();
    for (SnapshotVolume snapshot : origin.snapshots()) {
      LogPoint point = snapshot.point();
      boolean fits = point.segment() >= kept && moment.includes(point);
      if (fits && (newest == null || point.batch() > newest.point().batch())) {
        newest = snapshot;
      }
    }
    LogPoint beginning = origin.beginPoint();
    if (newest != null) {
      base = newest.point();
      tree = newest.index().snapshot();
      sizeBytes = newest.sizeBytes();
    } else if (beginning.index() > 0 && beginning.segment() >= kept && moment.includes(beginning)) {
      base = beginning;
      sizeBytes = 0;
      tree = new BlockIndex(store.space(), origin.index().family(), 0);
    } else {
      return fail(tooEarly());
    }
    store.deadSegments().hold(base.segment());
    segmentSequence = base.segment();
    stage = Stage.SEGMENT;
    return false;
  }

  private String tooEarly() {
    LogPoint oldest = origin.restorableFrom();
    return oldest == null
        ? "the log does not go back to its beginning or to a snapshot"
        : String.format(
            Locale.ROOT,
            "the log goes back to position %d, at %s",
            oldest.batch(),
            Instant.ofEpochMilli(oldest.epochMs()));
  }

  private boolean nextSegment() {
    if (!records.isActive()) {
      int slot = slotOf(segmentSequence);
      if (slot < 0) {
        return fail("segment " + segmentSequence + " of the log is missing");
      }
      records.begin(slot);
    }
    if (!records.isLoaded()) {
      return false;
    }
    long first = records.followChain();
    if (expectedBatch >= 0 && first != expectedBatch) {
      return fail(
          "batches from "
              + expectedBatch
              + " on in segment "
              + (segmentSequence - 1)
              + " of the log are damaged");
    }
    stage = Stage.RECORDS;
    return false;
  }

  private int slotOf(long sequence) {
    for (int slot = 0; slot < store.journal().slotCount(); slot++) {
      Segment segment = store.journal().segment(slot);
      if (segment != null && segment.sequence() == sequence) {
        return slot;
      }
    }
    return -1;
  }

  private boolean apply() {
    int budget = BUDGET_PER_CYCLE;
    while (budget > 0) {
      if (blockInRecord < 0) {
        SegmentRecords.Step step = retries ? SegmentRecords.Step.RECORD : records.next(budget);
        if (step == SegmentRecords.Step.LATER) {
          return false;
        }
        if (step == SegmentRecords.Step.END) {
          return endSegment();
        }
        if (!moment.includes(records.batch())) {
          return finish();
        }
        budget--;
        if (!isOfOrigin(records.record())) {
          continue;
        }
        int pages = bring(records.record());
        retries = pages == Status.EAGAIN;
        if (retries) {
          return false;
        }
        if (pages != Status.OK) {
          return fail("a page of the index can't be read");
        }
        String problem = applyRecord(records.record());
        if (problem != null) {
          return fail(problem);
        }
      } else {
        int count = Math.min(budget, records.record().blockCount() - blockInRecord);
        long first = records.record().firstBlock() + blockInRecord;
        int pages = tree.bring(first, first + Math.max(0, count - 1));
        if (pages == Status.EAGAIN) {
          return false;
        }
        if (pages != Status.OK) {
          return fail("a page of the index can't be read");
        }
        putSome(records.record(), count);
        budget -= Math.max(1, count);
      }
    }
    return false;
  }

  /** Brings the pages that a record changes at once; those of a write when its blocks are put. */
  private int bring(RecordHeader record) {
    if (record.type() == RecordHeader.UNMAP) {
      return tree.bringEdges(record.firstBlock(), record.blockCount());
    }
    if (record.type() != RecordHeader.COMMAND) {
      return Status.OK;
    }
    VolumeCommand command = VolumeCommand.decode(record.command());
    if (command.kind() != VolumeCommand.Kind.RESIZE) {
      return Status.OK;
    }
    long first = (command.number() + BLOCK - 1) / BLOCK;
    return tree.bringEdges(first, Math.max(0, tree.blocks() - first));
  }

  private boolean isOfOrigin(RecordHeader record) {
    boolean entry =
        record.type() == RecordHeader.WRITE
            || record.type() == RecordHeader.UNMAP
            || record.type() == RecordHeader.COMMAND;
    // The first entry of a volume is the one that creates it, and says how large.
    long after = base.equals(origin.beginPoint()) ? base.index() - 1 : base.index();
    return entry && record.group() == origin.group().id() && record.index() > after;
  }

  private String applyRecord(RecordHeader record) {
    long first = record.firstBlock();
    boolean blocks = record.type() != RecordHeader.COMMAND;
    if (blocks && (first < 0 || record.blockCount() > tree.blocks() - first)) {
      return "a record names block " + first + ", which lies outside of the volume";
    }
    if (record.type() == RecordHeader.WRITE) {
      blockInRecord = 0;
    } else if (!blocks) {
      return applyCommand(record);
    } else if (!store.isPlanted(PlantedBug.RESTORE_FORGETS_UNMAP)) {
      boolean allocated = (record.flags() & RecordHeader.ALLOCATED) != 0;
      tree.unmap(first, record.blockCount(), allocated, record.index());
    }
    return null;
  }

  private String applyCommand(RecordHeader record) {
    VolumeCommand command = VolumeCommand.decode(record.command());
    switch (command.kind()) {
      case CREATE, RESIZE -> {
        sizeBytes = command.number();
        tree.resize((sizeBytes + BLOCK - 1) / BLOCK, record.index());
      }
      case ROLLBACK -> {
        SnapshotVolume snapshot = origin.snapshot(command.name());
        if (snapshot == null || snapshot.point().index() > record.index()) {
          return "it was rolled back to snapshot "
              + command.name()
              + " before that moment, which was deleted since";
        }
        tree.replaceBy(snapshot.index());
        sizeBytes = snapshot.sizeBytes();
      }
      case CLONE, SNAPSHOT, DELETE_SNAPSHOT, VERIFY -> {
        // Changes nothing in the volume, or comes before the base.
      }
    }
    return null;
  }

  private void putSome(RecordHeader record, int count) {
    for (int i = blockInRecord; i < blockInRecord + count; i++) {
      long block = record.firstBlock() + i;
      tree.put(block, records.payloadPlace(i), record.checksum(i), record.index());
    }
    blockInRecord += count;
    if (blockInRecord == record.blockCount()) {
      blockInRecord = -1;
    }
  }

  private boolean endSegment() {
    expectedBatch = records.expected();
    boolean last = store.journal().active().sequence() == segmentSequence;
    records.finish();
    if (last) {
      return finish();
    }
    segmentSequence++;
    stage = Stage.SEGMENT;
    return false;
  }

  /** The volume is there for clients when a checkpoint has it. */
  private boolean finish() {
    if (!store.hasRoomForTree()) {
      return fail("its log has no room for one more volume");
    }
    LogVolume volume = store.restored(group, name, sizeBytes, flushPolicy, tree);
    tree = null;
    stage = Stage.CHECKPOINT;
    store
        .checkpointer()
        .request(status -> {
          ended = true;
          end();
          if (status == Status.OK) {
            done.accept(new Result(volume, null));
          } else {
            store.remove(volume);
            done.accept(new Result(null, Status.name(status)));
          }
        });
    return ended;
  }

  private boolean fail(String problem) {
    if (tree != null) {
      tree.clear();
    }
    end();
    done.accept(new Result(null, problem));
    return true;
  }

  private void end() {
    if (records.isActive()) {
      records.finish();
    }
    records.close();
    store.deadSegments().release();
  }
}
