package io.plinth.target.volume;

import java.util.function.Consumer;

/** Finds out how much space only one volume or snapshot takes. */
public final class VolumeSpace implements BackgroundJob {
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Cost of what is looked at in one duty cycle: some tens of microseconds. */
  private static final int BUDGET_PER_CYCLE = 256;

  /**
   * The answer.
   *
   * @param mappedBytes what has a place or a claim on space
   * @param uniqueBytes what only this volume or snapshot refers to: deleting it gives that back
   * @param sharedBytes what others refer to as well
   * @param exact whether that is so at one moment; otherwise volumes of the log were changed while
   *     it was counted, and each part is of another moment
   */
  public record Space(long mappedBytes, long uniqueBytes, long sharedBytes, boolean exact) {}

  private final IndexedVolume volume;
  private final SpaceWalk walk;
  private final Consumer<Space> done;

  /**
   * Begins to count.
   *
   * @param done told the answer on the core, or null when the volume has gone
   */
  public VolumeSpace(IndexedVolume volume, Consumer<Space> done) {
    this.volume = volume;
    this.done = done;
    this.walk = new SpaceWalk(volume.store.space(), volume.index());
  }

  @Override
  public boolean step() {
    if (volume.isClosed()) {
      done.accept(null);
      return true;
    }
    walk.step(BUDGET_PER_CYCLE);
    if (!walk.isFinished()) {
      return false;
    }
    long mapped = volume.index().mappedBlocks();
    // Less can only be when it has shrunk meanwhile.
    long unique = Math.min(mapped, walk.unique());
    long shared = Math.max(0, mapped - unique - walk.zeroes());
    done.accept(new Space(mapped * BLOCK, unique * BLOCK, shared * BLOCK, walk.isExact()));
    return true;
  }
}
