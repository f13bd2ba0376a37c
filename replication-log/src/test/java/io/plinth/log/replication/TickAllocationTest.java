package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftConfig;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Garbage of the time that passes for replicas of many groups, whose peers can't be reached. */
class TickAllocationTest implements JournalListener {
  private static final int GROUPS = 300;
  private static final long TICK_NS = 1_000_000;
  private static final long STEP_NS = TICK_NS / 2;

  private final SimDisk disk = new SimDisk(64 << 20, 4);
  private final SimRandom random = new SimRandom(1);
  private final SimCore core = new SimCore(0, 0);
  private final SimLogStorage storage = new SimLogStorage(disk, core, random);
  private final Journal journal =
      new Journal(
          "log",
          core,
          storage,
          42,
          1,
          new RecoveredLog(List.of(), List.of(), 0, 1, 0, 0, 0, 0, 0, 0, Map.of()),
          true,
          1 << 30,
          0,
          this,
          Set.of());
  private final Replicator replicator =
      new Replicator(
          core,
          journal,
          (address, connector) -> false,
          PeerIdentity.of(new UUID(1, 1), 1, 0, 1, new UUID(2, 2)),
          random::nextLong,
          TICK_NS,
          Set.of());

  @AfterEach
  void free() {
    disk.close();
  }

  @Test
  void timeMakesNoGarbage() {
    replicator.addPeer(2, 0, "two");
    replicator.addPeer(3, 0, "three");
    RaftConfig config =
        new RaftConfig(10, 2, AckPolicy.APPENDED, 64, 256, 8 << 20, 1024, 16, 20, 50);
    for (int group = 0; group < GROUPS; group++) {
      GroupState first = GroupState.first(group, Membership.of(1, 2, 3));
      Replica _ =
          replicator.add(
              group, new ReplicaStart(config, new RecoveredGroup(first, 1), true), new Unheard());
    }
    replicator.start();
    for (int i = 0; replicator.awakeCount() < GROUPS; i++) {
      assertThat(i).isLessThan(10_000);
      long _ = cycle();
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long _ = run(10_000);
    long before = threads.getCurrentThreadAllocatedBytes();
    long visits = run(10_000);
    long bytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(visits).isGreaterThan(1_000_000);
    // A cycle of the simulated core makes some itself, for all of its 150 visits together.
    assertThat(bytes).as("bytes of %d visits", visits).isLessThanOrEqualTo(visits);
  }

  private long run(int cycles) {
    long visits = 0;
    for (int i = 0; i < cycles; i++) {
      visits += cycle();
    }
    return visits;
  }

  private long cycle() {
    core.cycle(STEP_NS);
    int work = replicator.beforeSeal(core.nowNs());
    int _ = journal.doWork(core.nowNs());
    int _ = replicator.afterSeal(core.nowNs());
    return work;
  }

  @Override
  public void onAppended(long sequence) {
    replicator.onAppended(sequence);
  }

  @Override
  public void onDurable(long sequence) {
    replicator.onDurable(sequence);
  }

  @Override
  public void onReady() {}

  @Override
  public boolean mayFreeSegments() {
    return false;
  }

  @Override
  public void onFailed(int status, long sequence) {
    throw new IllegalStateException("failed with " + status);
  }
}
