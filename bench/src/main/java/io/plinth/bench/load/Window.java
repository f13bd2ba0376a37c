package io.plinth.bench.load;

/** What the load is doing now; the connections look at it once for each batch. */
final class Window {
  enum Phase {
    WARMUP,
    MEASURE,
    STOP
  }

  private volatile Phase phase = Phase.WARMUP;

  Phase phase() {
    return phase;
  }

  void enter(Phase next) {
    phase = next;
  }
}
