package io.plinth.target.volume;

import io.plinth.log.format.Superblock;
import io.plinth.log.journal.Journal;
import io.plinth.log.replication.GroupMembers;
import io.plinth.log.replication.GroupRecovery;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.KeptEntries;
import io.plinth.log.replication.RecoveredGroup;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.Replicator;
import java.util.ArrayList;
import java.util.List;

/**
 * The groups of one log as its volumes see them: what recovery has found of them, who has entries
 * to apply, and what a checkpoint must wait for or keep.
 *
 * <pre>
 *            start of replay            cut                 end of the log
 *   ----------|--------------------------|-------------------|
 *              entries that are kept:     all is replayed
 *              into the log of the group
 * </pre>
 *
 * A checkpoint has all that was appended before its cut, but for entries of groups with several
 * members which are not applied, or which other members may lack. Replay begins at the segment of
 * the oldest of those; before the cut it looks for them and passes over everything else. No segment
 * from there on is freed, so nothing else has to hold what is kept.
 */
final class StoreGroups {
  private final boolean dropsKept;
  private final int self;
  private final GroupRecovery recovery;
  private final List<GroupWork> behind = new ArrayList<>();
  private Journal journal;
  private Replicator replicator;
  private boolean clean;
  private long cutSequence;
  private boolean beforeCut;
  private int shared;

  /** What is begun has to be applied for a checkpoint; nothing more is. */
  private boolean holdsBack;

  StoreGroups(GroupMembers members, boolean dropsKept) {
    this.dropsKept = dropsKept;
    this.self = members.node();
    this.recovery = GroupRecovery.of(members);
  }

  // Recovery.

  /** Returns what the log holds of groups, from its checkpoint on. */
  GroupRecovery recovery() {
    return recovery;
  }

  /** The checkpoint has everything before a batch but what it says is kept. */
  void loaded(long cut) {
    cutSequence = cut;
  }

  /** The records that follow are of a batch. */
  void recoverBatch(long sequence) {
    beforeCut = sequence < cutSequence;
    recovery.beforeCut(beforeCut);
  }

  /** Returns whether the checkpoint has the effect of the present batch. */
  boolean isBeforeCut() {
    return beforeCut;
  }

  /** Returns whether what is recovered of a group was committed when it was written. */
  boolean isCommitted(int group) {
    return recovery.group(group).isAlone();
  }

  void start(Journal openJournal, Replicator ofJournal, boolean closedInOrder) {
    journal = openJournal;
    replicator = ofJournal;
    clean = closedInOrder;
  }

  /** Lets a volume's group take part, once the log is open. */
  void start(VolumeGroup group) {
    if (replicator != null) {
      group.start(replicator, recovery.group(group.id()), clean);
      shared += group.isAlone() ? 0 : 1;
    }
  }

  /** Lets another replica of a group take the place of the one that there is. */
  void restart(VolumeGroup group, GroupState state) {
    replicator.remove(group.replica());
    // Nothing of what it begins with can be lost: it does not begin before that is durable.
    group.start(replicator, new RecoveredGroup(state, self), true);
    group.replica().hold();
  }

  /** Returns the number of this node. */
  int self() {
    return self;
  }

  void leave(VolumeGroup group) {
    if (replicator != null) {
      shared -= group.isAlone() ? 0 : 1;
      boolean _ = behind.remove(group);
      group.leave(replicator);
    }
  }

  /** The log has a group with other members that is not a volume's. */
  void noteShared() {
    shared++;
  }

  /** Returns the replicas of all groups of this log. */
  List<Replica> replicas() {
    return replicator.replicas();
  }

  void onAppended(long sequence) {
    replicator.onAppended(sequence);
  }

  void onDurable(long sequence) {
    replicator.onDurable(sequence);
  }

  void onFailed(String why) {
    holdsBack = false;
    replicator.onFailed(why);
  }

  /** Seals and commits what can be committed at once. */
  void settle() {
    if (replicator != null) {
      replicator.settle();
    }
  }

  // Applying.

  /** A group has committed entries that are not applied. */
  void behind(GroupWork group) {
    if (!behind.contains(group)) {
      behind.add(group);
    }
  }

  /** Applies a bounded amount for each group that is behind. */
  int applySome() {
    if (behind.isEmpty()) {
      if (shared > 0) {
        replicator.reader().relax();
      }
      return 0;
    }
    int done = 0;
    for (int i = behind.size() - 1; i >= 0; i--) {
      GroupWork group = behind.get(i);
      done += group.applySome();
      if (!group.isBehind()) {
        boolean _ = behind.remove(group);
      }
    }
    return done;
  }

  // Checkpoints.

  /**
   * Gets all that was begun in groups without other members into the index, and lets nothing more
   * begin until {@link #endCut}: what they have before a cut is not replayed.
   *
   * @return whether it is so; else to be asked again in the next cycle
   */
  boolean beginCut() {
    holdsBack = true;
    replicator.settle();
    for (Replica replica : replicator.replicas()) {
      if (replica.isAlone() && !replica.isSettled()) {
        return false;
      }
    }
    return true;
  }

  void endCut() {
    holdsBack = false;
  }

  boolean isHoldingBack() {
    return holdsBack;
  }

  /** Lets go what need not be kept, and returns where the replay of a checkpoint has to begin. */
  Superblock.Start replayStart(Superblock.Start cut) {
    long oldest = Long.MAX_VALUE;
    long oldestPlace = 0;
    if (shared > 0 && !dropsKept) {
      for (Replica replica : replicator.replicas()) {
        replica.kept().drop();
        long place = replica.kept().oldestPlace();
        long sequence = place < 0 ? Long.MAX_VALUE : journal.segmentSequence(place);
        if (sequence < oldest) {
          oldest = sequence;
          oldestPlace = place;
        }
      }
    }
    return oldest == Long.MAX_VALUE ? cut : journal.startOfSegment(oldestPlace);
  }

  /** Returns the sequence of the segment in which the replay of the next checkpoint would begin. */
  long keptFrom() {
    long oldest = Long.MAX_VALUE;
    if (shared > 0 && !dropsKept) {
      for (Replica replica : replicator.replicas()) {
        oldest = Math.min(oldest, replica.kept().oldestSegment());
      }
    }
    return oldest;
  }

  /** Returns whether any group has other members. */
  boolean isShared() {
    return shared > 0;
  }

  /** Returns how many segments may be kept for other members. */
  int keptSegments() {
    return shared > 0 ? journal.limitSegments() / KeptEntries.LOG_PART : 0;
  }
}
