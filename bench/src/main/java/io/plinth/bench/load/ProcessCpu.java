package io.plinth.bench.load;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * CPU time of processes, all threads and children together, from {@code /proc/PID/stat} (proc(5)).
 * Children count because some servers fork one for each connection.
 */
public final class ProcessCpu {
  /** {@code sysconf(_SC_CLK_TCK)}, which is 100 on every Linux that matters. */
  private static final long MICROS_PER_TICK = 10_000;

  /**
   * Index of utime among the fields after the command name; stime follows, and the same two of
   * children that have ended.
   */
  private static final int USER_TIME = 11;

  private static final int TIMES = 4;

  private ProcessCpu() {}

  /** Returns user and system time of all of them and their children, in microseconds. */
  public static long micros(List<Long> pids) throws LoadException {
    long micros = 0;
    for (long pid : pids) {
      micros +=
          ProcessHandle.of(pid).stream()
              .flatMap(ProcessHandle::descendants)
              .mapToLong(child -> childMicros(child.pid()))
              .sum();
      try {
        micros += micros(Files.readString(stat(pid)));
      } catch (IOException e) {
        throw new LoadException("can't read the CPU time of process " + pid, e);
      }
    }
    return micros;
  }

  private static long childMicros(long pid) {
    try {
      return micros(Files.readString(stat(pid)));
    } catch (IOException e) {
      // It has ended meanwhile: the parent, which is read afterwards, has its time.
      return 0;
    }
  }

  private static Path stat(long pid) {
    return Path.of("/proc/" + pid + "/stat");
  }

  /** The command name is in parentheses and may contain both spaces and parentheses. */
  static long micros(String stat) {
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    long ticks = 0;
    for (int i = USER_TIME; i < USER_TIME + TIMES; i++) {
      ticks += Long.parseLong(fields[i]);
    }
    return MICROS_PER_TICK * ticks;
  }
}
