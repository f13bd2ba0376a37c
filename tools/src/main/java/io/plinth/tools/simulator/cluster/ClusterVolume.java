package io.plinth.tools.simulator.cluster;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.CellHistory;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** What clients and administrators know of a volume: what may be found of it in the end. */
final class ClusterVolume {
  /** Clients use so much of it, whatever its size is. */
  static final int CELLS = 160;

  static final long LEAST_BYTES = (long) CELLS * CellHistory.CELL_BYTES;
  static final long MOST_BYTES = LEAST_BYTES + 40L * Volume.BLOCK_BYTES;

  /** What a block held that was damaged on some disk. */
  private record Damage(long block, long first, long second) {}

  private final Set<Damage> damage = new HashSet<>();

  /** Whether a volume, or a snapshot, is there. */
  enum Presence {
    /** Its creation was acknowledged. */
    CERTAIN,
    /** A command that makes or ends it was not answered, or by somebody who does not know. */
    POSSIBLE,
    /** It never was, or its deletion was acknowledged. */
    NONE
  }

  final String name;
  final FlushPolicy policy;
  final int replicas;
  final CellHistory history = new CellHistory(CELLS);
  final Map<String, Presence> snapshots = new TreeMap<>();

  /** What its size, and its description, may be. */
  final Set<Long> sizes = new TreeSet<>();

  final Set<String> descriptions = new TreeSet<>();

  Presence presence = Presence.POSSIBLE;

  /** It is being deleted, or was: clients may be refused anything. */
  boolean isGoing;

  /** A command is on its way. */
  boolean isBusy;

  /** The nodes that have replicas, as was seen last; none as long as that is not known. */
  List<Integer> members = List.of();

  /** Replicas may be on their way, or were and nobody has looked since: it is not certain where. */
  boolean mayMove;

  /** When something that was acknowledged may have been lost, as nothing protected it. */
  long lossNs = -1;

  /** When a node that has, or may have, a replica had no room last. */
  long fullNs = -1;

  /** When the log of the only node with a replica had failed last. */
  long failedNs = -1;

  /** When all machines with replicas have lost power at once. */
  long allLostNs = -1;

  ClusterVolume(String name, FlushPolicy policy, int replicas) {
    this.name = name;
    this.policy = policy;
    this.replicas = replicas;
  }

  /** A block with these values was damaged on a disk. */
  void damaged(long block, long first, long second) {
    damage.add(new Damage(block, first, second));
  }

  /** Returns whether something that cells may hold was damaged. */
  boolean mayBeDamaged(int firstCell, int cells, long beginNs) {
    for (Damage one : damage) {
      int cell = (int) one.block * 2;
      if (cell + 1 >= firstCell
          && cell < firstCell + cells
          && history.mayHold(cell, one.first, beginNs)
          && history.mayHold(cell + 1, one.second, beginNs)) {
        return true;
      }
    }
    return false;
  }

  boolean isAlwaysDurable() {
    return policy == FlushPolicy.ALWAYS;
  }

  /** Returns whether clients may use it. */
  boolean isUsable() {
    return presence == Presence.CERTAIN && !isGoing;
  }

  /** More power was lost at a moment than unflushed data survives. */
  void powerLost(long nowNs) {
    history.powerLost();
    lossNs = nowNs;
  }
}
