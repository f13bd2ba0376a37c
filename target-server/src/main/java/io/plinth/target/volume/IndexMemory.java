package io.plinth.target.volume;

/**
 * What the pages of the indexes of a log take.
 *
 * @param pageBytes of those in memory
 * @param droppedBytes of those that are not in memory now
 * @param drops how often one was dropped since the start
 * @param reads how often one was read again
 * @param failedReads how often that failed
 */
public record IndexMemory(
    long pageBytes, long droppedBytes, long drops, long reads, long failedReads) {}
