package io.plinth.log.replication;

import io.plinth.raft.core.Quorum;

/**
 * The Raft group of a shard as its leader sees it: gives out indexes, and tells up to which index
 * entries are committed. An unreplicated volume is a group of one, for which appended by us means
 * committed.
 */
public final class ReplicaGroup {
  private static final int SELF = 0;

  private final int id;
  private final long[] matchIndexes;
  private long term;
  private long lastIndex;
  private long committedIndex;

  /**
   * Creates a group of one.
   *
   * @param id number of the group, unique on this node
   */
  public ReplicaGroup(int id) {
    this.id = id;
    this.matchIndexes = new long[1];
  }

  /** Returns the number of the group. */
  public int id() {
    return id;
  }

  /** Returns the term that new entries carry. */
  public long term() {
    return term;
  }

  /** Returns the index of the newest entry. */
  public long lastIndex() {
    return lastIndex;
  }

  /** Takes note of an entry found in the log at start. */
  public void recovered(long entryTerm, long entryIndex) {
    term = Math.max(term, entryTerm);
    lastIndex = Math.max(lastIndex, entryIndex);
    matchIndexes[SELF] = lastIndex;
    committedIndex = Quorum.committedIndex(matchIndexes, matchIndexes.length);
  }

  /** Begins to lead: in a group of one every start is a new term. */
  public void lead() {
    term++;
  }

  /** Returns the index of a new entry, which is about to be appended. */
  public long propose() {
    return ++lastIndex;
  }

  /** Tells that our own log has all entries up to an index. */
  public void appended(long index) {
    matchIndexes[SELF] = index;
    committedIndex = Quorum.committedIndex(matchIndexes, matchIndexes.length);
  }

  /**
   * Returns up to which index entries are committed: only these may be applied and acknowledged.
   */
  public long committedIndex() {
    return committedIndex;
  }
}
