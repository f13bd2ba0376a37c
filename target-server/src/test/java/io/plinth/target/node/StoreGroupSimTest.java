package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.plinth.log.journal.PlantedBug;
import io.plinth.target.forward.ForwardingBug;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Random runs of three nodes that have replicas of the same volumes. {@code -Dplinth.stores.seed=N}
 * replays one, {@code -Dplinth.stores.seeds=N} runs so many.
 */
@Timeout(600)
class StoreGroupSimTest {
  private static final int MAX_SEEDS = 500;
  private static final int SEEDS = 100;
  private static final long DURATION_NS = 1_000_000_000L;

  @Test
  void whatVolumesPromiseHoldsOverThreeNodes() {
    int first = Integer.getInteger("plinth.stores.seed", 1);
    int count =
        System.getProperty("plinth.stores.seed") == null
            ? Integer.getInteger("plinth.stores.seeds", SEEDS)
            : 1;
    long acknowledged = 0;
    long reads = 0;
    long refused = 0;
    long unknown = 0;
    long flushes = 0;
    long powerCuts = 0;
    long checkpoints = 0;
    long cleaned = 0;
    long snapshots = 0;
    long resyncs = 0;
    long wipes = 0;
    long verifies = 0;
    long rotten = 0;
    long mended = 0;
    for (int seed = first; seed < first + count; seed++) {
      StoreGroupSim sim = run(seed, Set.of());
      acknowledged += sim.acknowledged;
      reads += sim.reads;
      refused += sim.refused;
      unknown += sim.unknown;
      flushes += sim.flushes;
      powerCuts += sim.powerCuts;
      checkpoints += sim.checkpoints;
      cleaned += sim.cleaned;
      snapshots += sim.snapshots;
      resyncs += sim.resyncs;
      wipes += sim.wipes;
      verifies += sim.verifies;
      rotten += sim.rotten;
      mended += sim.mended;
    }
    System.out.printf(
        "%d seeds: %d changes acknowledged, %d reads, %d refused, %d of unknown outcome, %d flushes,"
            + " %d snapshots, %d power cuts, %d checkpoints, %d segments cleaned, %d nodes brought up to"
            + " date, %d wiped, %d times all replicas of a volume compared,"
            + " %d blocks rotten, %d mended%n",
        count,
        acknowledged,
        reads,
        refused,
        unknown,
        flushes,
        snapshots,
        powerCuts,
        checkpoints,
        cleaned,
        resyncs,
        wipes,
        verifies,
        rotten,
        mended);
    if (count >= SEEDS) {
      assertThat(acknowledged).isGreaterThan(count * 100L);
      assertThat(reads).isGreaterThan(count * 50L);
      assertThat(refused).isGreaterThan(count);
      assertThat(unknown).isGreaterThan(count);
      assertThat(flushes).isGreaterThan(count);
      assertThat(powerCuts).isGreaterThan(count);
      assertThat(checkpoints).isGreaterThan(count);
      assertThat(cleaned).isPositive();
      assertThat(snapshots).isGreaterThan(count);
      assertThat(resyncs).isGreaterThan(count / 2);
      assertThat(wipes).isGreaterThan(count / 10);
      assertThat(verifies).isGreaterThan(count * 3L);
      assertThat(mended).isGreaterThan(count);
    }
  }

  /** The same for clients of all nodes, also of one that has no replica. */
  @Test
  void whatVolumesPromiseHoldsForClientsOfAnyNode() {
    int first = Integer.getInteger("plinth.stores.seed", 1);
    int count =
        System.getProperty("plinth.stores.seed") == null
            ? Integer.getInteger("plinth.stores.seeds", SEEDS)
            : 1;
    long acknowledged = 0;
    long reads = 0;
    long unknown = 0;
    long flushes = 0;
    long resyncs = 0;
    for (int seed = first; seed < first + count; seed++) {
      StoreGroupSim sim = run(new StoreGroupSim(seed, Set.of(), true, Set.of()));
      assertThat(sim.refused).as("seed %d", seed).isZero();
      acknowledged += sim.acknowledged;
      reads += sim.reads;
      unknown += sim.unknown;
      flushes += sim.flushes;
      resyncs += sim.resyncs;
    }
    System.out.printf(
        "%d seeds through any node: %d changes acknowledged, %d reads, %d of unknown outcome, %d"
            + " flushes, %d nodes brought up to date%n",
        count, acknowledged, reads, unknown, flushes, resyncs);
    if (count >= SEEDS) {
      assertThat(acknowledged).isGreaterThan(count * 100L);
      assertThat(reads).isGreaterThan(count * 50L);
      assertThat(unknown).isGreaterThan(count);
      assertThat(flushes).isGreaterThan(count);
      assertThat(resyncs).isGreaterThan(count / 2);
    }
  }

  /**
   * Mistakes of who forwards are found as well; that of flushes by {@link ForwardTest}, those of
   * fences by clients that go from node to node, as there are in a simulated cluster.
   */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FLUSH_LOST_IS_DONE", "FENCE_NOT_AWAITED", "FENCE_ANSWERED_EARLY", "FENCE_SKIPPED"})
  void mistakesOfForwardingAreFound(ForwardingBug bug) {
    for (int seed = 1; seed <= MAX_SEEDS; seed++) {
      try {
        StoreGroupSim _ = run(new StoreGroupSim(seed, Set.of(), true, EnumSet.of(bug)));
      } catch (StoreGroupSim.Violation e) {
        System.out.printf("%s is found by %s%n", bug, e.getMessage().lines().findFirst().get());
        return;
      }
    }
    fail("%s is not found within %d seeds", bug, MAX_SEEDS);
  }

  /** Each mistake is found, or the checks are worth nothing. */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.INCLUDE,
      names = {
        "APPLY_BEFORE_COMMIT",
        "APPLY_SKIPS_ENTRY",
        "READ_AS_DEPOSED",
        "REPLAY_SKIPS_KEPT",
        "CHECKPOINT_DROPS_KEPT",
        "RESYNC_MISSES_LEAF",
        "RESYNC_BASE_TOO_NEW",
        "RESYNC_BEGINS_EARLY",
        "RESYNC_STAMPS_EARLY",
        "VERIFY_FREEZES_LATE",
        "MEND_TRUSTS_PEER"
      })
  void mistakesAreFound(PlantedBug bug) {
    for (int seed = 1; seed <= MAX_SEEDS; seed++) {
      try {
        StoreGroupSim _ = run(seed, EnumSet.of(bug));
      } catch (StoreGroupSim.Violation e) {
        System.out.printf("%s is found by %s%n", bug, e.getMessage().lines().findFirst().get());
        return;
      }
    }
    fail("%s is not found within %d seeds", bug, MAX_SEEDS);
  }

  private static StoreGroupSim run(int seed, Set<PlantedBug> bugs) {
    return run(new StoreGroupSim(seed, bugs));
  }

  private static StoreGroupSim run(StoreGroupSim sim) {
    try {
      sim.run(DURATION_NS);
    } finally {
      sim.free();
    }
    return sim;
  }
}
