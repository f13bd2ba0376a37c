package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Random runs of whole groups. {@code -Dplinth.raft.seed=N} runs that one seed, {@code
 * -Dplinth.raft.seeds=N} so many.
 */
class RaftSimTest {
  private static final int SEEDS = Integer.getInteger("plinth.raft.seeds", 300);
  private static final int LENGTH = 20_000;

  @Test
  void whatRaftPromisesHoldsInEveryRun() {
    Long only = Long.getLong("plinth.raft.seed");
    long first = only == null ? 1 : only;
    long last = only == null ? SEEDS : only;
    long commits = 0;
    long reads = 0;
    long raised = 0;
    long rests = 0;
    for (long seed = first; seed <= last; seed++) {
      Cluster cluster = run(seed, Flaw.NONE);
      commits += cluster.commits;
      reads += cluster.grantedReads;
      raised += cluster.raisedEpochs;
      rests += cluster.rests;
    }
    if (only == null) {
      // A run in which nothing happens promises nothing.
      assertThat(commits).isGreaterThan(50L * SEEDS);
      assertThat(reads).isGreaterThan(20L * SEEDS);
      assertThat(raised).isPositive();
      assertThat(rests).as("times that a group was found resting").isGreaterThan(SEEDS / 3);
    }
  }

  @Test
  void whatWasFlushedIsWaitedForWhenADiskIsLost() {
    for (long seed = 1; seed <= SEEDS; seed++) {
      runWithLostDisk(seed, Flaw.NONE);
    }
  }

  @ParameterizedTest
  @EnumSource(value = Flaw.class, mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void everyPlantedFlawIsFound(Flaw flaw) {
    for (long seed = 1; seed <= 500; seed++) {
      try {
        if (flaw == Flaw.LOST_DISK_COUNTS) {
          runWithLostDisk(seed, flaw);
        } else {
          Cluster _ = run(seed, flaw);
        }
      } catch (Cluster.Violation found) {
        assertThat(found).hasMessageContaining("seed " + seed);
        System.out.printf(
            "%s is found by %s%n", flaw, found.getMessage().lines().findFirst().get());
        return;
      }
    }
    fail("500 seeds do not find " + flaw);
  }

  private static void runWithLostDisk(long seed, Flaw flaw) {
    new Cluster(seed, 3, AckPolicy.APPENDED, flaw).runWithLostDisk();
  }

  private static Cluster run(long seed, Flaw flaw) {
    AckPolicy policy = seed % 2 == 0 ? AckPolicy.APPENDED : AckPolicy.DURABLE;
    Cluster cluster = new Cluster(seed, seed % 4 < 2 ? 3 : 5, policy, flaw);
    try {
      cluster.run(LENGTH, seed % 8 > 0);
    } catch (Cluster.Violation e) {
      throw e;
    } catch (RuntimeException e) {
      if (flaw == Flaw.NONE) {
        throw new AssertionError("-Dplinth.raft.seed=" + seed, e);
      }
      throw new Cluster.Violation("seed " + seed + ": " + e);
    }
    return cluster;
  }
}
