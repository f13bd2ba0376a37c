package io.plinth.log.replication;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.recovery.RecoveredLog;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.Role;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Garbage of an entry from its proposal to its commit, in a group of one. */
class ReplicaAllocationTest implements JournalListener {
  // No ring of entries grows between the two.
  private static final int WARM_UP = 140_000;
  private static final int ENTRIES = 100_000;
  // So few batches that none of them has to be synced: the simulated disk makes garbage.
  private static final int BATCH = 400;

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
          1_000_000,
          Set.of());
  private long committed;

  @AfterEach
  void free() {
    disk.close();
  }

  @Test
  void anEntryAllocatesAtMostOneByte() {
    core.addCycleTask(replicator::beforeSeal);
    core.addCycleTask(journal);
    core.addCycleTask(replicator::afterSeal);
    RaftConfig config = new RaftConfig(10, 2, AckPolicy.APPENDED, 64, 256, 8 << 20, 1024, 16, 20);
    Replica replica =
        replicator.add(
            5,
            new ReplicaStart(
                config, new RecoveredGroup(GroupState.first(5, Membership.of(1)), 1), true),
            new Unheard() {
              @Override
              public void onCommitted(Replica replica, long from, long to) {
                committed = to;
                replica.applied(to);
              }
            });
    assertThat(replica.role()).isEqualTo(Role.LEADER);
    while (!journal.isReady()) {
      core.cycle(10_000);
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    run(replica, WARM_UP);
    long before = threads.getCurrentThreadAllocatedBytes();
    run(replica, ENTRIES);
    long bytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertThat(committed).isEqualTo(WARM_UP + ENTRIES);
    assertThat(bytes).isLessThanOrEqualTo(ENTRIES);
  }

  private void run(Replica replica, int entries) {
    for (int done = 0; done < entries; done += BATCH) {
      for (int i = 0; i < BATCH; i++) {
        if (replica.propose(RecordHeader.UNMAP, 0, i, 1) <= 0) {
          throw new IllegalStateException("refused: " + journal.refusal());
        }
      }
      int _ = replicator.beforeSeal(core.nowNs());
      int _ = journal.doWork(core.nowNs());
      int _ = replicator.afterSeal(core.nowNs());
    }
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
