package io.plinth.tools.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.journal.PlantedBug;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each planted bug is caught, by a guarantee that it breaks: the checkers can fail. */
class PlantedBugsSimTest {
  private static final int SEEDS = 200;
  private static final int STEPS = 1500;

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.MATCH_NONE,
      // What needs scrubs, restores and groups with members: see ScrubSimTest, RestoreSimTest and
      // StoreGroupSimTest.
      names = {
        "SCRUB_SKIPS_UNREADABLE",
        "SCRUB_REPORTS_DEAD",
        "RESTORE_FORGETS_UNMAP",
        "APPLY_BEFORE_COMMIT",
        "APPLY_SKIPS_ENTRY",
        "APPLY_TORN_REQUEST",
        "READ_AS_DEPOSED",
        "REPLAY_SKIPS_KEPT",
        "CHECKPOINT_DROPS_KEPT",
        "RESYNC_.*",
        "MEND_TRUSTS_PEER",
        "VERIFY_FREEZES_LATE",
        "TAIL_NOT_REWRITTEN"
      })
  void everyPlantedBugIsCaught(PlantedBug bug) {
    for (long seed = 1; seed <= SEEDS; seed++) {
      try {
        NodeSimulation run = new NodeSimulation(seed, EnumSet.of(bug), null, new LongAdder());
        run.run(STEPS);
      } catch (Violation e) {
        assertThat(guarantees(bug)).as("seed %s: %s", seed, e.getMessage()).contains(e.guarantee());
        return;
      } catch (NullPointerException | IllegalStateException e) {
        // The node trips over a segment that it has given up too early, counts below zero, or takes
        // what is not there for a page.
        assertThat(bug)
            .as("seed %s", seed)
            .isIn(
                PlantedBug.FREE_BEFORE_CHECKPOINT,
                PlantedBug.FREE_BEFORE_DURABLE,
                PlantedBug.LOSE_SNAPSHOT_REFERENCE,
                PlantedBug.DROP_DIRTY_PAGE,
                PlantedBug.DROPPED_READS_AS_UNMAPPED,
                PlantedBug.STALE_PLACE_ON_RELOAD);
        return;
      }
    }
    throw new AssertionError(bug + " was not caught by " + SEEDS + " seeds");
  }

  /** Returns what a bug may break; anything, for one that is not listed. */
  private static Set<Guarantee> guarantees(PlantedBug bug) {
    return switch (bug) {
      case SKIP_FDATASYNC -> EnumSet.of(Guarantee.G2, Guarantee.G6, Guarantee.CATALOGUE);
      case RETRY_FAILED_SYNC -> EnumSet.of(Guarantee.FAIL_STOP);
      case ACK_BEFORE_APPEND -> EnumSet.of(Guarantee.G1, Guarantee.G3);
      case ACK_FUA_EARLY -> EnumSet.of(Guarantee.G2);
      case SPLIT_WRITE -> EnumSet.of(Guarantee.G4);
      case CUT_DURABLE_TAIL ->
          EnumSet.of(Guarantee.G2, Guarantee.G3, Guarantee.CATALOGUE, Guarantee.SETTINGS);
      case FORGET_UNMAP_ON_REPLAY -> EnumSet.of(Guarantee.G2, Guarantee.G3, Guarantee.REPLAY);
      case SKIP_READ_CHECKSUM -> EnumSet.of(Guarantee.G5);
      case SHARE_SYNCED_HEADER ->
          EnumSet.of(Guarantee.G2, Guarantee.G6, Guarantee.CATALOGUE, Guarantee.SETTINGS);
      case KEEP_SHARED_TAIL ->
          EnumSet.of(
              Guarantee.G2, Guarantee.G3, Guarantee.G6, Guarantee.REPLAY, Guarantee.SETTINGS);
      case SETTINGS_BEFORE_DURABLE, CHECKPOINT_FORGETS_SETTINGS -> EnumSet.of(Guarantee.SETTINGS);
      case CHECKPOINT_FORGETS_BASE -> EnumSet.of(Guarantee.G6);
      case KEEP_DELETED_REFERENCES -> EnumSet.of(Guarantee.SPACE);
      default -> EnumSet.allOf(Guarantee.class);
    };
  }
}
