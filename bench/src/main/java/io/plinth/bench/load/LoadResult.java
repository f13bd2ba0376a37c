package io.plinth.bench.load;

import java.util.Locale;
import org.HdrHistogram.Histogram;

/**
 * What was measured.
 *
 * @param seconds length of the window
 * @param operations completed in the window
 * @param errors replies with an error, in the warm-up too
 * @param latencyNs of each request, from before the write of its batch until after the read with
 *     its reply
 * @param serverCpuMicros CPU time of the server in the window, or -1 when not asked for
 * @param clientCpuMicros CPU time of this process in the window
 */
record LoadResult(
    double seconds,
    long operations,
    long errors,
    Histogram latencyNs,
    long serverCpuMicros,
    long clientCpuMicros) {

  double iops() {
    return operations / seconds;
  }

  String text(LoadOptions options) {
    String line =
        String.format(
            Locale.ROOT,
            "%s %d bytes, queue depth %d, %d connection(s): %.0f IOPS, %.1f MB/s;"
                + " p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us; client CPU %.2f us/op",
            name(options),
            options.blockBytes(),
            options.queueDepth(),
            options.connections(),
            iops(),
            iops() * options.blockBytes() / 1e6,
            micros(50),
            micros(99),
            micros(99.9),
            micros(100),
            perOperation(clientCpuMicros));
    if (serverCpuMicros >= 0) {
      line += String.format(Locale.ROOT, "; server CPU %.2f us/op", perOperation(serverCpuMicros));
    }
    return errors == 0 ? line : line + "; " + errors + " ERRORS";
  }

  String json(LoadOptions options) {
    String server =
        serverCpuMicros < 0
            ? "null"
            : String.format(Locale.ROOT, "%.3f", perOperation(serverCpuMicros));
    return String.format(
        Locale.ROOT,
        "{\"op\":\"%s\",\"block_size\":%d,\"queue_depth\":%d,\"connections\":%d,\"seconds\":%.3f,"
            + "\"operations\":%d,\"errors\":%d,\"iops\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f,"
            + "\"p999_us\":%.2f,\"max_us\":%.2f,\"client_cpu_us_per_op\":%.3f,"
            + "\"server_cpu_us_per_op\":%s}",
        name(options),
        options.blockBytes(),
        options.queueDepth(),
        options.connections(),
        seconds,
        operations,
        errors,
        iops(),
        micros(50),
        micros(99),
        micros(99.9),
        micros(100),
        perOperation(clientCpuMicros),
        server);
  }

  private static String name(LoadOptions options) {
    return options.operation().name().toLowerCase(Locale.ROOT);
  }

  private double micros(double percentile) {
    return latencyNs.getValueAtPercentile(percentile) / 1000.0;
  }

  private double perOperation(long micros) {
    return operations == 0 ? 0 : (double) micros / operations;
  }
}
