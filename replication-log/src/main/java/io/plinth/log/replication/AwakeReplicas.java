package io.plinth.log.replication;

import java.util.ArrayList;

/**
 * The replicas that time has to pass for: those that are quiet are not here, and cost nothing. A
 * replica is given all ticks that it has missed at once, so that a round may take several duty
 * cycles: what one cycle does, and sends, is bounded.
 */
final class AwakeReplicas {
  /** Heartbeats of so many groups fit one frame, and several frames the ring of a connection. */
  private static final int MAX_PER_CYCLE = 256;

  private final boolean neverAgain;
  private final ArrayList<Replica> list = new ArrayList<>();
  private int next;
  private long round;

  /** Creates a list; with the mistake that tests make, who has been quiet is never here again. */
  AwakeReplicas(boolean neverAgain) {
    this.neverAgain = neverAgain;
  }

  int size() {
    return list.size();
  }

  /** A replica has something to wait for. */
  void add(Replica replica) {
    if (!replica.isListed) {
      replica.isListed = true;
      list.add(replica);
    }
  }

  /**
   * Goes on with the round of a tick, or begins one if there was none for it; returns how many
   * replicas were visited.
   */
  int work(long ticks) {
    if (next == 0) {
      if (round == ticks) {
        return 0;
      }
      round = ticks;
    }
    int visited = 0;
    while (next < list.size() && visited < MAX_PER_CYCLE) {
      Replica replica = list.get(next);
      if (replica.needsTicks()) {
        replica.passTime();
      }
      visited++;
      if (replica.needsTicks()) {
        next++;
      } else {
        replica.isListed = neverAgain;
        // Its place goes to the last one, which may be itself.
        Replica last = list.remove(list.size() - 1);
        if (next < list.size()) {
          Replica _ = list.set(next, last);
        }
      }
    }
    if (next >= list.size()) {
      next = 0;
    }
    return visited;
  }
}
