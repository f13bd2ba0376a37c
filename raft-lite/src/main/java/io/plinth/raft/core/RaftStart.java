package io.plinth.raft.core;

/**
 * What a replica finds in its storage when it starts.
 *
 * @param self the node
 * @param incarnation greater than at any earlier start of this replica, and durable before the core
 *     is made: it tells answers from before a crash from those after it
 * @param term the durable term, 0 at first
 * @param vote the durable vote in it, or {@link RaftCore#NO_NODE}
 * @param recovering the durable mark
 * @param lostDisk the durable mark of one that is recovering because it has lost its disk
 * @param machineCrashed whether a tail that was appended, and acknowledged, may be lost: the boot
 *     id is another one
 * @param membership the members as of the base of the log
 * @param log the entries; the core takes it over
 * @param durableIndex how much of it is durable; the caller makes the rest durable without being
 *     asked, and reports DURABLE with ticket 0
 */
public record RaftStart(
    int self,
    long incarnation,
    long term,
    int vote,
    boolean recovering,
    boolean lostDisk,
    boolean machineCrashed,
    Membership membership,
    EntryLog log,
    long durableIndex) {
  /** The start of a replica that has not lost its disk. */
  public RaftStart(
      int self,
      long incarnation,
      long term,
      int vote,
      boolean recovering,
      boolean machineCrashed,
      Membership membership,
      EntryLog log,
      long durableIndex) {
    this(
        self,
        incarnation,
        term,
        vote,
        recovering,
        false,
        machineCrashed,
        membership,
        log,
        durableIndex);
  }

  /** Returns the start of a replica that has nothing. */
  public static RaftStart empty(int self, Membership membership) {
    return new RaftStart(
        self, 1, 0, RaftCore.NO_NODE, false, false, membership, new EntryLog(0, 0, 0), 0);
  }
}
