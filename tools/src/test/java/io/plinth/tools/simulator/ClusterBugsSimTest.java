package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.fail;

import io.plinth.tools.simulator.cluster.ClusterSimulation;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Mistakes of nodes in a cluster are caught: the checks of its simulation can fail. */
@Timeout(600)
class ClusterBugsSimTest {
  private static final int STEPS = 1000;

  /** Each is caught by one of the first seeds. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "REPLICA_EVERYWHERE",
        "DELETED_REPLICA_STAYS",
        "UNKNOWN_REPLICA_DROPPED",
        "LEAD_MOVE_ANSWERED_EARLY",
        "SETTINGS_NOT_SHOWN",
        "ACK_BEFORE_MAJORITY",
        "DROP_CHECKSUMS",
        "APPLY_SKIPS_ENTRY",
        "REPLAY_SKIPS_KEPT",
        "CHECKPOINT_DROPS_KEPT",
        "RULES_VOTE_FOR_SHORTER_LOG",
        "RULES_CONFLICT_KEPT",
        "RULES_VOTE_TWICE",
        "SKIP_FDATASYNC",
        "ACK_FUA_EARLY",
        "FENCE_NOT_AWAITED",
        "FENCE_SKIPPED",
        "SKIP_READ_CHECKSUM",
        "MEND_TRUSTS_PEER",
        "CUT_DURABLE_TAIL",
        "TAIL_NOT_REWRITTEN"
      })
  void aMistakeIsCaughtSoon(String name) {
    catchBug(3, name, 25);
  }

  @ParameterizedTest
  @ValueSource(strings = {"JOINED_NODES_FORGOTTEN", "JOINING_NODE_PLACED"})
  void aMistakeOfANodeThatJoinsIsCaughtSoon(String name) {
    catchBug(4, name, 25);
  }

  @ParameterizedTest
  @ValueSource(strings = {"RACKS_IGNORED", "OLD_REPLICA_REMOVED_FIRST"})
  void aMistakeOfFiveNodesIsCaughtSoon(String name) {
    catchBug(5, name, 25);
  }

  @ParameterizedTest
  @Tag("long")
  @ValueSource(
      strings = {
        "RULES_COMMIT_BEYOND_MATCH",
        "CATALOGUE_NOT_DURABLE",
        "UNKNOWN_REPLICA_STAYS",
        "ACK_BEFORE_SYNC",
        "READ_AS_DEPOSED",
        "COMMAND_ANSWERED_EARLY",
        "FENCE_ANSWERED_EARLY",
        "IGNORE_BOOT_ID",
        "RESEND_UNKNOWN_WRITE",
        "MEMBER_BEFORE_BEGUN",
        "NEW_NODE_COUNTS"
      })
  void aMistakeIsCaughtWithinFiveHundredSeeds(String name) {
    catchBug(3, name, 500);
  }

  @ParameterizedTest
  @Tag("long")
  @ValueSource(strings = {"DROPPED_WITHOUT_LEAVE", "PROMOTED_BEFORE_CAUGHT_UP"})
  void aMistakeOfFiveNodesIsCaughtWithinFiveHundredSeeds(String name) {
    catchBug(5, name, 500);
  }

  private static void catchBug(int nodes, String name, long seeds) {
    SimulatedBug bug = SimulatedBug.find(name);
    for (long seed = 1; seed <= seeds; seed++) {
      try {
        ClusterSimulation.Result _ =
            new ClusterSimulation(
                    nodes, seed, bug.planted(), bug.clusterBugs(), null, new LongAdder())
                .run(STEPS);
      } catch (RuntimeException e) {
        String what = e.getMessage() == null ? e.toString() : e.getMessage();
        String first = what.substring(0, Math.min(160, what.length()));
        System.out.printf("%s is caught by seed %d of %d nodes: %s%n", name, seed, nodes, first);
        return;
      }
    }
    fail("%s is not caught within %d seeds of %d nodes", name, seeds, nodes);
  }
}
