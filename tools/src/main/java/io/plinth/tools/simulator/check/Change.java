package io.plinth.tools.simulator.check;

/**
 * A request that changes a range of sectors, as the model sees it: between its beginning and its
 * end the sectors may read as before or as after.
 */
public final class Change {
  /** What the sectors read as afterwards, and whether all of them must change together. */
  public enum Kind {
    /** The sectors read as the change's stamp. */
    WRITE,
    /** The sectors read as zeroes. */
    ZERO,
    /** The sectors read as zeroes; a crash may leave some of them as they were. */
    TRIM
  }

  final Kind kind;
  final int first;
  final int count;
  final long version;
  final boolean durable;
  boolean mayFail;

  /**
   * Creates a change.
   *
   * @param version identity of the change, positive; the stamp of a WRITE
   * @param durable whether its acknowledgement promises that it survives the loss of power
   * @param mayFail whether it must read damaged blocks, and so may fail with EIO
   */
  Change(Kind kind, int first, int count, long version, boolean durable, boolean mayFail) {
    this.kind = kind;
    this.first = first;
    this.count = count;
    this.version = version;
    this.durable = durable;
    this.mayFail = mayFail;
  }

  /** Returns whether damage to the disk excuses a failure with EIO. */
  public boolean mayFail() {
    return mayFail;
  }

  /** Returns whether the acknowledgement promises that the change survives the loss of power. */
  public boolean isDurable() {
    return durable;
  }

  boolean touches(int block) {
    int start = block * VolumeModel.SECTORS_PER_BLOCK;
    return first < start + VolumeModel.SECTORS_PER_BLOCK && first + count > start;
  }
}
