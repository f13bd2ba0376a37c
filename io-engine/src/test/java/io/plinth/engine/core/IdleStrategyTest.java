package io.plinth.engine.core;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class IdleStrategyTest {
  private static final long SPIN_NS = 50;
  private long nowNs = 1000;

  @Test
  void withoutASpinTimeItNeverSpins() {
    IdleStrategy idle = new IdleStrategy(0);

    for (int i = 0; i < 100; i++) {
      assertThat(idle.shouldSpin(nowNs++)).isFalse();
    }
  }

  @Test
  void itSpinsForItsTimeAndThenBlocks() {
    IdleStrategy idle = new IdleStrategy(SPIN_NS);

    assertThat(idle.shouldSpin(nowNs)).isTrue();
    assertThat(idle.shouldSpin(nowNs + SPIN_NS - 1)).isTrue();
    assertThat(idle.shouldSpin(nowNs + SPIN_NS)).isFalse();
  }

  @Test
  void itGoesOnSpinningAsLongAsWorkComesInTime() {
    IdleStrategy idle = new IdleStrategy(SPIN_NS);

    for (int i = 0; i < 1000; i++) {
      assertThat(idle.shouldSpin(nowNs)).isTrue();
      nowNs += SPIN_NS / 2;
      idle.onWork();
    }
  }

  @Test
  void itGivesUpSpinningThatDoesNotPay() {
    IdleStrategy idle = new IdleStrategy(SPIN_NS);
    for (int i = 0; i < 8; i++) {
      spinInVain(idle);
    }

    assertThat(spinsOf(idle, 320)).as("tries in 320 idle periods").isLessThanOrEqualTo(11);
  }

  @Test
  void itTriesAgainNowAndThenAndResumesWhenSpinningPays() {
    IdleStrategy idle = new IdleStrategy(SPIN_NS);
    for (int i = 0; i < 8; i++) {
      spinInVain(idle);
    }
    int rounds = 0;
    int paid = 0;
    while (paid < 6) {
      if (idle.shouldSpin(nowNs++)) {
        paid++;
      }
      idle.onWork();
      assertThat(++rounds).as("idle periods until spinning pays again").isLessThan(1000);
    }

    assertThat(spinsOf(idle, 1)).isEqualTo(1);
  }

  private void spinInVain(IdleStrategy idle) {
    while (idle.shouldSpin(nowNs)) {
      nowNs += SPIN_NS;
    }
    nowNs += 1_000_000;
    idle.onWork();
  }

  /** Returns in how many idle periods it spun; no work comes while it does. */
  private int spinsOf(IdleStrategy idle, int periods) {
    int spins = 0;
    for (int i = 0; i < periods; i++) {
      if (idle.shouldSpin(nowNs)) {
        spins++;
        nowNs += SPIN_NS;
        assertThat(idle.shouldSpin(nowNs)).isFalse();
      }
      nowNs += 1_000_000;
    }
    return spins;
  }
}
