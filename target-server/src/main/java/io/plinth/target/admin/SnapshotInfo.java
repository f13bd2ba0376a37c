package io.plinth.target.admin;

/**
 * One snapshot of a volume as a person sees it.
 *
 * @param name its name within the volume; clients open it as {@code volume@name}
 * @param createdMs when it was taken, in milliseconds since the Unix epoch
 * @param sizeBytes the size that the volume had
 * @param mappedBytes the part that has space, shared with the volume or not
 * @param connections clients attached to it now
 * @param space what it shares; null unless asked for, because that is counted first
 */
public record SnapshotInfo(
    String name,
    long createdMs,
    long sizeBytes,
    long mappedBytes,
    int connections,
    SpaceInfo space) {}
