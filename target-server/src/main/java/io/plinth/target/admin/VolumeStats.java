package io.plinth.target.admin;

import java.util.List;

/**
 * The statistics of one volume.
 *
 * @param name the volume
 * @param operations one entry per kind of operation, in a fixed order, also for kinds that were
 *     never asked for
 */
public record VolumeStats(String name, List<OperationStats> operations) {
  /** Copies the list. */
  public VolumeStats {
    operations = List.copyOf(operations);
  }
}
