package io.plinth.tools.simulator;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.VolumeStore;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Whether what a store counts as it goes is what a walk of its index finds: references to pages,
 * mapped blocks, and what is alive in each segment.
 */
final class IndexCheck implements IndexWalk.Visitor {
  private static final int BLOCK = 4096;

  private final IndexWalk walk;
  private final int blocksPerSegment;
  private final Map<Long, Integer> checksums = new HashMap<>();
  private final int[] data;

  private IndexCheck(VolumeStore store, int segments, int segmentBytes) {
    walk = new IndexWalk("log-0", store);
    blocksPerSegment = segmentBytes / BLOCK;
    data = new int[segments];
  }

  /**
   * Looks at the index of a node's log.
   *
   * @return how many blocks of data are alive
   * @throws Violation when the store has counted otherwise
   */
  static long run(SimNode sim) {
    VolumeStore store = sim.node().store(0);
    IndexCheck check =
        new IndexCheck(store, store.journal().slotCount(), sim.storage().segmentBytes());
    return check.compare();
  }

  private long compare() {
    try {
      walk.run(this);
    } catch (RecoveryException e) {
      throw new Violation(Guarantee.SPACE, e.getMessage());
    }
    for (int slot = 0; slot < data.length; slot++) {
      if (walk.liveData(slot) != data[slot]) {
        throw new Violation(
            Guarantee.SPACE,
            "segment "
                + slot
                + " has "
                + data[slot]
                + " live blocks, the store has counted "
                + walk.liveData(slot));
      }
    }
    return Arrays.stream(data).sum();
  }

  @Override
  public void onData(long place, int checksum) throws RecoveryException {
    Integer before = checksums.putIfAbsent(place, checksum);
    if (before == null) {
      data[(int) (place / blocksPerSegment)]++;
    } else if (before != checksum) {
      throw new RecoveryException("place " + place + " has two checksums in the index");
    }
  }

  @Override
  public void onCheckpoint(long place, int checksum) throws RecoveryException {
    if (checksums.containsKey(place)) {
      throw new RecoveryException("place " + place + " belongs to the checkpoint and to a volume");
    }
  }
}
