package io.plinth.tools.simulator.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.target.node.ClusterBugs;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Seeded runs of whole nodes as a cluster through the faults that it must survive; a failure names
 * the line that repeats it.
 */
@Timeout(300)
class ClusterSimTest {
  private static final int SEEDS = 30;
  private static final int SEEDS_OF_FIVE = 6;
  private static final int SEEDS_OF_MOVES = 25;
  private static final int STEPS = 1000;

  @Test
  void everyGuaranteeHoldsThroughFaults() {
    Set<String> met = new TreeSet<>();
    long commands = 0;
    long joins = 0;
    for (long seed = 1; seed <= SEEDS; seed++) {
      ClusterSimulation.Result result = run(3, seed);
      met.addAll(result.faults().keySet());
      commands += result.commands();
      joins += result.joins();
      assertThat(result.operations()).as("seed %s", seed).isPositive();
    }
    for (long seed = 1; seed <= SEEDS_OF_FIVE; seed++) {
      met.addAll(run(5, seed).faults().keySet());
    }
    Set<String> all = new TreeSet<>();
    for (ClusterFault fault : ClusterFault.values()) {
      // It needs five nodes that are all well, and is met by one run in forty.
      if (fault != ClusterFault.MEMBERS_POWER_CUT) {
        all.add(fault.label());
      }
    }
    assertThat(met).as("faults that were met").containsAll(all);
    assertThat(commands).isGreaterThan(SEEDS * 5L);
    assertThat(joins).as("more than those of new clusters").isGreaterThan(SEEDS * 3L);
  }

  /** Nodes are drained, removed, replaced, taken back, and left alone until they are given up. */
  @ParameterizedTest
  @ValueSource(ints = {4, 5})
  void replicasMoveThroughFaults(int nodes) {
    long moved = 0;
    for (long seed = 101; seed <= 100 + SEEDS_OF_MOVES; seed++) {
      moved += run(nodes, seed).moved();
    }
    assertThat(moved).as("moves of replicas").isGreaterThan(SEEDS_OF_MOVES);
  }

  /** Nodes that were away for longer than what is kept. */
  @ParameterizedTest
  @ValueSource(longs = {103, 140, 219})
  void replicasAreBroughtUpToDate(long seed) {
    assertThat(run(3, seed).resyncs()).isPositive();
  }

  @Test
  void aSeedRepeatsItself() {
    for (long seed = 1; seed <= 3; seed++) {
      ClusterSimulation.Result first = run(3, seed);
      assertThat(run(3, seed)).as("operations, faults and digest").isEqualTo(first);
    }
  }

  @Test
  void seedsDiffer() {
    assertThat(run(3, 1).digest()).isNotEqualTo(run(3, 2).digest());
  }

  private static ClusterSimulation.Result run(int nodes, long seed) {
    try {
      return new ClusterSimulation(nodes, seed, Set.of(), ClusterBugs.NONE, null, new LongAdder())
          .run(STEPS);
    } catch (RuntimeException e) {
      throw new AssertionError(
          "scripts/simulate --nodes "
              + nodes
              + " --seed "
              + seed
              + " --steps "
              + STEPS
              + ": "
              + e.getMessage(),
          e);
    }
  }
}
