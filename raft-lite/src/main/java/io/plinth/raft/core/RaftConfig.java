package io.plinth.raft.core;

/**
 * What the members of a group agree on.
 *
 * @param electionTicks a follower that hears from no leader for so long (and up to as long again,
 *     by chance) asks for an election, and no replica votes earlier; at least 4
 * @param heartbeatTicks a leader is heard at least so often; less than half of electionTicks
 * @param ackPolicy which position counts for the commit
 * @param maxEntriesPerMessage how many entries one APPEND carries at most
 * @param maxInflightEntries how many entries are on the way to one peer at most
 * @param maxInflightBytes how many bytes of payload are on the way to one peer; one entry may
 *     always be
 * @param maxUncommittedEntries how many entries of the leader may wait for their commit
 * @param maxPendingReads how many reads may wait for a round of heartbeats
 * @param leaseDriftPercent how much faster than another's the ticks of any member come at most;
 *     reads under a lease are right only while that is true. 100: no leases
 * @param quietTicks after so many ticks in which nothing was proposed or read the group goes quiet,
 *     if the caller watches nodes: see {@link RaftCore#onNode}; 0: never
 */
public record RaftConfig(
    int electionTicks,
    int heartbeatTicks,
    AckPolicy ackPolicy,
    int maxEntriesPerMessage,
    int maxInflightEntries,
    long maxInflightBytes,
    int maxUncommittedEntries,
    int maxPendingReads,
    int leaseDriftPercent,
    int quietTicks) {
  /** Checks the limits. */
  public RaftConfig {
    require(electionTicks >= 4, "electionTicks", electionTicks);
    require(
        heartbeatTicks >= 1 && heartbeatTicks * 2L < electionTicks,
        "heartbeatTicks",
        heartbeatTicks);
    require(maxEntriesPerMessage >= 1, "maxEntriesPerMessage", maxEntriesPerMessage);
    require(maxInflightEntries >= 1, "maxInflightEntries", maxInflightEntries);
    require(maxInflightBytes >= 1, "maxInflightBytes", maxInflightBytes);
    require(maxUncommittedEntries >= 1, "maxUncommittedEntries", maxUncommittedEntries);
    require(maxPendingReads >= 1, "maxPendingReads", maxPendingReads);
    require(
        leaseDriftPercent >= 0 && leaseDriftPercent <= 100, "leaseDriftPercent", leaseDriftPercent);
    require(quietTicks >= 0, "quietTicks", quietTicks);
  }

  /** Creates the configuration of a group that never goes quiet. */
  public RaftConfig(
      int electionTicks,
      int heartbeatTicks,
      AckPolicy ackPolicy,
      int maxEntriesPerMessage,
      int maxInflightEntries,
      long maxInflightBytes,
      int maxUncommittedEntries,
      int maxPendingReads,
      int leaseDriftPercent) {
    this(
        electionTicks,
        heartbeatTicks,
        ackPolicy,
        maxEntriesPerMessage,
        maxInflightEntries,
        maxInflightBytes,
        maxUncommittedEntries,
        maxPendingReads,
        leaseDriftPercent,
        0);
  }

  /** Returns the same configuration for a group that goes quiet. */
  public RaftConfig withQuietTicks(int ticks) {
    return new RaftConfig(
        electionTicks,
        heartbeatTicks,
        ackPolicy,
        maxEntriesPerMessage,
        maxInflightEntries,
        maxInflightBytes,
        maxUncommittedEntries,
        maxPendingReads,
        leaseDriftPercent,
        ticks);
  }

  /** Returns a configuration that suits tests and small groups. */
  public static RaftConfig defaults(AckPolicy ackPolicy) {
    return new RaftConfig(10, 2, ackPolicy, 64, 256, 8L << 20, 1024, 256, 20);
  }

  private static void require(boolean holds, String name, long value) {
    if (!holds) {
      throw new IllegalArgumentException(name + "=" + value);
    }
  }

  /**
   * Returns how many ticks after it was sent a heartbeat that a majority answered lets the leader
   * read. A follower's promise begins and ends anywhere between two ticks, and so does the leader's
   * count: one tick is taken off for each.
   */
  int leaseTicks() {
    return (electionTicks - 1) * (100 - leaseDriftPercent) / 100 - 1;
  }
}
