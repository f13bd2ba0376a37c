package io.plinth.target.nbd;

import java.util.ArrayDeque;

/**
 * Bytes of READs that the connections of a core may have in flight together.
 *
 * <p>A connection gets at most half of what is free beyond what it has. So the more of them do not
 * take their replies, the less each can hold, and there is always something left for the others
 * (the dynamic threshold of shared-memory switches). A READ of more than that waits for its turn.
 */
final class ReadBudget {
  /** How many budgets a core has; each has a number below. */
  static final int COUNT = 2;

  private final NbdCoreContext context;
  private final int number;
  private final long limitBytes;
  private final ArrayDeque<Transmission> waiters = new ArrayDeque<>();
  private long inFlight;

  ReadBudget(NbdCoreContext context, int number, long limitBytes) {
    this.context = context;
    this.number = number;
    this.limitBytes = limitBytes;
  }

  int number() {
    return number;
  }

  /**
   * Asks for leave to read.
   *
   * @param had bytes that the connection has in flight already
   * @param length bytes that it wants in addition
   */
  boolean acquire(long had, long length) {
    boolean share = had + length <= (limitBytes - inFlight) / 2;
    if (!waiters.isEmpty() || !(share || inFlight == 0)) {
      return false;
    }
    inFlight += length;
    return true;
  }

  void release(long length) {
    inFlight -= length;
  }

  long inFlight() {
    return inFlight;
  }

  /** Queues a session that has nothing in flight whose end would wake it. */
  void await(Transmission waiter) {
    waiters.add(waiter);
    context.beginStarving();
  }

  void cancelAwait(Transmission waiter) {
    waiters.remove(waiter);
    context.endStarving();
  }

  /**
   * Lets those read who have waited; who has waited longest may have more than its share, but for
   * an eighth. Returns how many there were.
   */
  int grant() {
    int granted = 0;
    while (!waiters.isEmpty()) {
      long length = waiters.peek().awaitedReadBytes();
      if (inFlight > 0 && inFlight + length > limitBytes - limitBytes / 8) {
        break;
      }
      inFlight += length;
      context.endStarving();
      waiters.poll().onReadGranted();
      granted++;
    }
    return granted;
  }
}
