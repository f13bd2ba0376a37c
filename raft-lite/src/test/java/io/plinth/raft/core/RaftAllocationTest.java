package io.plinth.raft.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/**
 * Garbage per entry: proposed, sent, appended at a follower, answered, committed, compacted; and
 * per rest of a group, from its last entry to the proposal that ends it.
 */
class RaftAllocationTest {
  private static final int WARM_UP = 200_000;
  private static final int ENTRIES = 200_000;
  private static final int RESTS = 50_000;

  private final RaftCore[] cores = new RaftCore[2];
  private final Message report = new Message();
  // Messages wait here: a core's actions are cleared before another one's answers come back.
  private final Message[] waiting = new Message[64];
  private int waitingCount;

  @Test
  void anEntryAllocatesAtMostOneByteOnBothSides() {
    for (int i = 0; i < waiting.length; i++) {
      waiting[i] = new Message();
    }
    for (int i = 0; i < 2; i++) {
      cores[i] =
          new RaftCore(
              RaftConfig.defaults(AckPolicy.DURABLE),
              RaftStart.empty(i + 1, Membership.of(1, 2)),
              () -> 0);
    }
    tick(1, 10);
    tick(0, 10);
    assertThat(cores[0].role()).isEqualTo(Role.LEADER);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long self = Thread.currentThread().threadId();
    propose(WARM_UP);

    long before = threads.getThreadAllocatedBytes(self);
    propose(ENTRIES);
    long allocated = threads.getThreadAllocatedBytes(self) - before;

    assertThat(cores[0].commitIndex()).isEqualTo(1 + WARM_UP + ENTRIES);
    assertThat((double) allocated / ENTRIES)
        .as("bytes allocated per entry (%d in all)", allocated)
        .isLessThanOrEqualTo(1.0);
  }

  @Test
  void aRestAllocatesAtMostOneByte() {
    for (int i = 0; i < waiting.length; i++) {
      waiting[i] = new Message();
    }
    for (int i = 0; i < 2; i++) {
      cores[i] =
          new RaftCore(
              RaftConfig.defaults(AckPolicy.DURABLE).withQuietTicks(3),
              RaftStart.empty(i + 1, Membership.of(1, 2)),
              () -> 0);
    }
    tick(1, 10);
    tick(0, 10);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long self = Thread.currentThread().threadId();
    rest(RESTS);

    long before = threads.getThreadAllocatedBytes(self);
    rest(RESTS);
    long allocated = threads.getThreadAllocatedBytes(self) - before;

    assertThat((double) allocated / RESTS)
        .as("bytes allocated per rest (%d in all)", allocated)
        .isLessThanOrEqualTo(1.0);
  }

  private void rest(int count) {
    for (int i = 0; i < count; i++) {
      propose(1);
      while (!cores[0].isQuiet() || !cores[1].isQuiet()) {
        tick(0, 1);
      }
      cores[0].pass(100);
      cores[1].pass(100);
      cores[0].onNode(2, false);
      cores[0].onNode(2, true);
      settle();
    }
  }

  private void propose(int count) {
    for (int i = 0; i < count; i++) {
      if (cores[0].propose(i, 4096) < 0) {
        throw new AssertionError("refused at " + i);
      }
      settle();
      if (i % 16 == 0) {
        tick(0, 1);
        cores[0].compact(cores[0].commitIndex());
        cores[1].compact(cores[1].commitIndex());
      }
    }
  }

  private void tick(int node, int times) {
    for (int i = 0; i < times; i++) {
      cores[node].tick();
      settle();
    }
  }

  private void settle() {
    boolean busy = true;
    while (busy) {
      busy = drain(cores[0]);
      busy |= drain(cores[1]);
      for (int i = 0; i < waitingCount; i++) {
        cores[waiting[i].to - 1].step(waiting[i]);
        busy = true;
      }
      waitingCount = 0;
    }
  }

  private boolean drain(RaftCore core) {
    Actions actions = core.actions();
    boolean any = actions.size() > 0;
    // Reports add actions while we go through them: those come later in the same list.
    for (int i = 0; i < actions.size(); i++) {
      Action action = actions.get(i);
      switch (action.kind()) {
        case SEND -> {
          Message _ = waiting[waitingCount++].copyFrom(action.message());
        }
        case APPEND -> core.step(report.durableUpTo(core.self, action.ticket(), action.index()));
        case PERSIST_HARD_STATE ->
            core.step(
                report.hardStateDurable(
                    core.self, action.term(), action.node(), action.recovering()));
        default -> {}
      }
    }
    actions.clear();
    return any;
  }
}
