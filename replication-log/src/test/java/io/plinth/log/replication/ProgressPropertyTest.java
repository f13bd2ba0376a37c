package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** {@link Progress} against a list of all appends that there ever were. */
class ProgressPropertyTest {
  private record Append(long sequence, long ticket, long index) {}

  @Test
  void theNewestAppendUpToABatchIsTold() {
    for (int seed = 0; seed < 500; seed++) {
      SimRandom random = new SimRandom(seed);
      Progress progress = new Progress();
      List<Append> all = new ArrayList<>();
      long sequence = 1;
      long ticket = 0;
      long appended = 0;
      long durable = 0;
      // What a sync that is on its way covers; all that is durable when there is none.
      long synced = 0;
      for (int step = 0; step < 200; step++) {
        switch (random.nextInt(4)) {
          case 0, 1 -> {
            long index = random.nextInt(1000);
            all.add(new Append(sequence, ++ticket, index));
            progress.add(sequence, ticket, index, synced);
          }
          case 2 -> {
            long to = sequence++;
            Append newest = newest(all, appended, to);
            assertThat(progress.advanceAppended(to)).isEqualTo(newest != null);
            assertTold(progress, newest, seed);
            appended = to;
          }
          default -> {
            if (synced == durable) {
              // A sync begins when what is there is sealed.
              long to = sequence++;
              Append newest = newest(all, appended, to);
              assertThat(progress.advanceAppended(to)).isEqualTo(newest != null);
              assertTold(progress, newest, seed);
              appended = to;
              synced = to;
            } else {
              Append newest = newest(all, durable, synced);
              assertThat(progress.advanceDurable(synced)).isEqualTo(newest != null);
              assertTold(progress, newest, seed);
              durable = synced;
            }
          }
        }
        assertThat(progress.size()).isLessThanOrEqualTo(3);
        assertThat(progress.size() > 0).isEqualTo(newest(all, durable, sequence) != null);
      }
    }
  }

  private static void assertTold(Progress progress, Append newest, int seed) {
    if (newest != null) {
      assertThat(progress.ticket()).as("seed %d", seed).isEqualTo(newest.ticket);
      assertThat(progress.index()).as("seed %d", seed).isEqualTo(newest.index);
    }
  }

  private static Append newest(List<Append> all, long after, long to) {
    Append newest = null;
    for (Append append : all) {
      if (append.sequence > after && append.sequence <= to) {
        newest = append;
      }
    }
    return newest;
  }
}
