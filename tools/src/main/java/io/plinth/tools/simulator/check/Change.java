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

  /** Whether it found damage when it began that excuses a failure with EIO. */
  boolean mayFail;

  /**
   * Creates a change.
   *
   * @param version identity of the change, positive; the stamp of a WRITE
   * @param durable whether its acknowledgement promises that it survives the loss of power
   */
  Change(Kind kind, int first, int count, long version, boolean durable) {
    this.kind = kind;
    this.first = first;
    this.count = count;
    this.version = version;
    this.durable = durable;
  }

  /** Returns whether the acknowledgement promises that the change survives the loss of power. */
  public boolean isDurable() {
    return durable;
  }
}
