package io.plinth.engine.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.SimRandom;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The heap against a list that is sorted before each use. */
class TimerQueuePropertyTest {
  private record Armed(long deadlineNs, long id) {}

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void firesWhatASortedListWouldFire(long seed) {
    SimRandom random = new SimRandom(seed);
    TimerQueue timers = new TimerQueue();
    List<Armed> model = new ArrayList<>();
    List<Long> fired = new ArrayList<>();
    long now = 0;
    for (int step = 0; step < 5_000; step++) {
      int choice = random.nextInt(10);
      if (choice < 6) {
        long deadline = now + random.nextInt(200) - 10;
        long[] id = new long[1];
        id[0] = timers.schedule(deadline, at -> fired.add(id[0]));
        model.add(new Armed(deadline, id[0]));
      } else if (choice < 8 && !model.isEmpty()) {
        timers.cancel(model.remove(random.nextInt(model.size())).id);
      } else {
        now += random.nextInt(40);
        long limit = now;
        List<Long> expected =
            model.stream()
                .filter(timer -> timer.deadlineNs <= limit)
                .sorted(Comparator.comparingLong(Armed::deadlineNs).thenComparingLong(Armed::id))
                .map(Armed::id)
                .toList();
        model.removeIf(timer -> timer.deadlineNs <= limit);
        fired.clear();

        assertThat(timers.fire(now)).as("seed %d step %d", seed, step).isEqualTo(expected.size());
        assertThat(fired).as("seed %d step %d", seed, step).isEqualTo(expected);
      }
      assertThat(timers.armed()).as("seed %d step %d", seed, step).isEqualTo(model.size());
    }
  }
}
