package io.plinth.tools.simulator;

import io.plinth.tools.simulator.check.Change;
import io.plinth.tools.simulator.check.PendingRead;
import io.plinth.tools.simulator.check.VolumeModel;

/** A request that is on its way, and what the model expects of it. */
sealed interface Flight {
  SimVolume volume();

  SimRequest request();

  /** A WRITE, WRITE_ZEROES or TRIM. */
  record OfChange(SimVolume volume, SimRequest request, Change change, boolean mustSucceed)
      implements Flight {}

  /**
   * A READ.
   *
   * @param takenAt the step before which the client does not look at the data, which is on loan
   */
  record OfRead(SimVolume volume, SimRequest request, PendingRead read, long takenAt)
      implements Flight {}

  /** A FLUSH. */
  record OfFlush(SimVolume volume, SimRequest request, VolumeModel.Flush flush) implements Flight {}
}
