package io.plinth.log.replication;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Quorum;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.ToIntFunction;

/**
 * Groups of replicas on simulated machines, from one seed: proposals, deaths of processes and
 * machines, pauses, partitions, lost connections, slow ways and devices, transfers of leadership,
 * and times in which nobody wants anything of a group; then all faults stop. Checked from outside
 * ({@link GroupCheck}):
 *
 * <ul>
 *   <li>one history: what any replica tells as committed at an index, every other tells too;
 *   <li>nothing that was acknowledged is lost, unless more machines lost their power than the
 *       policy promises to survive, and then it is told, and nothing that was flushed is lost;
 *   <li>a read that is granted sees all that had been acknowledged when it was asked for;
 *   <li>two leaders are never in one term;
 *   <li>when faults stop all groups commit, and all replicas have the same log, also after all
 *       machines lose their power; and leadership is handed over without an election timeout;
 *   <li>then all groups go quiet, and work again when they are needed, or their leaders die.
 * </ul>
 */
final class GroupSim {
  static final long MS = 1_000_000;
  private static final long STEP_NS = 50_000;
  private static final int QUIET_TICKS = 5;

  /** A run has found something that may not be. */
  static final class Violation extends AssertionError {
    private static final long serialVersionUID = 1L;

    Violation(String message) {
      super(message);
    }
  }

  private final long seed;
  final SimRandom random;
  final SimNetwork network;
  final AckPolicy policy;
  final List<GroupNode> nodes = new ArrayList<>();
  private final List<GroupCheck> checks = new ArrayList<>();
  private boolean calm;

  /** Entries of some log have rotted: who lacks them needs the state beside the log. */
  boolean isDamaged;

  /** How long some syncs of some nodes take. */
  int maxSlowSyncNs = 5_000_000;

  long nextId = 1;
  int transfers;
  int powerCuts;

  /** Creates one group. */
  GroupSim(long seed, int members, AckPolicy policy, Set<ReplicationBug> bugs) {
    this(seed, members, policy, bugs, 1 << 30);
  }

  /** Creates one group whose nodes keep so much of their logs in memory. */
  GroupSim(long seed, int members, AckPolicy policy, Set<ReplicationBug> bugs, long residentBytes) {
    this(seed, members, policy, bugs, residentBytes, 1);
  }

  /** Creates some groups with the same members. */
  GroupSim(
      long seed,
      int members,
      AckPolicy policy,
      Set<ReplicationBug> bugs,
      long residentBytes,
      int groups) {
    this.seed = seed;
    this.policy = policy;
    random = new SimRandom(seed);
    network = new SimNetwork(random);
    RaftConfig config = new RaftConfig(10, 2, policy, 16, 32, 1 << 18, 128, 16, 20, QUIET_TICKS);
    int[] numbers = new int[members];
    for (int i = 0; i < members; i++) {
      numbers[i] = i + 1;
    }
    for (int i = 0; i < groups; i++) {
      checks.add(new GroupCheck(this, i));
    }
    for (int number : numbers) {
      GroupNode node = new GroupNode(number, network, random, config, numbers, checks.get(0), bugs);
      node.groups = groups;
      node.listeners = checks::get;
      node.residentBytes = residentBytes;
      nodes.add(node);
    }
    nodes.forEach(this::start);
  }

  void free() {
    nodes.forEach(GroupNode::free);
  }

  void start(GroupNode node) {
    try {
      node.slowSyncNs = random.oneIn(3) ? maxSlowSyncNs : 0;
      node.start();
    } catch (RecoveryException e) {
      throw violation("node " + node.number + " does not start: " + e.getMessage());
    }
  }

  /** Runs with faults for a while, then without, and checks the end. */
  void run(long durationNs) {
    long end = network.nowNs() + durationNs;
    long nextTrouble = network.nowNs() + 100 * MS;
    while (network.nowNs() < end) {
      step();
      checks.get(random.nextInt(checks.size())).work();
      if (network.nowNs() >= nextTrouble) {
        trouble();
        nextTrouble = network.nowNs() + (5L + random.nextInt(120)) * MS;
      }
    }
    finish();
    checkTransfer();
    checkRest();
  }

  /** What had rotted is mended: the leader may try again to send it, as owners let it. */
  void mended() {
    for (GroupNode node : nodes) {
      GroupNode leader = leader();
      if (leader != null && !leader.equals(node) && leader.replica.needsResync(node.number)) {
        leader.replica.resynced(node.number, 0, false);
      }
    }
  }

  /** Returns the sum over all groups. */
  int sum(ToIntFunction<GroupCheck> what) {
    return checks.stream().mapToInt(what).sum();
  }

  /** Nobody waits for an election when leadership is handed over. */
  private void checkTransfer() {
    nodes.forEach(node -> node.storage.slowSyncs(0));
    GroupNode leader = leader();
    GroupNode target = nodes.get(leader.number % nodes.size());
    boolean done =
        leader.replica.transferLeadership(target.number)
            && runUntil(() -> target.replica.role() == Role.LEADER, GroupNode.TICK_NS * 8);
    if (!done) {
      throw violation("leadership is not handed over: " + describe());
    }
    transfers++;
  }

