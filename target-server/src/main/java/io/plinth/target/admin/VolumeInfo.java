package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;

/**
 * One volume as a person sees it.
 *
 * @param name its name
 * @param id its identity in the log, never used again after the volume is deleted
 * @param sizeBytes the size that clients see
 * @param mappedBytes the part that has space, shared with snapshots and clones or not
 * @param snapshots how many there are of it
 * @param connections clients attached now
 * @param flushPolicy what its acks mean
 * @param core the index of the core that owns it
 * @param epoch changes of its leader that clients have seen
 * @param corruptReads reads failed with EIO since the start because a checksum did not match
 * @param history how far back it can be restored; null when the log tells nothing of it any more
 * @param space what it shares; null unless asked for, because that is counted first
 */
public record VolumeInfo(
    String name,
    long id,
    long sizeBytes,
    long mappedBytes,
    int snapshots,
    int connections,
    FlushPolicy flushPolicy,
    int core,
    long epoch,
    long corruptReads,
    HistoryInfo history,
    SpaceInfo space) {}
