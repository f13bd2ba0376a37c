package io.plinth.tools.conformance;

import java.util.concurrent.TimeUnit;

/** A moment after which nothing is waited for. */
record Deadline(long endNs) {
  static Deadline inMs(long milliseconds) {
    return new Deadline(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds));
  }

  /** Returns the earlier one of this and now plus some time. */
  Deadline atMost(long milliseconds) {
    Deadline other = inMs(milliseconds);
    return other.endNs - endNs < 0 ? other : this;
  }

  /** Returns the milliseconds that are left, rounded up; zero when none are. */
  long leftMs() {
    long leftNs = endNs - System.nanoTime();
    return leftNs <= 0 ? 0 : TimeUnit.NANOSECONDS.toMillis(leftNs) + 1;
  }
}
