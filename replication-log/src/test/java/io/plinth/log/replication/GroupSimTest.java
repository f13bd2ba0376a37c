package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.raft.core.AckPolicy;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Random runs of a replicated group. {@code -Dplinth.group.seed=N} replays one, {@code
 * -Dplinth.group.seeds=N} runs so many.
 */
class GroupSimTest {
  private static final long DURATION_NS = 2_000_000_000L;

  @Test
  void nothingThatWasPromisedIsLost() {
    int first = Integer.getInteger("plinth.group.seed", 1);
    int count =
        System.getProperty("plinth.group.seed") == null
            ? Integer.getInteger("plinth.group.seeds", 40)
            : 1;
    int acknowledgements = 0;
    int flushes = 0;
    int raisedEpochs = 0;
    int powerCuts = 0;
    for (int seed = first; seed < first + count; seed++) {
      GroupSim sim = run(seed, policy(seed), Set.of());
      acknowledgements += sim.acknowledgements;
      flushes += sim.flushes;
      raisedEpochs += sim.raisedEpochs;
      powerCuts += sim.powerCuts;
    }
    System.out.printf(
        "%d seeds: %d acknowledged, %d flushes, %d epochs raised, %d power cuts%n",
        count, acknowledgements, flushes, raisedEpochs, powerCuts);
    if (count >= 40) {
      assertThat(acknowledgements).isGreaterThan(count * 50);
      assertThat(flushes).isGreaterThan(count);
      assertThat(raisedEpochs).isPositive();
      assertThat(powerCuts).isGreaterThan(count);
    }
  }

  private static AckPolicy policy(int seed) {
    return seed % 2 == 0 ? AckPolicy.APPENDED : AckPolicy.DURABLE;
  }

  private static GroupSim run(int seed, AckPolicy policy, Set<ReplicationBug> bugs) {
    GroupSim sim = new GroupSim(seed, seed % 5 == 0 ? 5 : 3, policy, bugs);
    try {
      sim.run(DURATION_NS);
    } finally {
      sim.free();
    }
    return sim;
  }
}
