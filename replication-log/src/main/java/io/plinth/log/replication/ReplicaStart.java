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
  private static final int MAX_INFLIGHT_BYTES = 8 << 20;

  /** What is on its way to a member may come in one frame, and that goes into one batch. */
  private static final int INFLIGHT_PER_SEGMENT = 4;

  /**
   * Returns a start of a group as nodes have them. Appended on a majority is committed; what asks
   * for durability waits for that beside it.
   *
   * @param segmentBytes the size of the segments of all members' logs
   */
  public static ReplicaStart of(RecoveredGroup recovered, boolean clean, int segmentBytes) {
    return of(recovered, clean, segmentBytes, AckPolicy.APPENDED);
  }

  /** Returns the same of a group in which only what is durable on a majority is committed. */
  public static ReplicaStart durable(RecoveredGroup recovered, boolean clean, int segmentBytes) {
    return of(recovered, clean, segmentBytes, AckPolicy.DURABLE);
  }

  private static ReplicaStart of(
      RecoveredGroup recovered, boolean clean, int segmentBytes, AckPolicy policy) {
    int inflightBytes = Math.min(MAX_INFLIGHT_BYTES, segmentBytes / INFLIGHT_PER_SEGMENT);
    return new ReplicaStart(
        new RaftConfig(10, 2, policy, 64, 256, inflightBytes, 1 << 16, 16, 20, 50),
        recovered,
        clean);
  }
}
