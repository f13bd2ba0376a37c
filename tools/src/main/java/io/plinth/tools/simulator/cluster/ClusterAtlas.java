package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimRandom;
import java.util.EnumSet;
import java.util.Set;

/**
 * Which faults a run meets: only what the guarantees promise to survive together.
 *
 * <ul>
 *   <li>Crashes of processes, pauses and what networks do go with everything.
 *   <li>One machine loses power only while all others have all that they promised, and so does a
 *       machine that is replaced: a majority of each group keeps what is not durable. What only
 *       that machine has may be lost with its power.
 *   <li>All machines may lose power at once, also while a disk is new. The network heals with that,
 *       and nothing more happens until all nodes are well: who can't be reached while the most
 *       complete log is looked for may have it.
 *   <li>Damage to durable payload (bit rot, read errors, misdirected writes) hits the disks of one
 *       node, and only what a majority of each group has durably on other nodes. It does not go
 *       with replaced machines: a new disk has what it was given since in its page cache, and with
 *       the power of all what was damaged would be lost.
 *   <li>A disk is full while nothing else says so: it goes with everything, but for nodes that are
 *       new. A sync fails while all other nodes are well: what only that one has promised may be
 *       lost with its power.
 *   <li>A rotten header is there when a node starts. If it refuses to, the header is mended.
 *   <li>With replaced machines there are no volumes of one replica: nobody could bring them back.
 *       Logs are large then, so that what a new disk lacks is kept.
 * </ul>
 */
final class ClusterAtlas {
  private final Set<ClusterFault> kinds = EnumSet.noneOf(ClusterFault.class);

  private ClusterAtlas() {}

  static ClusterAtlas choose(SimRandom random) {
    ClusterAtlas atlas = new ClusterAtlas();
    for (ClusterFault fault : ClusterFault.values()) {
      boolean rare =
          fault == ClusterFault.WIPE || fault == ClusterFault.SLOW_WAY || fault.isDamage();
      if (random.nextInt(12) < (rare ? 4 : 8)) {
        atlas.kinds.add(fault);
      }
    }
    if (atlas.has(ClusterFault.WIPE)) {
      atlas.kinds.removeIf(ClusterFault::isDamage);
    }
    return atlas;
  }

  boolean has(ClusterFault fault) {
    return kinds.contains(fault);
  }

  @Override
  public String toString() {
    return kinds.toString();
  }
}
