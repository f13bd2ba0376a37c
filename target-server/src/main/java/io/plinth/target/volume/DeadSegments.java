package io.plinth.target.volume;

import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.segment.Segment;
import java.util.Arrays;

/**
 * Segments that nothing needs any more, on their way to be used again.
 *
 * <p>A segment is freed when no leaf entry and no block of the durable checkpoint is in it, replay
 * begins behind it, and whatever made it dead is durable: then a replay of the durable checkpoint
 * ends without a reference to it as well. No new checkpoint is needed for that, which matters
 * because a checkpoint writes a whole page for each leaf that has changed, and the blocks that the
 * cleaner moves are in almost as many leaves.
 */
final class DeadSegments {
  private static final long ALIVE = -1;

  /** The log is synced for the sake of one of so many segments, or of that many. */
  private static final int SEGMENTS_PER_SYNC = 32;

  private static final int MAX_SEGMENTS_PER_SYNC = 4;

  private final VolumeStore store;
  private final BlockReferences references;

  /** For each slot the batch that has to be durable before its segment is freed. */
  private final long[] deadSince;

  private Journal journal;
  private volatile long keptFrom;
  private long heldFrom = Long.MAX_VALUE;

  /** Whether there is space for history. */
  private boolean retains = true;

  private int dead;
  private int awaitingCheckpoint;
  private boolean awaitsSync;

  DeadSegments(VolumeStore store, int slots) {
    this.store = store;
    this.references = store.space().references();
    this.deadSince = new long[slots];
    Arrays.fill(deadSince, ALIVE);
  }

  /**
   * Notes which segments the durable checkpoint does not refer to, before anything is replayed:
   * they are free at once, which may be all the room there is.
   */
  void loaded() {
    for (int slot = 0; slot < deadSince.length; slot++) {
      deadSince[slot] = references.isDead(slot) ? 0 : ALIVE;
    }
  }

  void start(Journal openJournal) {
    journal = openJournal;
    long replayedFrom = store.checkpointer().replayedFrom();
    for (int slot = 0; slot < deadSince.length; slot++) {
      Segment segment = journal.segment(slot);
      if (segment != null && segment.sequence() >= replayedFrom) {
        deadSince[slot] = ALIVE;
      }
    }
    keptFrom = oldestOfRun();
    look();
    int _ = free();
  }

  /** Returns the oldest segment after which none is missing. */
  private long oldestOfRun() {
    long[] sequences = new long[deadSince.length];
    int count = 0;
    for (int slot = 0; slot < deadSince.length; slot++) {
      Segment segment = journal.segment(slot);
      if (segment != null) {
        sequences[count++] = segment.sequence();
      }
    }
    Arrays.sort(sequences, 0, count);
    int first = count - 1;
    while (first > 0 && sequences[first - 1] == sequences[first] - 1) {
      first--;
    }
    // Without a header its sequence is not known.
    return count == 0 ? 0 : Math.max(1, sequences[Math.max(0, first)]);
  }

  /**
   * Returns the sequence of the oldest segment after which none was freed: from there on the log
   * tells all that has happened. Any thread, approximately.
   */
  long keptFrom() {
    return keptFrom;
  }

  /** Keeps segments from a sequence on, though they are dead, until {@link #release}. */
  void hold(long sequence) {
    heldFrom = sequence;
  }

  /** Ends {@link #hold}. */
  void release() {
    heldFrom = Long.MAX_VALUE;
  }

  /** Returns how many segments will be free when the log is durable, without further work. */
  int count() {
    return dead;
  }

  /** Returns how many segments will be free after the next checkpoint. */
  int awaitingCheckpoint() {
    return awaitingCheckpoint;
  }

  /** Looks at all segments, frees what can be freed, and asks for the sync that others wait for. */
  int doWork(boolean urgent) {
    retains = true;
    if (urgent) {
      giveUpHistory();
    }
    look();
    int freed = free();
    int batch = Math.clamp(journal.limitSegments() / SEGMENTS_PER_SYNC, 1, MAX_SEGMENTS_PER_SYNC);
    if (awaitsSync && (urgent || dead >= batch)) {
      journal.requestSync();
    }
    return freed;
  }

  /** Returns the sequence from which on segments are kept for their history. */
  long heldFrom() {
    return retains ? Math.min(heldFrom, store.retention().retainedFrom()) : heldFrom;
  }

  /** Space is scarce: lets dead segments be freed although they are history. */
  void giveUpHistory() {
    if (store.retention().retainedFrom() != Long.MAX_VALUE) {
      store.retention().noteScarce();
    }
    retains = false;
  }

  /** Finds out which segments have died, or have not after all. */
  void look() {
    dead = 0;
    awaitingCheckpoint = 0;
    awaitsSync = false;
    Segment active = journal.active();
    long replayedFrom = store.checkpointer().replayedFrom();
    long keptFrom = store.groups().keptFrom();
    for (int slot = 0; slot < deadSince.length; slot++) {
      Segment segment = journal.segment(slot);
      if (segment == null || segment == active || !isDead(slot)) {
        deadSince[slot] = ALIVE;
        boolean hasOnlyMeta =
            segment != null && segment != active && references.liveData(slot) == 0;
        awaitingCheckpoint += hasOnlyMeta && store.cleaner().isCleaned(slot) ? 1 : 0;
        continue;
      }
      if (deadSince[slot] == ALIVE) {
        deadSince[slot] = journal.pendingSequence();
      }
      if (segment.sequence() >= heldFrom()) {
        continue;
      }
      if (segment.sequence() < replayedFrom) {
        dead++;
        awaitsSync |= deadSince[slot] > journal.durableSequence();
      } else {
        // What is kept for other members is not freed by it.
        awaitingCheckpoint += segment.sequence() < keptFrom ? 1 : 0;
      }
    }
  }

  private boolean isDead(int slot) {
    return references.isDead(slot)
        || (store.isPlanted(PlantedBug.FREE_BEFORE_CHECKPOINT) && references.liveData(slot) == 0);
  }

  private int free() {
    int freed = 0;
    long replayedFrom = store.checkpointer().replayedFrom();
    for (int slot = 0; slot < deadSince.length && freed < dead; slot++) {
      boolean durable =
          deadSince[slot] <= journal.durableSequence()
              || store.isPlanted(PlantedBug.FREE_BEFORE_DURABLE);
      if (deadSince[slot] == ALIVE || !durable) {
        continue;
      }
      Segment segment = journal.segment(slot);
      // What is on loan has to wait.
      if (segment.sequence() < Math.min(replayedFrom, heldFrom()) && segment.isUnpinned()) {
        long first = slot * store.blocksPerSegment();
        store.merges().forget(first, first + store.blocksPerSegment());
        keptFrom = Math.max(keptFrom, segment.sequence() + 1);
        journal.free(slot);
        deadSince[slot] = ALIVE;
        freed++;
      }
    }
    dead -= freed;
    return freed;
  }
}
