package io.plinth.log.replication;

import io.plinth.raft.core.RaftConfig;

/**
 * What a replica begins with.
 *
 * @param config what the members of the group agree on
 * @param recovered what the log holds of the group, which the replica takes over
 * @param clean whether the log was closed in order: then nothing of it can be lost
 */
public record ReplicaStart(RaftConfig config, RecoveredGroup recovered, boolean clean) {}
