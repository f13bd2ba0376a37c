package io.plinth.log.recovery;

import java.util.List;
import java.util.Map;

/**
 * Where a log goes on, and what was found.
 *
 * @param older segments from before the checkpoint, in no order; sequence 0 where the header is not
 *     there
 * @param segments the segments from the checkpoint on, in order; empty for a new log
 * @param endOffset where the next batch goes in the last segment, in bytes
 * @param nextSequence the sequence of the next batch
 * @param chainCrc the checksum that the next batch names as its predecessor's
 * @param durableSequence the newest batch known to be durable before this start
 * @param batches how many batches were accepted
 * @param records how many records they hold
 * @param tornBytes length of what was cut, as far as it could be told; zero when the log simply
 *     ended
 * @param rottenBlocks payload blocks of the unsynced tail that do not match their checksums
 * @param decisions how often each row of the decision table was hit
 */
public record RecoveredLog(
    List<Segment> older,
    List<Segment> segments,
    int endOffset,
    long nextSequence,
    int chainCrc,
    long durableSequence,
    long batches,
    long records,
    long tornBytes,
    long rottenBlocks,
    Map<RecoveryDecision, Long> decisions) {

  /**
   * One segment.
   *
   * @param slot its slot
   * @param sequence its place in the order of segments
   * @param firstBatch the sequence of its first batch, and
   * @param previousCrc the checksum that this one continues; as its header has them
   * @param usedBytes how much of it holds batches
   */
  public record Segment(int slot, long sequence, long firstBatch, int previousCrc, int usedBytes) {}
}
