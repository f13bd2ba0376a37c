package io.plinth.target.volume;

import io.plinth.engine.metrics.LatencyRecorder;

/**
 * Counts and latencies of one volume by operation: recorded on the volume's core, read from any
 * thread.
 */
public final class VolumeStatistics {
  // Histograms are made when an operation is first seen: an idle volume costs little.
  private final LatencyRecorder[] latencies = new LatencyRecorder[Operation.COUNT];
  private final long[] errors = new long[Operation.COUNT];
  private final long[] bytes = new long[Operation.COUNT];

  /** What has been counted for one operation. */
  public record Summary(
      Operation operation, LatencyRecorder.Summary latency, long errors, long bytes) {}

  VolumeStatistics() {}

  void record(int operation, long latencyNs, long length, boolean failed) {
    LatencyRecorder recorder = latencies[operation];
    if (recorder == null) {
      recorder = new LatencyRecorder();
      latencies[operation] = recorder;
    }
    recorder.record(latencyNs);
    if (failed) {
      errors[operation]++;
    } else {
      bytes[operation] += length;
    }
  }

  /** Returns the summary of one operation; any thread, the counts approximately. */
  public Summary summary(Operation operation) {
    int i = operation.number();
    LatencyRecorder recorder = latencies[i];
    LatencyRecorder.Summary latency =
        recorder == null ? new LatencyRecorder.Summary(0, 0, 0, 0, 0, 0) : recorder.summary();
    return new Summary(operation, latency, errors[i], bytes[i]);
  }
}
