package io.plinth.log.replication;

import io.plinth.log.format.LogFormat;
import io.plinth.log.journal.Journal;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;
import io.plinth.raft.core.Role;

/**
 * Which entries a replica keeps, and what a checkpoint says of it.
 *
 * <p>What is not applied, or not durable, is kept. So is what is applied and other members may
 * lack: as long as some do, as far as is known here, but not more than its part of {@link
 * #MAX_ENTRIES}, and not if it lies further back than a part of the log. Without other members
 * nothing is kept.
 *
 * <p>A replica that has stopped keeps nothing either, so that it holds up nobody else's log: from
 * the next checkpoint on it is one that has lost all it had. It counts for nothing until a leader
 * has given it everything anew.
 */
public final class KeptEntries {
  /**
   * So many entries of all groups of a log take 32 MiB of memory; a follower does not know who
   * lacks them.
   */
  static final int MAX_ENTRIES = 1 << 19;

  /** A group may keep so many, however many groups there are. */
  static final int LEAST_ENTRIES = 1 << 14;

  /** One of so many parts of the log may be kept for the sake of others. */
  public static final int LOG_PART = 4;

  private final Replica replica;
  private final EntryRecords records;
  private final Journal journal;
  private final RecoveredGroup recovered;
  private final long bootId;

  KeptEntries(
      Replica replica,
      EntryRecords records,
      Journal journal,
      RecoveredGroup recovered,
      long bootId) {
    this.replica = replica;
    this.records = records;
    this.journal = journal;
    this.recovered = recovered;
    this.bootId = bootId;
  }

  /** Forgets what no other member will want any more, or must do without; at a checkpoint's cut. */
  public void drop() {
    RaftCore core = replica.core();
    if (core != null && !replica.isStopped() && !core.isAlone()) {
      long index = droppable(core);
      if (index > core.log().baseIndex()) {
        replica.compact(index);
      }
    }
  }

  /**
   * Returns where the record of the oldest entry is that is kept, in blocks of the log; -1 when
   * there is none.
   */
  public long oldestPlace() {
    RaftCore core = replica.core();
    if (core == null) {
      return recovered.oldestPosition() < 0 ? -1 : block(recovered.oldestPosition());
    }
    return replica.isStopped() ? -1 : place(core.log().baseIndex() + 1);
  }

  /**
   * Returns the segment of the oldest entry that would be left after {@link #drop}, as its
   * sequence; Long.MAX_VALUE when none would be.
   */
  public long oldestSegment() {
    RaftCore core = replica.core();
    boolean drops = core != null && !replica.isStopped() && !core.isAlone();
    long place = drops ? place(droppable(core) + 1) : oldestPlace();
    return place < 0 ? Long.MAX_VALUE : journal.segmentSequence(place);
  }

  private long place(long index) {
    return index <= records.lastIndex() ? block(records.places().position(index)) : -1;
  }

  private static long block(long position) {
    return position / LogFormat.BLOCK_BYTES;
  }

  private long mostEntries() {
    if (replica.mostKept() > 0) {
      return replica.mostKept();
    }
    return Math.max(LEAST_ENTRIES, MAX_ENTRIES / replica.siblings());
  }

  /** Returns up to which entry the replica may forget them. */
  private long droppable(RaftCore core) {
    long base = core.log().baseIndex();
    // After a start it takes a leader to say what is committed.
    long committed = Math.min(replica.appliedIndex(), core.commitIndex());
    long most = Math.min(committed, core.durableIndex());
    if (most <= base) {
      return base;
    }
    long known = core.role() == Role.LEADER ? Math.min(most, core.durableEverywhere()) : base;
    long least = Math.max(Math.max(base, known), most - mostEntries());
    if (journal.active() == null) {
      return least;
    }
    long oldest = journal.active().sequence() - journal.limitSegments() / LOG_PART;
    // Positions grow with the index: the first entry that lies near enough.
    long from = least;
    long to = most;
    while (from < to) {
      long middle = (from + to) >>> 1;
      if (journal.segmentSequence(block(records.places().position(middle + 1))) < oldest) {
        from = middle + 1;
      } else {
        to = middle;
      }
    }
    return from;
  }

  /**
   * Of one that knows only who the members were later on, it is told who else they were: it begins
   * as one that {@link RecoveredGroup#awaitsState}.
   */
  private Membership membershipOfStopped(RaftCore core) {
    Membership members = core.baseMembership();
    return core.log().baseIndex() == 0 ? members : members.without(replica.self());
  }

  /**
   * Returns what a checkpoint has to say of the group, beside the entries that are kept. Without
   * other members there are none, when the replica {@link Replica#isSettled}.
   */
  public GroupState state() {
    RaftCore core = replica.core();
    if (core == null) {
      return recovered.state();
    }
    boolean alone = core.isAlone();
    if (alone && !replica.isSettled()) {
      throw new IllegalStateException(
          "group " + replica.group() + " has entries that are not committed");
    }
    if (replica.isStopped() && !alone) {
      return new GroupState(
          replica.group(),
          0,
          0,
          0,
          0,
          membershipOfStopped(core),
          core.term(),
          core.vote(),
          true,
          true,
          bootId);
    }
    EntryLog log = core.log();
    long committed = replica.committedIndex();
    return new GroupState(
        replica.group(),
        alone ? committed : log.baseIndex(),
        alone ? committed : replica.appliedIndex(),
        alone ? log.term(committed) : log.baseTerm(),
        alone ? core.epoch() : log.baseEpoch(),
        alone ? core.membership() : core.baseMembership(),
        core.term(),
        core.vote(),
        core.isRecovering(),
        core.hasLostDisk(),
        bootId);
  }
}
