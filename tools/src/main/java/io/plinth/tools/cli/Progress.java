package io.plinth.tools.cli;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Waits between questions of how far a server is with something long. */
final class Progress {
  private static final long ASK_NS = TimeUnit.MILLISECONDS.toNanos(200);

  private Progress() {}

  /** Returns when it is time to ask again. */
  static void pause() {
    LockSupport.parkNanos(ASK_NS);
    if (Thread.currentThread().isInterrupted()) {
      throw new CliException(ExitCodes.FAILED, "interrupted", "interrupted while waiting", null);
    }
  }
}
