package io.plinth.log.recovery.planted;

/** Planted: has a lock. */
public final class Synchronizes {
  synchronized int locked() {
    return 1;
  }
}
