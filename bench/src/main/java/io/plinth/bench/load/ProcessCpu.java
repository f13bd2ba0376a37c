package io.plinth.bench.load;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** CPU time of processes, all threads together, from {@code /proc/PID/stat} (proc(5)). */
final class ProcessCpu {
  /** {@code sysconf(_SC_CLK_TCK)}, which is 100 on every Linux that matters. */
  private static final long MICROS_PER_TICK = 10_000;

  /** Index of utime among the fields after the command name; stime follows. */
  private static final int USER_TIME = 11;

  private ProcessCpu() {}

  /** Returns user and system time of all of them, in microseconds. */
  static long micros(List<Long> pids) throws LoadException {
    long micros = 0;
    for (long pid : pids) {
      try {
        micros += micros(Files.readString(Path.of("/proc/" + pid + "/stat")));
      } catch (IOException e) {
        throw new LoadException("can't read the CPU time of process " + pid, e);
      }
    }
    return micros;
  }

  /** The command name is in parentheses and may contain both spaces and parentheses. */
  static long micros(String stat) {
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return MICROS_PER_TICK
        * (Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[USER_TIME + 1]));
  }
}
