package io.plinth.tools.simulator.check;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What the disk has damaged, named by what it held: the number of the block in its volume and the
 * stamps of its sectors. A stamp is of one write only, so that this finds every volume which reads
 * the block, wherever the log has moved it, and none that has written over it.
 */
public final class DamagedBlocks {
  private final Map<Integer, List<long[]>> stampsByBlock = new HashMap<>();

  /** Judges whether a block may hold something. */
  @FunctionalInterface
  interface Possible {
    boolean mayHold(long[] stamps);
  }

  /** A block with this content was damaged. */
  public void add(int block, long[] stamps) {
    List<long[]> known = stampsByBlock.computeIfAbsent(block, key -> new ArrayList<>());
    if (known.stream().noneMatch(other -> Arrays.equals(other, stamps))) {
      known.add(stamps.clone());
    }
  }

  /** Returns whether something that a block may hold was damaged. */
  boolean anyOf(int block, Possible possible) {
    return stampsByBlock.getOrDefault(block, List.of()).stream().anyMatch(possible::mayHold);
  }
}
