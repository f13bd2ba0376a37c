package io.plinth.tools.cli;

import java.util.Locale;

/** Times as people read them. */
final class Durations {
  private static final String[] UNITS = {"ns", "us", "ms", "s"};

  private Durations() {}

  /**
   * Writes a latency with three digits at most before the unit: {@code 850 ns}, {@code 12.3 us},
   * {@code 4.0 s}.
   */
  static String latency(long ns) {
    double value = ns;
    int unit = 0;
    while (value >= 999.95 && unit < UNITS.length - 1) {
      value /= 1000;
      unit++;
    }
    return unit == 0 ? ns + " ns" : String.format(Locale.ROOT, "%.1f %s", value, UNITS[unit]);
  }

  /** Writes how long something has lasted: {@code 42s}, {@code 3m 05s}, {@code 2d 04h 11m}. */
  static String uptime(long ms) {
    long seconds = ms / 1000;
    long minutes = seconds / 60;
    long hours = minutes / 60;
    if (minutes == 0) {
      return seconds + "s";
    }
    if (hours == 0) {
      return String.format(Locale.ROOT, "%dm %02ds", minutes, seconds % 60);
    }
    if (hours < 24) {
      return String.format(Locale.ROOT, "%dh %02dm", hours, minutes % 60);
    }
    return String.format(Locale.ROOT, "%dd %02dh %02dm", hours / 24, hours % 24, minutes % 60);
  }
}
