package io.plinth.log.replication;

import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Role;
import java.util.Set;

/**
 * Elections, one upon another: machines die while they vote, and votes are late. What a replica
 * forgets of its promises shows as two leaders of one term.
 */
final class ElectionStorm {
  private static final long STEP_NS = 250_000;
  private static final long MS = 1_000_000;

  final GroupSim sim;

  ElectionStorm(long seed, AckPolicy policy, Set<ReplicationBug> bugs) {
    sim = new GroupSim(seed, 3, policy, bugs);
  }

  void run(long durationNs) {
    long end = sim.network.nowNs() + durationNs;
    sim.maxSlowSyncNs = 30_000_000;
    while (sim.network.nowNs() < end) {
      sim.network.advance(STEP_NS);
      for (GroupNode node : sim.nodes) {
        node.cycle(STEP_NS);
      }
      if (sim.random.oneIn(200)) {
        sim.propose();
      }
      if (sim.random.oneIn(120)) {
        trouble();
      }
      if (sim.random.oneIn(8)) {
        killVoter();
      }
    }
  }

  /** While one stands for election, another, who may just have voted, is started anew. */
  private void killVoter() {
    GroupNode voter = sim.nodes.get(sim.random.nextInt(sim.nodes.size()));
    for (GroupNode node : sim.nodes) {
      boolean stands = node.replica != null && node.replica.role() == Role.CANDIDATE;
      if (stands && node != voter && voter.replica != null) {
        if (sim.random.oneIn(3)) {
          voter.kill();
        } else {
          voter.losePower();
        }
        sim.start(voter);
        return;
      }
    }
  }

  private void trouble() {
    GroupNode node = sim.nodes.get(sim.random.nextInt(sim.nodes.size()));
    GroupNode other = sim.nodes.get(sim.random.nextInt(sim.nodes.size()));
    GroupNode leader = sim.leader();
    switch (sim.random.nextInt(6)) {
      case 0 -> sim.network.heal();
      case 1, 2 ->
          sim.network.slow(node.number, other.number, (15L + sim.random.nextInt(25)) * MS, 0);
      default -> {
        // Who has just voted, and who leads.
        GroupNode victim = leader != null && sim.random.oneIn(2) ? leader : node;
        if (sim.random.oneIn(3)) {
          victim.kill();
        } else {
          victim.losePower();
        }
        sim.start(victim);
      }
    }
  }
}
