package io.plinth.engine.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class LatencyRecorderTest {
  private static final Percentage TWO_DIGITS = Percentage.withPercentage(1);
  private final LatencyRecorder recorder = new LatencyRecorder();

  @Test
  void nothingRecordedIsAllZero() {
    assertThat(recorder.summary()).isEqualTo(new LatencyRecorder.Summary(0, 0, 0, 0, 0, 0));
  }

  @Test
  void percentilesAreThoseOfAllValuesToTwoDigits() {
    for (int i = 1; i <= 10_000; i++) {
      recorder.record(i * 1000L);
    }

    LatencyRecorder.Summary summary = recorder.summary();

    assertThat(summary.count()).isEqualTo(10_000);
    assertThat(summary.p50Ns()).isCloseTo(5_000_000L, TWO_DIGITS);
    assertThat(summary.p90Ns()).isCloseTo(9_000_000L, TWO_DIGITS);
    assertThat(summary.p99Ns()).isCloseTo(9_900_000L, TWO_DIGITS);
    assertThat(summary.p999Ns()).isCloseTo(9_990_000L, TWO_DIGITS);
    assertThat(summary.maxNs()).isCloseTo(10_000_000L, TWO_DIGITS);
  }

  @Test
  void summaryAfterSummaryLosesNothingAndCountsNothingTwice() {
    for (int round = 1; round <= 5; round++) {
      recorder.record(1000);
      assertThat(recorder.summary().count()).isEqualTo(round);
    }
    assertThat(recorder.summary().count()).isEqualTo(5);
  }

  @Test
  void valuesOutOfRangeCountAtItsEnds() {
    recorder.record(-5);
    recorder.record(Long.MAX_VALUE);

    LatencyRecorder.Summary summary = recorder.summary();

    assertThat(summary.count()).isEqualTo(2);
    assertThat(summary.maxNs()).isCloseTo(TimeUnit.MINUTES.toNanos(1), TWO_DIGITS);
  }

  @Test
  void whatOneThreadRecordsAnotherReadsCompletely() throws InterruptedException {
    int values = 200_000;
    Thread writer =
        new Thread(
            () -> {
              for (int i = 0; i < values; i++) {
                recorder.record(i);
              }
            },
            "writer");
    writer.start();
    long before = 0;
    while (writer.isAlive()) {
      long count = recorder.summary().count();
      assertThat(count).isBetween(before, (long) values);
      before = count;
    }
    writer.join();

    assertThat(recorder.summary().count()).isEqualTo(values);
  }
}
