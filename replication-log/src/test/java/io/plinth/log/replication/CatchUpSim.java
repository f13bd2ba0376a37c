package io.plinth.log.replication;

import io.plinth.log.wire.EntryBody;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.EntryKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * A follower of a {@link GroupSim} is away until what it lacks has left the memory of the others.
 * Then it is back, while the disk of the leader is slow and connections are lost. In some runs bits
 * of the leader's entries have rotted: nobody may get what was not written, and once they are
 * mended the follower catches up.
 */
final class CatchUpSim {
  private static final int SEGMENT_BYTES = 1 << 19;
  private static final long MS = 1_000_000;

  final GroupSim sim;
  private final EntryBody body = new EntryBody();
  private final List<GroupNode.Bit> rotten = new ArrayList<>();
  long fromDisk;
  long damaged;
  int rottenEntries;

  CatchUpSim(long seed, AckPolicy policy, Set<ReplicationBug> bugs) {
    sim = new GroupSim(seed, 3, policy, bugs, SEGMENT_BYTES);
  }

  void run() {
    await("a leader", () -> sim.leader() != null && sim.leader().replica.committedIndex() > 0);
    GroupNode follower = sim.nodes.get(sim.leader().number % sim.nodes.size());
    await("all", () -> follower.replica != null && follower.replica.isRunning());
    long lacked = follower.replica.lastIndex() + 1;
    if (sim.random.oneIn(2)) {
      follower.kill();
    } else {
      follower.losePower();
      sim.powerCuts++;
    }
    int segments = 3 + sim.random.nextInt(3);
    await("a log that has left memory", () -> hasGrown(segments, lacked));
    GroupNode leader = sim.leader();
    if (sim.random.oneIn(2)) {
      rot(leader, lacked);
    }
    leader.storage.slowReads(sim.random.nextInt(3) * (int) (10 * MS) + 1);
    sim.start(follower);
    trouble(leader, follower);
    fromDisk = leader.up ? leader.replicator.entriesFromDisk() : 0;
    damaged = leader.up ? leader.replicator.damagedEntries() : 0;
    rotten.forEach(leader::mend);
    sim.mended();
    sim.finish();
  }

  /** Lets the log grow to so many segments; returns whether what is lacked is out of memory. */
  private boolean hasGrown(int segments, long lacked) {
    GroupNode leader = sim.leader();
    if (leader == null) {
      return false;
    }
    if (leader.journal.segmentsInUse() <= segments) {
      sim.propose();
    }
    return leader.journal.segmentsInUse() > segments
        && leader.replica.lastIndex() > lacked + 1
        && !leader.isInMemory(lacked + 1, body);
  }

  /** Lets some of the entries rot that the follower lacks, and that are not hidden by memory. */
  private void rot(GroupNode leader, long lacked) {
    for (int i = 1 + sim.random.nextInt(3); i > 0; i--) {
      long index = lacked + sim.random.nextInt((int) (leader.replica.lastIndex() - lacked));
      boolean isPayload = leader.replica.entryKind(index) == EntryKind.PAYLOAD;
      if (isPayload && !leader.isInMemory(index, body)) {
        rotten.add(leader.rot(index));
        rottenEntries++;
        sim.isDamaged = true;
      }
    }
  }

  private void trouble(GroupNode leader, GroupNode follower) {
    long end = sim.network.nowNs() + 150 * MS;
    while (sim.network.nowNs() < end) {
      sim.step();
      if (sim.random.oneIn(40)) {
        sim.propose();
      }
      if (sim.random.oneIn(600)) {
        sim.network.reset(leader.number, follower.number);
      }
    }
  }

  private void await(String what, BooleanSupplier condition) {
    if (!sim.runUntil(condition, 5_000 * MS)) {
      throw sim.violation("there is not " + what + ": " + sim.describe());
    }
  }
}
