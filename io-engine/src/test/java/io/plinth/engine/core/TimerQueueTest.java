package io.plinth.engine.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Timers;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TimerQueueTest {
  private final TimerQueue timers = new TimerQueue();
  private final List<String> fired = new ArrayList<>();

  @Test
  void timersFireInTheOrderOfTheirDeadlines() {
    timers.schedule(30, task("c"));
    timers.schedule(10, task("a"));
    timers.schedule(20, task("b"));

    assertThat(timers.fire(25)).isEqualTo(2);

    assertThat(fired).containsExactly("a", "b");
    assertThat(timers.armed()).isEqualTo(1);
  }

  @Test
  void equalDeadlinesFireInTheOrderOfArming() {
    for (int i = 0; i < 100; i++) {
      timers.schedule(5, task("" + i));
    }

    timers.fire(5);

    assertThat(fired)
        .containsExactlyElementsOf(
            java.util.stream.IntStream.range(0, 100).mapToObj(i -> "" + i).toList());
  }

  @Test
  void aTimerFiresOnceAndNotBeforeItsDeadline() {
    timers.schedule(100, task("a"));

    assertThat(timers.fire(99)).isZero();
    assertThat(timers.fire(100)).isEqualTo(1);
    assertThat(timers.fire(1000)).isZero();
  }

  @Test
  void aCancelledTimerDoesNotFire() {
    long first = timers.schedule(10, task("a"));
    timers.schedule(20, task("b"));

    timers.cancel(first);
    timers.cancel(first);
    timers.fire(100);

    assertThat(fired).containsExactly("b");
  }

  @Test
  void cancellingATimerThatHasFiredOrNeverWasIsIgnored() {
    long first = timers.schedule(10, task("a"));
    timers.fire(10);
    timers.schedule(20, task("b"));

    timers.cancel(first);
    timers.cancel(0);
    timers.cancel(4711);

    assertThat(timers.armed()).isEqualTo(1);
  }

  @Test
  void aTimerArmedByATimerFiresInALaterCall() {
    timers.schedule(10, now -> timers.schedule(5, task("late")));

    assertThat(timers.fire(10)).isEqualTo(1);
    assertThat(fired).isEmpty();
    assertThat(timers.fire(10)).isEqualTo(1);

    assertThat(fired).containsExactly("late");
  }

  @Test
  void aTimerMayCancelAnother() {
    long[] second = new long[1];
    timers.schedule(10, now -> timers.cancel(second[0]));
    second[0] = timers.schedule(10, task("b"));

    timers.fire(10);

    assertThat(fired).isEmpty();
    assertThat(timers.armed()).isZero();
  }

  @Test
  void theTimeUntilTheNextTimerIsLimitedAndNeverNegative() {
    assertThat(timers.untilNextNs(0, 500)).isEqualTo(500);
    timers.schedule(100, task("a"));

    assertThat(timers.untilNextNs(0, 500)).isEqualTo(100);
    assertThat(timers.untilNextNs(0, 50)).isEqualTo(50);
    assertThat(timers.untilNextNs(200, 500)).isZero();
  }

  @Test
  void deadlinesBeyondTheOverflowOfTheClockComeLater() {
    long now = Long.MAX_VALUE - 10;
    timers.schedule(now + 20, task("later"));
    timers.schedule(now + 5, task("sooner"));

    timers.fire(now + 5);
    assertThat(fired).containsExactly("sooner");
    assertThat(timers.untilNextNs(now + 5, 1000)).isEqualTo(15);
    timers.fire(now + 20);

    assertThat(fired).containsExactly("sooner", "later");
  }

  private Timers.Task task(String name) {
    return now -> fired.add(name);
  }
}
