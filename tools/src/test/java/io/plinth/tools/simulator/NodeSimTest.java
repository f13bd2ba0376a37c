package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.Fault;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Test;

/**
 * Seeded runs of one node through the faults that it must survive; a failure names the line that
 * repeats it.
 */
class NodeSimTest {
  private static final int SEEDS = 100;
  private static final int STEPS = 600;

  @Test
  void everyGuaranteeHoldsThroughFaults() {
    Set<Fault> met = EnumSet.noneOf(Fault.class);
    for (long seed = 1; seed <= SEEDS; seed++) {
      met.addAll(run(seed).faults().keySet());
    }
    assertThat(met).as("faults that were met").containsExactlyInAnyOrder(Fault.values());
  }

  @Test
  void aSeedRepeatsItself() {
    for (long seed = 1; seed <= 5; seed++) {
      NodeSimulation.Result first = run(seed);
      assertThat(first.operations()).isPositive();
      assertThat(run(seed)).as("operations, faults and digest").isEqualTo(first);
    }
  }

  @Test
  void seedsDiffer() {
    assertThat(run(1).digest()).isNotEqualTo(run(2).digest());
  }

  private static NodeSimulation.Result run(long seed) {
    try {
      return new NodeSimulation(seed, Set.of(), null, new LongAdder()).run(STEPS);
    } catch (RuntimeException e) {
      throw new AssertionError(
          "scripts/simulate --seed " + seed + " --steps " + STEPS + ": " + e.getMessage(), e);
    }
  }
}
