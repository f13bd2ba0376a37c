package io.plinth.tools.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DurationsTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0 ns",
    "999, 999 ns",
    "1000, 1.0 us",
    "12345, 12.3 us",
    "999949, 999.9 us",
    "999950, 1.0 ms",
    "1500000, 1.5 ms",
    "1234567890123, 1234.6 s"
  })
  void aLatencyHasOneDecimal(long ns, String text) {
    assertThat(Durations.latency(ns)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0s",
    "59999, 59s",
    "60000, 1m 00s",
    "3599000, 59m 59s",
    "3600000, 1h 00m",
    "90061000, 1d 01h 01m"
  })
  void anUptimeHasItsTwoOrThreeLargestUnits(long ms, String text) {
    assertThat(Durations.uptime(ms)).isEqualTo(text);
  }
}
