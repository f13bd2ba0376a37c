package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.AckPolicy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A thousand groups of three on three nodes, with the timers of production. */
@Timeout(300)
class ManyGroupsTest {
  private static final int GROUPS = 1000;
  private static final long MS = ManyGroups.MS;

  /** What three nodes say to each other in 10 seconds in which nobody wants anything. */
  private record Idle(long frames, long bytes) {}

  private static Idle idle(ManyGroups run) {
    run.mostAwake = 0;
    long frames = run.network.transmissions();
    long bytes = run.network.transmittedBytes();
    run.pass(10_000 * MS);
    assertThat(run.mostAwake).as("replicas with ticks to wait for").isZero();
    return new Idle(run.network.transmissions() - frames, run.network.transmittedBytes() - bytes);
  }

  private static void settle(ManyGroups run) {
    long _ = run.await("a leader of each group", 3_000 * MS, run::allLead);
    run.writeAll();
    long ns = run.await("rest", 5_000 * MS, run::allRest);
    System.out.printf("rest after %d ms%n", ns / MS);
  }

  @Test
  void idleGroupsCostNoMessagesAndNoWork() throws RecoveryException {
    ManyGroups few = new ManyGroups(1, 1, AckPolicy.APPENDED);
    ManyGroups many = new ManyGroups(GROUPS, 1, AckPolicy.APPENDED);
    try {
      settle(few);
      settle(many);
      Idle ofOne = idle(few);
      Idle ofMany = idle(many);
      System.out.printf("in 10 s: 1 group %s, %d groups %s%n", ofOne, GROUPS, ofMany);
      // Beats without content: 24 bytes, every two ticks, on six ways.
      long beats = 6 * 10_000 * MS / (PeerPulse.BEAT_TICKS * ManyGroups.TICK_NS);
      assertThat(ofMany.frames).isBetween(beats - 12, beats + 12);
      assertThat(ofMany.bytes).isEqualTo(24 * ofMany.frames);
      assertThat(Math.abs(ofMany.frames - ofOne.frames)).isLessThanOrEqualTo(12);
    } finally {
      few.free();
      many.free();
    }
  }

  /** What is said of all groups in one cycle goes in one frame, or in as few as hold it. */
  @Test
  void groupsThatAreAwakeShareFrames() throws RecoveryException {
    ManyGroups run = new ManyGroups(GROUPS, 3, AckPolicy.APPENDED, 0);
    try {
      long _ = run.await("a leader of each group", 3_000 * MS, run::allLead);
      run.handAllTo(run.nodes.get(0));
      run.pass(500 * MS);
      long frames = run.network.transmissions();
      long bytes = run.network.transmittedBytes();
      run.pass(2_000 * MS);
      frames = run.network.transmissions() - frames;
      bytes = run.network.transmittedBytes() - bytes;
      int rounds = 50;
      System.out.printf(
          "awake: %d transmissions and %d bytes for each round of heartbeats of %d groups%n",
          frames / rounds, bytes / rounds, GROUPS);
      // To two followers, and back: 64 and 80 bytes for each group.
      long least = 2L * GROUPS * (64 + 80);
      assertThat(bytes / rounds).isBetween(least * 9 / 10, least * 11 / 10);
      assertThat(frames / rounds).isLessThan(GROUPS / 20);
    } finally {
      run.free();
    }
  }

  /** Killed, so that connections are reset; or its machine has lost its power, and says nothing. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whenTheLeaderOfAllDiesAllHaveALeaderWithinASecond(boolean silent) throws RecoveryException {
    ManyGroups run = new ManyGroups(GROUPS, 2, AckPolicy.DURABLE);
    try {
      settle(run);
      GroupNode first = run.nodes.get(0);
      run.handAllTo(first);
      run.writeAll();
      long _ = run.await("rest", 5_000 * MS, run::allRest);
      assertThat(run.ledBy(first)).isEqualTo(GROUPS);
      if (silent) {
        first.losePower();
      } else {
        first.kill();
      }
      long ns = run.await("a leader of each group", 1_000 * MS, run::allLead);
      System.out.printf(
          "leaders after %d ms, %d and %d; %d messages dropped%n",
          ns / MS, run.ledBy(run.nodes.get(1)), run.ledBy(run.nodes.get(2)), run.dropped());
      assertThat(run.lost()).isEmpty();
      // The survivors rest without it; back again, it is brought up to date, and all rest.
      long _ = run.await("rest of two", 5_000 * MS, run::allRest);
      run.writeAll();
      first.start();
      long _ = run.await("rest of all", 8_000 * MS, run::allRest);
      assertThat(run.lost()).isEmpty();
      for (int group = 0; group < GROUPS; group++) {
        assertThat(first.replicas.get(group).committedIndex())
            .isEqualTo(run.leader(group).committedIndex());
      }
    } finally {
      run.free();
    }
  }
}
