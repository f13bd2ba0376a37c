package io.plinth.target.volume;

import io.plinth.log.format.BatchHeader;

/**
 * A moment in the life of a log: everything up to a time, or up to a batch.
 *
 * @param epochMs batches that were sealed in a later millisecond are not part of it; those of this
 *     one are
 * @param batch batches behind this one are not part of it
 */
public record Moment(long epochMs, long batch) {
  /** Returns the moment after all that was written up to a time. */
  public static Moment ofTime(long epochMs) {
    return new Moment(epochMs, Long.MAX_VALUE);
  }

  /** Returns the moment after a batch. */
  public static Moment ofPosition(long batch) {
    return new Moment(Long.MAX_VALUE, batch);
  }

  boolean includes(BatchHeader header) {
    return header.epochMs() <= epochMs && header.sequence() <= batch;
  }

  boolean includes(LogPoint point) {
    return point.epochMs() <= epochMs && point.batch() <= batch;
  }
}
