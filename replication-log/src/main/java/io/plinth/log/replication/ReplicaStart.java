package io.plinth.log.replication;

import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.RaftConfig;

/**
 * What a replica begins with.
 *
 * @param config what the members of the group agree on
 * @param recovered what the log holds of the group, which the replica takes over
 * @param clean whether the log was closed in order: then nothing of it can be lost
 */
public record ReplicaStart(RaftConfig config, RecoveredGroup recovered, boolean clean) {
  /** Appended on a majority is committed; what asks for durability waits for that beside it. */
  private static final RaftConfig DEFAULT =
      new RaftConfig(10, 2, AckPolicy.APPENDED, 64, 256, 8L << 20, 1 << 16, 16, 20, 50);

  /** Returns a start of a group as nodes have them. */
  public static ReplicaStart of(RecoveredGroup recovered, boolean clean) {
    return new ReplicaStart(DEFAULT, recovered, clean);
  }
}
