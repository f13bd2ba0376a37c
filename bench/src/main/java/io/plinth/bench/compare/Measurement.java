package io.plinth.bench.compare;

import io.plinth.bench.load.LoadException;
import io.plinth.bench.load.ProcessCpu;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One run of one client against one server.
 *
 * @param serverCpuUs CPU microseconds per operation, of the server and its children
 */
record Measurement(double iops, double p50Us, double p99Us, double serverCpuUs) {
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
        number(json, "server_cpu_us_per_op"));
  }

  /** Runs fio's nbd engine. */
  static Measurement fio(Peer peer, Compare.Case what, int seconds, int warmup)
      throws IOException, InterruptedException {
    long before = cpuMicros(peer);
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
    long after = cpuMicros(peer);
    String side = json.substring(json.indexOf("\"" + what.op() + "\" :"));
    long operations = (long) number(side, "total_ios");
    // The CPU time of the ramp is in it, its operations are not.
    double cpu = (double) (after - before) / operations * seconds / (seconds + warmup);
    return new Measurement(
        number(side, "iops"),
        number(side, "50.000000") / 1e3,
        number(side, "99.000000") / 1e3,
        cpu);
  }

  private static String run(List<String> command) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
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

  private static long cpuMicros(Peer peer) throws IOException {
    try {
      return ProcessCpu.micros(List.of(peer.pid()));
    } catch (LoadException e) {
      throw new IOException(e.getMessage(), e);
    }
  }
}
