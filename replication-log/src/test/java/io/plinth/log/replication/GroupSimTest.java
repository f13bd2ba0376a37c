package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.plinth.raft.core.AckPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Random runs of a replicated group. {@code -Dplinth.group.seed=N} replays one, {@code
 * -Dplinth.group.seeds=N} runs so many.
 */
@Timeout(600)
class GroupSimTest {
  private static final int MAX_SEEDS = 500;
  private static final int STORMS = 5;
  private static final int GROUPS = 3;
  private static final long STORM_NS = 3_000_000_000L;
  private static final long DURATION_NS = 1_000_000_000L;

  @Test
  void nothingThatWasPromisedIsLost() {
    int first = Integer.getInteger("plinth.group.seed", 1);
    int count =
        System.getProperty("plinth.group.seed") == null
            ? Integer.getInteger("plinth.group.seeds", 8)
            : 1;
    int acknowledgements = 0;
    int flushes = 0;
    int raisedEpochs = 0;
    int powerCuts = 0;
    int reads = 0;
    int rests = 0;
    for (int seed = first; seed < first + count; seed++) {
      GroupSim sim = run(seed, policy(seed), Set.of());
      acknowledgements += sim.sum(check -> check.acknowledgements);
      flushes += sim.sum(check -> check.flushes);
      raisedEpochs += sim.sum(check -> check.raisedEpochs);
      powerCuts += sim.powerCuts;
      reads += sim.sum(GroupCheck::grantedReads);
      rests += sim.sum(check -> check.rests) > 0 ? 1 : 0;
    }
    System.out.printf(
        "%d seeds: %d acknowledged, %d flushes, %d epochs raised, %d power cuts, %d reads, rest in %d%n",
        count, acknowledgements, flushes, raisedEpochs, powerCuts, reads, rests);
    if (count >= 8) {
      assertThat(acknowledgements).isGreaterThan(count * 50);
      assertThat(flushes).isGreaterThan(count);
      assertThat(raisedEpochs).isPositive();
      assertThat(powerCuts).isGreaterThan(count);
      assertThat(reads).isGreaterThan(count * 50);
      assertThat(rests).as("runs with rest among the faults").isGreaterThan(count / 2);
    }
  }

  /** Each mistake is found, or the checks are worth nothing; RaftSimTest finds those of rules. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.MATCH_NONE, names = "RULES_.*")
  void mistakesAreFound(ReplicationBug bug) {
    for (int seed = 1; seed <= MAX_SEEDS; seed++) {
      try {
        if (bug == ReplicationBug.STATE_NOT_SYNCED) {
          storm(seed, Set.of(bug));
        } else if (bug == ReplicationBug.UNCHECKED_READ) {
          CatchUpSim _ = catchUp(seed, Set.of(bug));
        } else {
          GroupSim _ = run(seed, policy(seed), Set.of(bug));
        }
      } catch (GroupSim.Violation e) {
        System.out.printf("%s is found by %s%n", bug, e.getMessage().lines().findFirst().get());
        return;
      }
    }
    fail("%s is not found within %d seeds", bug, MAX_SEEDS);
  }

  @Test
  void nobodyVotesTwiceInAStormOfElections() {
    for (int seed = 1; seed <= Integer.getInteger("plinth.group.storms", STORMS); seed++) {
      storm(seed, Set.of());
    }
  }

  @Test
  void whoWasAwayGetsFromTheDiskWhatWasWrittenAndNothingElse() {
    int first = Integer.getInteger("plinth.group.seed", 1);
    int count =
        System.getProperty("plinth.group.seed") == null
            ? Integer.getInteger("plinth.group.catch-ups", 12)
            : 1;
    long fromDisk = 0;
    long damaged = 0;
    int rotten = 0;
    for (int seed = first; seed < first + count; seed++) {
      CatchUpSim run = catchUp(seed, Set.of());
      fromDisk += run.fromDisk;
      damaged += run.damaged;
      rotten += run.rottenEntries;
      assertThat(run.rottenEntries == 0 && run.damaged > 0).as("damage of seed %d", seed).isFalse();
    }
    System.out.printf(
        "%d seeds: %d entries read for peers, %d rotten, found %d times%n",
        count, fromDisk, rotten, damaged);
    if (count >= 12) {
      assertThat(fromDisk).isGreaterThan(count * 10L);
      assertThat(rotten).isPositive();
      assertThat(damaged).isPositive();
    }
  }

  @Test
  void theSameSeedGivesTheSameRun() {
    for (int seed = 1; seed <= 3; seed++) {
      assertThat(fingerprint(seed)).isEqualTo(fingerprint(seed));
    }
  }

  private static List<Long> fingerprint(int seed) {
    CatchUpSim run = new CatchUpSim(seed, policy(seed), Set.of());
    try {
      run.run();
      List<Long> all = new ArrayList<>(List.of(run.sim.network.nowNs(), run.fromDisk, run.damaged));
      run.sim.nodes.forEach(node -> all.add((long) node.disk.checksum()));
      return all;
    } finally {
      run.sim.free();
    }
  }

  private static CatchUpSim catchUp(int seed, Set<ReplicationBug> bugs) {
    CatchUpSim run = new CatchUpSim(seed, policy(seed), bugs);
    try {
      run.run();
    } finally {
      run.sim.free();
    }
    return run;
  }

  private static void storm(int seed, Set<ReplicationBug> bugs) {
    ElectionStorm storm = new ElectionStorm(seed, policy(seed), bugs);
    try {
      storm.run(STORM_NS);
    } finally {
      storm.sim.free();
    }
  }

  private static AckPolicy policy(int seed) {
    return seed % 2 == 0 ? AckPolicy.APPENDED : AckPolicy.DURABLE;
  }

  private static GroupSim run(int seed, AckPolicy policy, Set<ReplicationBug> bugs) {
    GroupSim sim = new GroupSim(seed, seed % 5 == 0 ? 5 : 3, policy, bugs, 1 << 30, GROUPS);
    try {
      sim.run(DURATION_NS);
    } finally {
      sim.free();
    }
    return sim;
  }
}
