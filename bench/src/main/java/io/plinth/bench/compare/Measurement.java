package io.plinth.bench.compare;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One run of one client against one server.
 *
 * @param serverCpuUs CPU microseconds per operation; NaN where the server's work is spread over
 *     processes that come and go
 */
record Measurement(double iops, double p50Us, double p99Us, double serverCpuUs) {
  private static final int CLOCK_TICKS_PER_SECOND = 100;

  /** Runs the batched load generator in a process of its own. */
  static Measurement load(Peer peer, Compare.Case what, int seconds, int warmup)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                ProcessHandle.current().info().command().orElseThrow(),
                "-XX:+UseSerialGC",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                "io.plinth.bench.load.NbdLoad",
                "--uri",
                peer.address(),
                "--op",
                what.op(),
                "--queue-depth",
                "" + what.depth(),
                "--connections",
                "" + what.connections(),
                "--seconds",
                "" + seconds,
                "--warmup-seconds",
                "" + warmup,
                "--server-pid",
                "" + peer.pid(),
                "--json"));
    if (!peer.export().isEmpty()) {
      command.addAll(List.of("--export", peer.export()));
    }
    String json = run(command);
    return new Measurement(
        number(json, "iops"),
        number(json, "p50_us"),
        number(json, "p99_us"),
        peer.isOneProcess() ? number(json, "server_cpu_us_per_op") : Double.NaN);
  }

  /** Runs fio's nbd engine. */
  static Measurement fio(Peer peer, Compare.Case what, int seconds, int warmup)
      throws IOException, InterruptedException {
    long before = cpuTicks(peer);
    String json =
        run(
            List.of(
                "fio",
                "--name=x",
                "--ioengine=nbd",
                "--uri=nbd://" + peer.address() + "/" + peer.export(),
                "--rw=rand" + what.op(),
                "--bs=4k",
                "--iodepth=" + what.depth(),
                "--numjobs=" + what.connections(),
                "--group_reporting",
                "--time_based",
                "--runtime=" + seconds,
                "--ramp_time=" + warmup,
                "--size=1g",
                "--output-format=json"));
    long after = cpuTicks(peer);
    String side = json.substring(json.indexOf("\"" + what.op() + "\" :"));
    long operations = (long) number(side, "total_ios");
    double cpu =
        peer.isOneProcess()
            ? (after - before)
                * (1e6 / CLOCK_TICKS_PER_SECOND)
                / operations
                * seconds
                / (seconds + warmup)
            : Double.NaN;
    return new Measurement(
        number(side, "iops"),
        number(side, "50.000000") / 1e3,
        number(side, "99.000000") / 1e3,
        cpu);
  }

  private static String run(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(command.getFirst() + " failed: " + output);
    }
    return output;
  }

  private static double number(String json, String key) {
    Matcher matcher =
        Pattern.compile("\"" + Pattern.quote(key) + "\"\\s*:\\s*([-0-9.eE+]+)").matcher(json);
    if (!matcher.find()) {
      throw new IllegalArgumentException(
          "no " + key + " in " + json.substring(0, Math.min(400, json.length())));
    }
    return Double.parseDouble(matcher.group(1));
  }

  private static long cpuTicks(Peer peer) throws IOException {
    String stat = Files.readString(Path.of("/proc/" + peer.pid() + "/stat"));
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
  }
}
