package io.plinth.tools.simulator;

import io.plinth.engine.sim.Fault;
import io.plinth.engine.sim.SimRandom;
import java.util.EnumSet;
import java.util.Set;

/**
 * Which faults a run meets: only what the guarantees promise to survive together.
 *
 * <ul>
 *   <li>Crashes of the process, power cuts and slow devices go with everything that leaves the log
 *       usable.
 *   <li>Damage (bit rot, read errors, misdirected writes) hits payload that the log itself says is
 *       durable. Above that position rot can't be told from a torn tail once the machine has lost
 *       power too, and nothing is promised for both at once on a single copy.
 *   <li>Header rot hits one durable header at a time: the next one to be lost might be the one that
 *       says that the first was durable. The node must refuse to start; then the bit is flipped
 *       back, as from a copy of the disk, and the node must start.
 *   <li>A full disk goes with everything; it lasts until the log is made anew or space is given.
 *   <li>A failed sync comes last: after it only reads are promised, and the kernel has forgotten
 *       which pages it could not write, so that a new start promises nothing.
 *   <li>Nothing damages the superblock in both copies, and nothing damages the memory of the
 *       process.
 * </ul>
 */
final class FaultAtlas {
  private final Set<Fault> kinds = EnumSet.noneOf(Fault.class);

  private FaultAtlas() {}

  /** Chooses what the run of a seed meets. */
  static FaultAtlas choose(SimRandom random) {
    FaultAtlas atlas = new FaultAtlas();
    atlas.include(Fault.PROCESS_CRASH, !random.oneIn(4));
    atlas.include(Fault.POWER_CUT, !random.oneIn(4));
    atlas.include(Fault.BIT_ROT, random.oneIn(2));
    atlas.include(Fault.READ_ERROR, random.oneIn(3));
    atlas.include(Fault.MISDIRECTED_WRITE, random.oneIn(4));
    atlas.include(Fault.HEADER_ROT, random.oneIn(3));
    atlas.include(Fault.FULL_DISK, random.oneIn(4));
    atlas.include(Fault.SLOW_SYNC, random.oneIn(3));
    atlas.include(Fault.SLOW_READ, random.oneIn(3));
    atlas.include(Fault.FAILED_SYNC, random.oneIn(5));
    return atlas;
  }

  /** Returns whether the run meets a kind of fault. */
  boolean has(Fault fault) {
    return kinds.contains(fault);
  }

  @Override
  public String toString() {
    return kinds.toString();
  }

  private void include(Fault fault, boolean chosen) {
    if (chosen) {
      kinds.add(fault);
    }
  }
}
