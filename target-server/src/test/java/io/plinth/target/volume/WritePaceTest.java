package io.plinth.target.volume;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimCore;
import org.junit.jupiter.api.Test;

class WritePaceTest {
  private static final long CYCLE_NS = 20_000;
  private static final int CYCLES_PER_SECOND = 50_000;
  private static final int FULL = 160 << 10;

  private final SimCore core = new SimCore(0, 0);
  private double room;
  private int told;
  private final WritePace pace = new WritePace(core, () -> room, () -> told++);

  /** Writes as fast as it is let for a second; returns how many blocks that were. */
  private int writeForASecond(int blocks) {
    int written = 0;
    for (int i = 0; i < CYCLES_PER_SECOND; i++) {
      for (int tries = 0; tries < 100 && pace.admit(blocks); tries++) {
        written += blocks;
      }
      core.cycle(CYCLE_NS);
    }
    return written;
  }

  @Test
  void whereThereIsRoomEnoughEveryWriteIsAdmitted() {
    room = 1;
    assertThat(writeForASecond(16)).isEqualTo(CYCLES_PER_SECOND * 100 * 16);
    assertThat(told).isZero();
  }

  @Test
  void withoutAnyRoomTheJournalDecides() {
    room = 0;
    assertThat(pace.admit(1)).isTrue();
    assertThat(pace.admit(1)).isTrue();
  }

  @Test
  void writesGetInProportionToTheRoomWhateverTheirSize() {
    room = 0.5;
    assertThat(writeForASecond(1)).isBetween(FULL / 2 - 500, FULL / 2 + 500);
    assertThat(writeForASecond(256)).isBetween(FULL / 2 - 1000, FULL / 2 + 1000);
    room = 0.1;
    assertThat(writeForASecond(16)).isBetween(FULL / 10 - 500, FULL / 10 + 500);
  }

  @Test
  void whoIsNotAdmittedIsToldOnceAndThenAdmitted() {
    room = 0.5;
    while (pace.admit(16)) {}
    assertThat(pace.admit(16)).isFalse();
    int cycles = 0;
    while (told == 0) {
      core.cycle(CYCLE_NS);
      cycles++;
    }
    assertThat(cycles * CYCLE_NS).as("16 blocks are there after 195 us").isLessThan(250_000);
    assertThat(pace.admit(16)).isTrue();
    for (int i = 0; i < 100; i++) {
      core.cycle(CYCLE_NS);
    }
    assertThat(told).isEqualTo(1);
  }

  @Test
  void aFewWritesGoOnHoweverLittleRoomThereIs() {
    room = 1e-9;
    assertThat(writeForASecond(1)).isBetween(FULL / 50 - 100, FULL / 50 + 100);
  }

  @Test
  void aPauseDoesNotAddUpToABurst() {
    room = 0.5;
    while (pace.admit(1)) {}
    core.cycle(1_000_000_000);
    int burst = 0;
    while (pace.admit(1)) {
      burst++;
    }
    assertThat(burst).as("a millisecond's").isLessThan(FULL / 2 / 1000 + 10);
  }
}
