package io.plinth.log.replication;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;
import java.util.ArrayList;

/**
 * What the log holds of one group: the newest promises, and the entries. An entry at an index that
 * was there before replaces that one and all after it, as it did when it was written. As long as
 * this node is the only member, entries are committed, and only the newest one is remembered.
 *
 * <p>Where replay begins before the cut of the checkpoint, for the sake of entries that are kept,
 * it meets others that were replaced before the cut: those are passed over.
 */
public final class RecoveredGroup {
  private record Entry(
      long term, EntryKind kind, int subject, int lengthBytes, long position, long payloadPlace) {}

  private final int group;
  private final int self;
  private final Membership membership;
  private long baseIndex;
  private long appliedIndex;
  private long baseTerm;
  private long baseEpoch;
  private final ArrayList<Entry> entries = new ArrayList<>();
  private long term;
  private int vote = RaftCore.NO_NODE;
  private boolean recovering;
  private boolean lostDisk;
  private boolean hasState;
  private long bootId;
  private boolean alone;

  /**
   * Creates a group whose entries up to a base are in the owner's state already.
   *
   * @param base the group as of there
   * @param self this node
   */
  public RecoveredGroup(GroupState base, int self) {
    this.self = self;
    group = base.group();
    baseIndex = base.index();
    appliedIndex = base.applied();
    baseTerm = base.entryTerm();
    baseEpoch = base.epoch();
    membership = base.membership();
    term = base.term();
    vote = base.vote();
    recovering = base.recovering();
    lostDisk = base.lostDisk();
    bootId = base.bootId();
    hasState = term > 0;
    alone = membership.isOnly(self);
  }

  /** Takes note of promises. */
  void state(long newTerm, int newVote, boolean isRecovering, boolean hasLostDisk, long newBootId) {
    hasState = true;
    term = newTerm;
    vote = newVote;
    recovering = isRecovering;
    lostDisk = hasLostDisk;
    bootId = newBootId;
  }

  /**
   * Takes note of an entry.
   *
   * @param beforeCut whether the checkpoint was made after it was written
   * @throws RecoveryException when entries before it are missing
   */
  void entry(
      long index,
      long entryTerm,
      EntryKind kind,
      int subject,
      int lengthBytes,
      long position,
      long payloadPlace,
      boolean beforeCut)
      throws RecoveryException {
    if ((index <= baseIndex && !alone) || (beforeCut && isReplaced(index, entryTerm))) {
      return;
    }
    if (index > lastIndex() + 1 || index <= baseIndex) {
      throw new RecoveryException(
          "group " + group + ": entry " + index + " of the log follows entry " + lastIndex());
    }
    int kept = (int) (index - 1 - baseIndex);
    entries.subList(kept, entries.size()).clear();
    long before = kept == 0 ? baseTerm : entries.get(kept - 1).term;
    if (entryTerm < before) {
      throw new RecoveryException(
          "group "
              + group
              + ": entry "
              + index
              + " of term "
              + entryTerm
              + " follows one of term "
              + before);
    }
    alone &= !kind.changesMembership();
    if (alone) {
      baseIndex = index;
      appliedIndex = index;
      baseTerm = entryTerm;
      baseEpoch = kind == EntryKind.EPOCH ? entryTerm : baseEpoch;
      return;
    }
    entries.add(new Entry(entryTerm, kind, subject, lengthBytes, position, payloadPlace));
  }

  /**
   * Returns whether an entry was replaced before the cut by one that is further back, or is still
   * to come: all that is valid follows its predecessor, and terms never go down.
   */
  private boolean isReplaced(long index, long entryTerm) {
    return alone || entryTerm < baseTerm || index > lastIndex() + 1;
  }

  /** Returns up to which entry the owner's state has them. */
  public long appliedIndex() {
    return appliedIndex;
  }

  /** Returns the position of the oldest entry that is kept, or -1 when there is none. */
  long oldestPosition() {
    return entries.isEmpty() ? -1 : entries.get(0).position;
  }

  /** Returns what a checkpoint keeps of a group whose replica has not begun yet. */
  GroupState state() {
    return new GroupState(
        group,
        baseIndex,
        appliedIndex,
        baseTerm,
        baseEpoch,
        membership,
        hasState ? term : 0,
        vote,
        recovering,
        lostDisk,
        bootId);
  }

  /** Returns the index of the newest entry. */
  public long lastIndex() {
    return baseIndex + entries.size();
  }

  /** Returns the term of the newest entry. */
  public long lastTerm() {
    return entries.isEmpty() ? baseTerm : entries.get(entries.size() - 1).term;
  }

  /** Returns the members as of the base. */
  public Membership membership() {
    return membership;
  }

  /**
   * Returns whether this node has begun a replica of a group that it was no member of, and nobody
   * has given it anything yet. It does not know who the members were before the first entry, so
   * entries are of no use to it: it needs the state of a leader.
   */
  public boolean awaitsState() {
    return baseIndex == 0
        && entries.isEmpty()
        && !membership.isVoter(self)
        && !membership.isLearner(self);
  }

  /** Returns whether this node is the only member: then all that was found is committed. */
  public boolean isAlone() {
    return alone;
  }

  long baseIndex() {
    return baseIndex;
  }

  long term() {
    return term;
  }

  int vote() {
    return vote;
  }

  boolean isRecovering() {
    return recovering;
  }

  boolean hasLostDisk() {
    return lostDisk;
  }

  /**
   * Returns whether the machine was started anew since the promises were written, so that entries
   * may be lost that were not durable.
   */
  boolean isOfAnotherBoot(long currentBootId) {
    return hasState && bootId != currentBootId;
  }

  boolean hasState() {
    return hasState;
  }

  /** Builds the view of the log that the rules need, and the places. */
  EntryLog entryLog(EntryPlaces places) {
    EntryLog log = new EntryLog(baseIndex, baseTerm, baseEpoch);
    long index = baseIndex;
    for (Entry entry : entries) {
      index++;
      log.append(entry.term, entry.kind, entry.subject, EntryLog.NO_PLACE, entry.lengthBytes);
      places.put(index, entry.position, entry.payloadPlace);
    }
    return log;
  }
}
