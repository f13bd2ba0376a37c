package io.plinth.target.volume;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * What has changed in a volume since a snapshot: until a later snapshot, or until now. On the
 * volume's core, a bit in each duty cycle, while the volume goes on being written: an answer about
 * now is about some moment of the comparison, for each leaf of the index another one.
 */
public final class VolumeDiff implements BackgroundJob {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Cost of what is compared in one duty cycle: some tens of microseconds. */
  private static final int BUDGET_PER_CYCLE = 512;

  /** After so much work the answer is given as far as it goes. */
  private static final long BUDGET = 4L << 20;

  /**
   * A range that differs.
   *
   * @param zero whether it reads as zeroes now, and no data has to be read
   */
  public record Extent(long offset, long length, boolean zero) {}

  /**
   * The answer.
   *
   * @param sizeBytes the size of the newer state; what the older one had beyond it is not told
   * @param extents in ascending order
   * @param next where to go on, or -1 at the end
   */
  public record Result(long sizeBytes, List<Extent> extents, long next) {}

  private final IndexedVolume from;
  private final IndexedVolume to;
  private final IndexDiff diff;
  private final Consumer<Result> done;
  private long used;

  /**
   * Begins a comparison of two states of one volume.
   *
   * @param offset where to begin, at a multiple of a block
   * @param limit how many extents to tell at most
   * @param done told the answer on the core, or null when one of the two has gone
   */
  public VolumeDiff(
      SnapshotVolume from, IndexedVolume to, long offset, int limit, Consumer<Result> done) {
    this.from = from;
    this.to = to;
    this.done = done;
    this.diff =
        new IndexDiff(
            from.store.space(), from.index(), to.index(), offset / BLOCK, Long.MAX_VALUE, limit);
  }

  @Override
  public boolean step() {
    if (from.isClosed() || to.isClosed()) {
      done.accept(null);
      return true;
    }
    used += diff.step(BUDGET_PER_CYCLE);
    if (!diff.isFinished() && !diff.isFull() && used < BUDGET) {
      return false;
    }
    long size = to.sizeBytes();
    List<Extent> extents = new ArrayList<>();
    for (IndexDiff.Run run : diff.runs()) {
      long offset = run.firstBlock() * BLOCK;
      // The volume may have shrunk meanwhile, and its last block need not be whole.
      long length = Math.min(run.blocks() * BLOCK, size - offset);
      if (length > 0) {
        extents.add(new Extent(offset, length, run.zero()));
      }
    }
    done.accept(new Result(size, extents, diff.isFinished() ? -1 : diff.nextBlock() * BLOCK));
    return true;
  }
}
