package io.plinth.log.replication;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.RaftCore;
import java.util.ArrayList;

/**
 * What the log holds of one group: the newest promises, and the entries. An entry at an index that
 * was there before replaces that one and all after it, as it did when it was written.
 */
public final class RecoveredGroup {
  private record Entry(
      long term, EntryKind kind, int subject, int lengthBytes, long position, long payloadPlace) {}

  private final int group;
  private final long baseIndex;
  private final long baseTerm;
  private final long baseEpoch;
  private final ArrayList<Entry> entries = new ArrayList<>();
  private long term;
  private int vote = RaftCore.NO_NODE;
  private boolean recovering;
  private boolean hasState;
  private long bootId;

  /**
   * Creates a group whose entries up to a base are in the owner's state already.
   *
   * @param group its number
   * @param baseIndex the index of the last such entry, 0 if none
   * @param baseTerm its term
   * @param baseEpoch the epoch as of it
   */
  public RecoveredGroup(int group, long baseIndex, long baseTerm, long baseEpoch) {
    this.group = group;
    this.baseIndex = baseIndex;
    this.baseTerm = baseTerm;
    this.baseEpoch = baseEpoch;
  }

  /** Takes note of promises. */
  void state(long newTerm, int newVote, boolean isRecovering, long newBootId) {
    hasState = true;
    term = newTerm;
    vote = newVote;
    recovering = isRecovering;
    bootId = newBootId;
  }

  /**
   * Takes note of an entry.
   *
   * @throws RecoveryException when entries before it are missing
   */
  void entry(
      long index,
      long entryTerm,
      EntryKind kind,
      int subject,
      int lengthBytes,
      long position,
      long payloadPlace)
      throws RecoveryException {
    if (index <= baseIndex) {
      return;
    }
    if (index > lastIndex() + 1) {
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
    entries.add(new Entry(entryTerm, kind, subject, lengthBytes, position, payloadPlace));
  }

  /** Returns the index of the newest entry. */
  public long lastIndex() {
    return baseIndex + entries.size();
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
