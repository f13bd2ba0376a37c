package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.wire.EntryBody;
import io.plinth.raft.core.AckPolicy;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A peer that was away while what it lacks has left memory. */
@Timeout(60)
class CatchUpTest {
  private static final int SEGMENT_BYTES = 1 << 19;
  private static final long MS = 1_000_000;

  private final GroupSim sim = new GroupSim(10, 3, AckPolicy.APPENDED, Set.of(), SEGMENT_BYTES);
  private final EntryBody body = new EntryBody();
  private GroupNode leader;
  private GroupNode away;
  private GroupNode other;

  @AfterEach
  void free() {
    sim.free();
  }

  private void await(BooleanSupplier condition) {
    assertThat(sim.runUntil(condition, 5_000 * MS)).as(sim.describe()).isTrue();
  }

  /** Lets one be away until half of what it lacks is not in memory any more. */
  private void letOneBeAway() {
    sim.calmDown();
    await(() -> sim.leader() != null && sim.leader().replica.committedIndex() > 0);
    leader = sim.leader();
    away = sim.nodes.get(leader.number % 3);
    other = sim.nodes.get((leader.number + 1) % 3);
    await(() -> away.replica != null && away.replica.isRunning());
    long lacked = away.replica.lastIndex() + 1;
    away.kill();
    await(() -> {
      sim.propose();
      long middle = (lacked + leader.replica.lastIndex()) / 2;
      return leader.journal.segmentsInUse() >= 4
          && !leader.isInMemory(middle, body)
          && !other.isInMemory(middle, body);
    });
    await(() -> leader.replica.committedIndex() == leader.replica.lastIndex());
  }

  private boolean hasAll(GroupNode node) {
    return node.replica != null && node.replica.lastIndex() == sim.leader().replica.lastIndex();
  }

  @Test
  void whoIsFarBehindDelaysNobodyElse() {
    letOneBeAway();
    leader.storage.slowReads((int) (300 * MS));
    sim.start(away);
    await(() -> away.replica != null && leader.replicator.isConnected(away.number));
    await(() -> leader.replicator.entriesFromDisk() > 0);

    for (int i = 0; i < 30; i++) {
      long index = leader.write(1_000_000 + i, 1);
      assertThat(index).isPositive();
      assertThat(sim.runUntil(() -> leader.replica.committedIndex() >= index, 3 * MS))
          .as("write %d is committed in time", i)
          .isTrue();
    }
    assertThat(away.replica.lastIndex())
        .as("it has all the time been behind")
        .isLessThan(leader.replica.lastIndex() - 100);

    leader.storage.slowReads(0);
    await(() -> hasAll(away));
    assertThat(leader.replicator.damagedEntries()).isZero();
    sim.finish();
  }

  @Test
  void theMemoryOfTheWindowIsBoundedAndGivenBack() {
    letOneBeAway();
    sim.start(away);
    long[] most = new long[1];
    await(() -> {
      most[0] = Math.max(most[0], leader.replicator.readAheadBytes());
      return hasAll(away);
    });
    assertThat(most[0]).isBetween(1L, (long) ReadWindow.WINDOW_BYTES);
    await(() -> leader.replicator.readAheadBytes() == 0);
  }

  /** A follower writes what comes in one frame as one batch, whose header takes some blocks. */
  @Test
  void whatWasWrittenByAFollowerIsReadToo() {
    letOneBeAway();
    assertThat(leader.replica.transferLeadership(other.number)).isTrue();
    await(() -> sim.leader() == other && other.replica.committedIndex() > 0);
    sim.start(away);
    await(() -> hasAll(away));
    assertThat(other.replicator.entriesFromDisk()).isPositive();
    assertThat(other.replicator.damagedEntries()).isZero();
    sim.finish();
  }

  @Test
  void aSegmentThatTheLogHasGivenUpIsReportedAndNothingIsSent() {
    letOneBeAway();
    long gone = away.found.lastIndex() + leader.replica.lastIndex() / 3;
    while (leader.isInMemory(gone, body)) {
      gone--;
    }
    sim.isDamaged = true;
    leader.journal.free((int) (body.position / SEGMENT_BYTES));
    sim.start(away);
    await(() -> leader.replicator.damagedEntries() > 0);
    assertThat(away.replica.lastIndex()).isLessThan(leader.replica.lastIndex());
    long index = leader.write(1_000_000, 1);
    await(() -> leader.replica.committedIndex() >= index);
  }

  /**
   * What is damaged stays here, and the peer needs the state beside the log; all else goes on, and
   * the peer too once it is mended.
   */
  @Test
  void whatIsDamagedIsReportedAndNotSent() {
    letOneBeAway();
    long lacked = sim.leader().replica.lastIndex() / 3;
    while (leader.isInMemory(lacked, body)) {
      lacked--;
    }
    long damaged = lacked;
    sim.isDamaged = true;
    GroupNode.Bit bit = leader.rot(damaged);
    sim.start(away);
    await(() -> leader.replicator.damagedEntries() > 0);
    assertThat(away.replica.lastIndex()).isEqualTo(damaged - 1);
    long index = leader.write(1_000_000, 1);
    await(() -> leader.replica.committedIndex() >= index);
    assertThat(away.replica.lastIndex()).isEqualTo(damaged - 1);
    assertThat(leader.replicator.isConnected(away.number)).isTrue();

    assertThat(leader.replica.needsResync(away.number)).isTrue();
    leader.mend(bit);
    sim.mended();
    await(() -> hasAll(away));
    sim.finish();
  }
}
