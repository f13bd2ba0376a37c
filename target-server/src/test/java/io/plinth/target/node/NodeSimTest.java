package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/**
 * Seeded runs of one node through kills and power cuts; a failure names the seed that repeats it.
 */
class NodeSimTest {
  private static final int SEEDS = 60;
  private static final int STEPS = 600;

  @Test
  void everyGuaranteeHoldsThroughKillsAndPowerCuts() throws Exception {
    for (long seed = 1; seed <= SEEDS; seed++) {
      run(seed, NodeSimulation.PlantedBug.NONE);
    }
  }

  @Test
  void syncsThatMakeNothingDurableAreCaught() throws Exception {
    long caught = 0;
    for (long seed = 1; seed <= SEEDS && caught == 0; seed++) {
      try {
        new NodeSimulation(seed, NodeSimulation.PlantedBug.SKIP_SYNC).run(STEPS);
      } catch (AssertionError | io.plinth.log.recovery.RecoveryException e) {
        caught = seed;
      }
    }
    assertThat(caught).as("the seed that shows the bug").isPositive();
  }

  private static void run(long seed, NodeSimulation.PlantedBug bug) throws Exception {
    try {
      new NodeSimulation(seed, bug).run(STEPS);
    } catch (AssertionError | Exception e) {
      throw new AssertionError("seed " + seed + " with " + STEPS + " steps: " + e.getMessage(), e);
    }
  }
}