  /** Nobody speaks of a group that rests; and it is there when it is needed. */
  private void checkRest() {
    awaitRest();
    if (runUntil(() -> !allRest(), 20 * GroupNode.TICK_NS)) {
      throw violation("who rests wakes without a reason: " + describe());
    }
    // What is proposed now is lost on the way.
    for (GroupNode node : nodes) {
      nodes.forEach(other -> network.reset(node.number, other.number));
    }
    for (GroupCheck check : checks) {
      long _ = check.proposeOne();
    }
    awaitRest();
    GroupNode dead = leader();
    dead.kill();
    // 10 ticks until it is taken for dead, up to 10 by chance; twice as long if votes are split.
    boolean led =
        runUntil(
            () -> checks.stream().allMatch(check -> check.leader() != null),
            60 * GroupNode.TICK_NS);
    if (!led) {
      throw violation("nobody follows a leader that has died: " + describe());
    }
    start(dead);
    awaitRest();
  }

  private void awaitRest() {
    if (!runUntil(this::allRest, 2_000 * MS)) {
      throw violation("not all groups rest: " + describe());
    }
  }

  private boolean allRest() {
    return checks.stream().allMatch(GroupCheck::allRest);
  }

  /**
   * Lets faults stop, and checks the end, and that it is still so after all have lost their power.
   */
  void finish() {
    calmDown();
    checks.forEach(GroupCheck::checkConvergence);
    for (GroupNode node : nodes) {
      node.losePower();
    }
    nodes.forEach(this::start);
    powerCuts += nodes.size();
    checks.forEach(GroupCheck::checkConvergence);
  }

  void calmDown() {
    calm = true;
    network.heal();
    network.lose(0);
    network.late(0, 0);
    for (GroupNode node : nodes) {
      node.pause(0);
      if (!node.up) {
        start(node);
      }
    }
  }

  void step() {
    network.advance(STEP_NS);
    for (GroupNode node : nodes) {
      // Clocks drift, by less than leases allow for.
      long drift = calm ? 0 : (random.nextInt(3) - 1) * STEP_NS / 20;
      node.cycle(STEP_NS + drift);
    }
  }

  boolean runUntil(BooleanSupplier condition, long limitNs) {
    long end = network.nowNs() + limitNs;
    while (!condition.getAsBoolean()) {
      if (network.nowNs() >= end) {
        return false;
      }
      step();
    }
    return true;
  }

  /** Returns who leads the first group. */
  GroupNode leader() {
    return checks.get(0).leader();
  }

  /** Lets whoever thinks that it leads the first group take some proposals. */
  void propose() {
    checks.get(0).propose();
  }

  private void trouble() {
    GroupNode node = nodes.get(random.nextInt(nodes.size()));
    GroupNode other = nodes.get(random.nextInt(nodes.size()));
    GroupCheck check = checks.get(random.nextInt(checks.size()));
    switch (random.nextInt(15)) {
      case 0 -> network.block(node.number, other.number);
      case 1 -> {
        for (GroupNode peer : nodes) {
          network.block(node.number, peer.number);
          network.block(peer.number, node.number);
        }
      }
      case 2 -> network.heal();
      case 3 -> network.slow(node.number, other.number, random.nextInt(20) * MS, 100);
      case 4 -> network.lose(random.oneIn(2) ? 0 : 200);
      case 5 -> network.late(random.oneIn(2) ? 0 : 20, (int) (5 * MS));
      case 6, 7 -> {
        if (node.up) {
          node.kill();
        }
      }
      case 8, 9 -> {
        if (node.up) {
          node.losePower();
          powerCuts++;
        }
      }
      case 10 -> {
        // All at once; under `durable` nothing may be lost, under `appended` it must be told.
        if (random.oneIn(3)) {
          for (GroupNode peer : nodes) {
            if (peer.up && !random.oneIn(4)) {
              peer.losePower();
              powerCuts++;
            }
          }
        }
      }
      case 11 -> {
        // Who leads is asked by its clients while it sleeps.
        GroupNode sleeper = check.leader() == null ? node : check.leader();
        sleeper.pause((5L + random.nextInt(120)) * MS);
      }
      case 12 -> {
        boolean _ = check.transferTo(other);
      }
      default -> network.reset(node.number, other.number);
    }
    for (GroupNode down : nodes) {
      if (!down.up && random.oneIn(3)) {
        start(down);
      }
    }
  }

  String describe() {
    StringBuilder text = new StringBuilder();
    for (GroupNode node : nodes) {
      checks.forEach(check -> check.describe(node, text));
      text.append(" connections");
      for (GroupNode other : nodes) {
        boolean connected = node.up && node.replicator.isConnected(other.number);
        text.append(connected ? " " + other.number : "");
      }
    }
    text.append("\n  acknowledged ").append(sum(check -> check.acknowledgements));
    text.append(" majority ").append(Quorum.majority(nodes.size()));
    return text.toString();
  }

  Violation violation(String what) {
    return new Violation("seed " + seed + " at " + network.nowNs() / MS + " ms: " + what);
  }
}
