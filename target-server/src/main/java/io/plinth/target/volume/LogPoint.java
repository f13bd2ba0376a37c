package io.plinth.target.volume;

/**
 * Where in the log a volume was what a tree says.
 *
 * @param segment the sequence of the segment
 * @param batch the sequence of the batch
 * @param index the volume's own: entries of its group with higher indexes are not part of the tree
 * @param epochMs when that was
 */
public record LogPoint(long segment, long batch, long index, long epochMs) {
  /** When there is none. */
  static final LogPoint NONE = new LogPoint(0, 0, 0, 0);
}
