package io.plinth.engine.metrics;

import org.HdrHistogram.Histogram;
import org.HdrHistogram.SingleWriterRecorder;

/** Latencies of one kind of operation: recorded on one core's thread, merged and read by others. */
public final class LatencyRecorder {
  private static final int SIGNIFICANT_DIGITS = 2;
  private static final long HIGHEST_NS = 60_000_000_000L;

  private final SingleWriterRecorder recorder =
      new SingleWriterRecorder(1, HIGHEST_NS, SIGNIFICANT_DIGITS);
  private final Histogram total = new Histogram(1, HIGHEST_NS, SIGNIFICANT_DIGITS);
  private Histogram interval;

  /**
   * What has been recorded since the start, in nanoseconds, to two significant digits.
   *
   * @param count how many operations
   */
  public record Summary(long count, long p50Ns, long p90Ns, long p99Ns, long p999Ns, long maxNs) {}

  /**
   * Records one operation; on the owning core's thread. Values beyond a minute count as a minute.
   */
  public void record(long latencyNs) {
    recorder.recordValue(Math.max(0, Math.min(HIGHEST_NS, latencyNs)));
  }

  /** Merges and summarises what has been recorded; any thread. */
  public synchronized Summary summary() {
    interval = recorder.getIntervalHistogram(interval);
    total.add(interval);
    return new Summary(
        total.getTotalCount(),
        total.getValueAtPercentile(50),
        total.getValueAtPercentile(90),
        total.getValueAtPercentile(99),
        total.getValueAtPercentile(99.9),
        total.getMaxValue());
  }
}
