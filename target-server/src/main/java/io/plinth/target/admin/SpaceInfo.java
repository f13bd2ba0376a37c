package io.plinth.target.admin;

/**
 * What a volume or snapshot shares with others.
 *
 * @param uniqueBytes data that only it refers to: deleting it gives that back
 * @param sharedBytes what snapshots or clones refer to as well
 * @param exact whether all of it was counted at one moment; otherwise volumes were changed
 *     meanwhile
 */
public record SpaceInfo(long uniqueBytes, long sharedBytes, boolean exact) {}
