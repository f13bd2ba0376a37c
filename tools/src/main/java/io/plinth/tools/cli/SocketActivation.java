package io.plinth.tools.cli;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Sockets that whoever started the process has made and left open: systemd's protocol, {@code
 * sd_listen_fds(3)}, which libnbd speaks too.
 */
final class SocketActivation {
  private static final int FIRST_DESCRIPTOR = 3;
  private static final int MOST_SOCKETS = 256;

  private SocketActivation() {}

  /**
   * Returns the descriptors that are meant for this process, in their order.
   *
   * @throws IllegalArgumentException with one line that names the variable that is wrong
   */
  static List<Integer> sockets(Map<String, String> environment, long pid) {
    String forPid = environment.get("LISTEN_PID");
    String count = environment.get("LISTEN_FDS");
    if (forPid == null || count == null) {
      return List.of();
    }
    // Inherited by a child that nothing is meant for.
    if (number("LISTEN_PID", forPid, 1, Long.MAX_VALUE) != pid) {
      return List.of();
    }
    int sockets = (int) number("LISTEN_FDS", count, 0, MOST_SOCKETS);
    String names = environment.get("LISTEN_FDNAMES");
    if (names != null && sockets > 0 && names.split(":", -1).length != sockets) {
      throw new IllegalArgumentException(
          "bad value for LISTEN_FDNAMES: expected "
              + sockets
              + " names, as LISTEN_FDS says, not \""
              + names
              + "\"");
    }
    return IntStream.range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + sockets).boxed().toList();
  }

  private static long number(String name, String text, long least, long most) {
    try {
      long value = Long.parseLong(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException _) {
      // Told below.
    }
    throw new IllegalArgumentException(
        "bad value for "
            + name
            + ": expected a number from "
            + least
            + (most == Long.MAX_VALUE ? "" : " to " + most)
            + ", not \""
            + text
            + "\"");
  }
}
