package io.plinth.log.replication;

import io.plinth.log.format.LogFormat;
import io.plinth.log.journal.Journal;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.RaftCore;
import io.plinth.raft.core.Role;

/**
 * Which entries a replica keeps though they are applied, because other members may lack them: as
 * long as some do, as far as is known here, but not more than {@link #MAX_ENTRIES}, and not if they
 * lie further back than a part of the log. What is not applied, or not durable, is always kept.
 */
public final class KeptEntries {
  /** So many entries take a MiB of memory; a follower does not know who lacks them. */
  static final int MAX_ENTRIES = 1 << 14;

  /** One of so many parts of the log may be kept for the sake of others. */
  public static final int LOG_PART = 4;

  private KeptEntries() {}

  /** Returns up to which entry a replica may forget them. */
  static long droppable(RaftCore core, EntryPlaces places, Journal journal, long applied) {
    EntryLog log = core.log();
    long base = log.baseIndex();
    // After a start it takes a leader to say what is committed.
    long most = Math.min(Math.min(applied, core.commitIndex()), core.durableIndex());
    if (most <= base) {
      return base;
    }
    long known = core.role() == Role.LEADER ? Math.min(most, core.durableEverywhere()) : base;
    long least = Math.max(Math.max(base, known), most - MAX_ENTRIES);
    if (journal.active() == null) {
      return least;
    }
    long oldest = journal.active().sequence() - journal.limitSegments() / LOG_PART;
    // Positions grow with the index: the first entry that lies near enough.
    long from = least;
    long to = most;
    while (from < to) {
      long middle = (from + to) >>> 1;
      if (segment(places.position(middle + 1), journal) < oldest) {
        from = middle + 1;
      } else {
        to = middle;
      }
    }
    return from;
  }

  private static long segment(long position, Journal journal) {
    return journal.segmentSequence(position / LogFormat.BLOCK_BYTES);
  }
}
