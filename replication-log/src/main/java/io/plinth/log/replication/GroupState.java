package io.plinth.log.replication;

import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftCore;

/**
 * What is to be known of a group when its log is replayed: all that the log before may have held
 * alone. A checkpoint keeps it.
 *
 * @param group its number
 * @param index the last entry that is in the owner's state, 0 if none
 * @param entryTerm the term of that entry
 * @param epoch the epoch as of that entry
 * @param membership the members as of that entry
 * @param term the replica's promised term; 0 when it has promised nothing
 * @param vote its vote in that term, or {@link RaftCore#NO_NODE}
 * @param recovering whether it may have lost what it acknowledged
 * @param bootId of the machine when that was so
 */
public record GroupState(
    int group,
    long index,
    long entryTerm,
    long epoch,
    Membership membership,
    long term,
    int vote,
    boolean recovering,
    long bootId) {
  /** Returns the state of a group that has no entries. */
  public static GroupState first(int group, Membership membership) {
    return new GroupState(group, 0, 0, 0, membership, 0, RaftCore.NO_NODE, false, 0);
  }
}
