package io.plinth.tools.cli;

import io.plinth.target.admin.NodesInfo;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Option;

/** Waits until a node has no replicas any more. */
final class DrainWait {
  /** So many times in a row may nobody know how the nodes are: another one begins to lead. */
  private static final int MOST_FAILURES = 60;

  private static final long MOST_SECONDS = 31_536_000;

  /** Who waits is told so often that nothing has changed. */
  private static final long REMIND_NS = TimeUnit.SECONDS.toNanos(30);

  @Option(
      names = "--wait",
      description = {
        "Return when it has no replicas any more, and tell until then what it waits for. What nobody",
        "can take is waited for too: a node may come that can."
      })
  private boolean wait;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      description = {
        "Wait for so long at most, then say why it has not ended, with exit code 1; the drain goes on.",
        "Only with --wait (default: wait for ever)."
      })
  private Long timeoutS;

  /** Refuses a time that makes no sense. */
  void check() {
    if (timeoutS != null && !wait) {
      throw CliException.usage("option --timeout goes with --wait", null);
    }
    if (timeoutS != null && (timeoutS < 1 || timeoutS > MOST_SECONDS)) {
      throw CliException.usage("option --timeout: expected 1 to " + MOST_SECONDS, null);
    }
  }

  /**
   * Waits, if that was asked for.
   *
   * @return the exit code
   */
  int await(ClientOptions options, int node) {
    long beganNs = System.nanoTime();
    String shown = "";
    long shownNs = beganNs;
    long timeoutNs = timeoutS == null ? Long.MAX_VALUE : TimeUnit.SECONDS.toNanos(timeoutS);
    String text = "nobody says how it is";
    int failures = 0;
    while (wait) {
      long nowNs = System.nanoTime();
      try {
        NodesInfo info = Nodes.read(options.client().get("/v1/nodes"));
        failures = 0;
        NodesInfo.NodeState state = Nodes.find(info, node);
        if (!state.state().equals("draining") && !state.state().equals("removed")) {
          throw new CliException(
              ExitCodes.FAILED, "turned_back", "node " + node + " is in service again", null);
        }
        if (state.replicas() == 0) {
          return ExitCodes.OK;
        }
        text = String.join("; ", state.words());
        boolean again = nowNs - shownNs >= REMIND_NS;
        if ((again || !text.equals(shown)) && !options.isJson()) {
          String since = again ? " (" + after(nowNs - beganNs) + ")" : "";
          options.out().println("node " + node + ": " + text + since);
          options.out().flush();
          shown = text;
          shownNs = nowNs;
        }
      } catch (CliException e) {
        boolean mayPass = e.code().equals("elsewhere") || e.code().equals("unavailable");
        if (!mayPass || ++failures > MOST_FAILURES) {
          throw e;
        }
      }
      if (nowNs - beganNs >= timeoutNs) {
        throw new CliException(
            ExitCodes.FAILED,
            "timed_out",
            "node " + node + " has replicas still " + after(nowNs - beganNs) + ": " + text,
            null);
      }
      Progress.pause();
    }
    return ExitCodes.OK;
  }

  private static String after(long ns) {
    return "after " + Durations.uptime(TimeUnit.NANOSECONDS.toMillis(ns));
  }
}
