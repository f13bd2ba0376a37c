package io.plinth.target.node;

import io.plinth.target.volume.IndexMemory;

/**
 * How full a log is, and what was done about it since the start.
 *
 * @param core the core that owns it
 * @param segmentBytes the size of a segment
 * @param segmentsInUse segments that hold records
 * @param spareSegments segments that have a file and hold none
 * @param availableSegments segments that could be begun after the one being written
 * @param liveBlocks blocks that an index refers to, or that belong to the checkpoint
 * @param writtenBlocks blocks of clients' data that were appended
 * @param appendedBlocks all blocks that were appended: headers, checkpoints and moved blocks too
 * @param checkpoints how many became durable
 * @param cleanedSegments how many segments the cleaner has emptied
 * @param movedBlocks how many blocks it has moved for that
 * @param memoryWaits how often appends had to wait for memory of the segment that is written
 * @param segmentWaits how often they had to wait for the next segment
 * @param indexBytes memory that the index takes
 * @param index what its pages take of that, and what became of others
 */
public record LogStatistics(
    int core,
    int segmentBytes,
    int segmentsInUse,
    int spareSegments,
    int availableSegments,
    long liveBlocks,
    long writtenBlocks,
    long appendedBlocks,
    long checkpoints,
    long cleanedSegments,
    long movedBlocks,
    long memoryWaits,
    long segmentWaits,
    long indexBytes,
    IndexMemory index) {}
