package io.plinth.tools.conformance;

/**
 * How a server is judged.
 *
 * @param uri where it is
 * @param mayWrite the export may be overwritten
 * @param timeoutMs how long one check may take
 * @param means what is provided besides
 */
public record Options(NbdUri uri, boolean mayWrite, long timeoutMs, Means means) {
  /** One answer may take this part of the time of a check, so that other probes have a chance. */
  private static final int WAITS_PER_CHECK = 3;

  long waitMs() {
    return Math.max(1, timeoutMs / WAITS_PER_CHECK);
  }
}
