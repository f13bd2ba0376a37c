package io.plinth.raft.planted;

import java.time.Instant;

/** Planted: asks the machine for the time. */
public final class ReadsClock {
  long nanos() {
    return System.nanoTime();
  }

  long millis() {
    return System.currentTimeMillis();
  }

  Instant instant() {
    return Instant.now();
  }
}
