package io.plinth.log.replication;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Quorum;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.RaftCore;
import io.plinth.raft.core.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;

/**
 * A group of replicas on simulated machines, from one seed: proposals, deaths of processes and
 * machines, pauses, partitions, lost connections, slow ways and devices, transfers of leadership;
 * then all faults stop. Checked from outside:
 *
 * <ul>
 *   <li>one history: what any replica tells as committed at an index, every other tells too;
 *   <li>nothing that was acknowledged is lost, unless more machines lost their power than the
 *       policy promises to survive, and then it is told, and nothing that was flushed is lost;
 *   <li>a read that is granted sees all that had been acknowledged when it was asked for;
 *   <li>two leaders are never in one term;
 *   <li>when faults stop the group commits, and all replicas have the same log, also after all
 *       machines lose their power; and leadership is handed over without an election timeout.
 * </ul>
 */
final class GroupSim implements ReplicaListener {
  private static final long STEP_NS = 50_000;
  private static final long MS = 1_000_000;

  /** A run has found something that may not be. */
  static final class Violation extends AssertionError {
    private static final long serialVersionUID = 1L;

    Violation(String message) {
      super(message);
    }
  }

  private record Proposal(long id, int node, int life, long index, long term) {}

  private final long seed;
  final SimRandom random;
  final SimNetwork network;
  final AckPolicy policy;
  final List<GroupNode> nodes = new ArrayList<>();
  private boolean calm;

  /** How long some syncs of some nodes take. */
  int maxSlowSyncNs = 5_000_000;

  // What the checks know.
  private final TreeMap<Long, Integer> leaders = new TreeMap<>();
  private final ArrayList<String> history = new ArrayList<>();
  private final List<Proposal> pending = new ArrayList<>();
  private final TreeMap<Long, Long> acknowledged = new TreeMap<>();
  private long flushed;
  private long epochTerm;
  private final ReadCheck reads = new ReadCheck();
  private long nextId = 1;
  int transfers;
  int acknowledgements;
  int flushes;
  int raisedEpochs;
  int powerCuts;

  GroupSim(long seed, int members, AckPolicy policy, Set<ReplicationBug> bugs) {
    this(seed, members, policy, bugs, 1 << 30);
  }

  /** Creates a group whose nodes keep so much of their logs in memory. */
  GroupSim(long seed, int members, AckPolicy policy, Set<ReplicationBug> bugs, long residentBytes) {
    this.seed = seed;
    this.policy = policy;
    random = new SimRandom(seed);
    network = new SimNetwork(random);
    RaftConfig config = new RaftConfig(10, 2, policy, 16, 32, 1 << 18, 128, 16, 20);
    int[] numbers = new int[members];
    for (int i = 0; i < members; i++) {
      numbers[i] = i + 1;
    }
    for (int number : numbers) {
      nodes.add(new GroupNode(number, network, random, config, numbers, this, bugs));
    }
    nodes.forEach(node -> node.residentBytes = residentBytes);
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
      if (random.oneIn(10)) {
        propose();
      }
      if (random.oneIn(20)) {
        read();
      }
      if (network.nowNs() >= nextTrouble) {
        trouble();
        nextTrouble = network.nowNs() + (5L + random.nextInt(120)) * MS;
      }
    }
    finish();
    checkTransfer();
  }

  int grantedReads() {
    return reads.granted;
  }

  /** Asks whoever thinks that it leads, also if it sleeps and is asked when it wakes up. */
  private void read() {
    reads.forgetDead();
    for (GroupNode node : nodes) {
      boolean leads = node.up && node.replica != null && node.replica.role() == Role.LEADER;
      if (leads && reads.pending() < 64) {
        reads.ask(node, acknowledged.isEmpty() ? 0 : acknowledged.lastKey());
      }
    }
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

  /**
   * Lets faults stop, and checks the end, and that it is still so after all have lost their power.
   */
  void finish() {
    calmDown();
    checkConvergence();
    for (GroupNode node : nodes) {
      node.losePower();
    }
    nodes.forEach(this::start);
    powerCuts += nodes.size();
    checkConvergence();
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

  GroupNode leader() {
    GroupNode best = null;
    for (GroupNode node : nodes) {
      boolean leads = node.up && node.replica != null && node.replica.role() == Role.LEADER;
      if (leads && (best == null || node.replica.term() > best.replica.term())) {
        best = node;
      }
    }
    return best;
  }

  /** Lets whoever thinks that it leads take some proposals, and sometimes flush. */
  void propose() {
    for (GroupNode node : nodes) {
      if (!node.up
          || node.isPaused()
          || node.replica == null
          || node.replica.role() != Role.LEADER) {
        continue;
      }
      for (int i = random.nextInt(5); i >= 0; i--) {
        long id = nextId++;
        long index =
            switch (random.nextInt(6)) {
              case 0 -> node.command(id, 8 + random.nextInt(60));
              case 1 -> node.unmap(id);
              default -> node.write(id, 1 + random.nextInt(3));
            };
        if (index > 0) {
          pending.add(new Proposal(id, node.number, node.life, index, node.replica.term()));
        } else {
          break;
        }
      }
      if (random.oneIn(8)) {
        boolean _ = node.replica.flush();
      }
    }
  }

  private void trouble() {
    GroupNode node = nodes.get(random.nextInt(nodes.size()));
    GroupNode other = nodes.get(random.nextInt(nodes.size()));
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
        GroupNode sleeper = leader() == null ? node : leader();
        sleeper.pause((5L + random.nextInt(120)) * MS);
      }
      case 12 -> {
        GroupNode leader = leader();
        if (leader != null && !leader.isPaused()) {
          boolean _ = leader.replica.transferLeadership(other.number);
        }
      }
      default -> network.reset(node.number, other.number);
    }
    for (GroupNode down : nodes) {
      if (!down.up && random.oneIn(3)) {
        start(down);
      }
    }
  }

  private void checkConvergence() {
    long before = acknowledgements;
    boolean commits =
        runUntil(
            () -> {
              pending.removeIf(this::isHopeless);
              if (leader() != null && pending.size() < 3) {
                propose();
              }
              return acknowledgements >= before + 5;
            },
            5_000 * MS);
    if (!commits || !runUntil(this::allAgree, 5_000 * MS)) {
      throw violation("the group does not recover: " + describe());
    }
    GroupNode leader = leader();
    for (long index = 1; index <= leader.replica.committedIndex(); index++) {
      String expected = leader.content(index);
      if (!expected.equals(history.get((int) index - 1))) {
        throw violation(
            "entry "
                + index
                + " is "
                + expected
                + " in the end, and was "
                + history.get((int) index - 1));
      }
      for (GroupNode node : nodes) {
        if (!node.content(index).equals(expected)) {
          throw violation(
              "entry "
                  + index
                  + " of node "
                  + node.number
                  + " is "
                  + node.content(index)
                  + ", of node "
                  + leader.number
                  + " "
                  + expected);
        }
      }
    }
    acknowledged.forEach((index, id) -> {
      if (!leader.content(index).contains(" " + id + " ")) {
        throw violation("acknowledged proposal " + id + " is lost: " + leader.content(index));
      }
    });
  }

  /** What was proposed to a leader that is none any more may wait for ever. */
  private boolean isHopeless(Proposal proposal) {
    GroupNode node = nodes.get(proposal.node - 1);
    return node.life != proposal.life
        || node.replica == null
        || node.replica.role() != Role.LEADER
        || node.replica.term() != proposal.term;
  }

  private boolean allAgree() {
    GroupNode leader = leader();
    for (GroupNode node : nodes) {
      if (leader == null
          || node.replica == null
          || !node.replica.isRunning()
          || node.replica.isRecovering()
          || node.replica.committedIndex() != leader.replica.committedIndex()
          || node.replica.lastIndex() != leader.replica.lastIndex()
          || leader.replica.committedIndex() != leader.replica.lastIndex()) {
        return false;
      }
    }
    return true;
  }

  private GroupNode node(Replica replica) {
    for (GroupNode node : nodes) {
      if (node.replica == replica) {
        return node;
      }
    }
    throw new IllegalStateException("told by a replica of an earlier life");
  }

  @Override
  public void onRole(Replica replica, boolean leads, long term, int leaderNode) {
    if (!leads) {
      return;
    }
    GroupNode node = node(replica);
    Integer other = leaders.putIfAbsent(term, node.number);
    if (other != null && other != node.number) {
      throw violation("two leaders in term " + term + ": " + other + " and " + node.number);
    }
    if (replica.epoch() == term) {
      raise(node);
    }
  }

  /**
   * More power was lost than acknowledgements survive: what the new leader has is what there is.
   */
  private void raise(GroupNode node) {
    if (policy == AckPolicy.DURABLE) {
      throw violation("an epoch is raised though nothing can be lost");
    }
    raisedEpochs++;
    epochTerm = node.replica.term();
    int kept = 0;
    // The newest entry is the one that begins the epoch; it is not written yet.
    while (kept < history.size()
        && kept < node.replica.lastIndex() - 1
        && node.content(kept + 1L).equals(history.get(kept))) {
      kept++;
    }
    if (kept < flushed) {
      throw violation("a new epoch keeps " + kept + " of " + flushed + " flushed entries");
    }
    history.subList(kept, history.size()).clear();
    acknowledged.tailMap((long) kept, false).clear();
    reads.lost(kept);
  }

  @Override
  public void onCommitted(Replica replica, long from, long to) {
    GroupNode node = node(replica);
    if (replica.epoch() < epochTerm) {
      // It does not know yet that its epoch is over.
      return;
    }
    for (long index = from + 1; index <= to; index++) {
      String content = node.content(index);
      if (content.contains("checksum") || content.contains("other payload")) {
        throw violation("entry " + index + " of node " + node.number + " is " + content);
      }
      if (index > history.size()) {
        history.add(content);
      } else if (!history.get((int) index - 1).equals(content)) {
        throw violation(
            "node "
                + node.number
                + " commits "
                + content
                + " as entry "
                + index
                + ", another "
                + history.get((int) index - 1));
      }
    }
    pending.removeIf(proposal -> {
      boolean done =
          proposal.node == node.number
              && proposal.life == node.life
              && proposal.index <= to
              && replica.entryTerm(proposal.index) == proposal.term;
      if (done) {
        acknowledgements++;
        acknowledged.put(proposal.index, proposal.id);
      }
      return done || nodes.get(proposal.node - 1).life != proposal.life;
    });
  }

  @Override
  public void onFlushed(Replica replica, long index) {
    if (replica.epoch() >= epochTerm) {
      flushes++;
      flushed = Math.max(flushed, index);
    }
  }

  @Override
  public void onReadGranted(Replica replica, long id, long index) {
    String wrong = reads.granted(id, index);
    if (wrong != null && replica.epoch() >= epochTerm) {
      throw violation(wrong);
    }
  }

  @Override
  public void onReadRefused(Replica replica, long id) {
    reads.refused(id);
  }

  @Override
  public void onCommittedLost(Replica replica, long index) {
    if (policy == AckPolicy.DURABLE) {
      throw violation("committed entry " + index + " is lost though it was durable");
    }
  }

  @Override
  public void onEpochRaised(Replica replica, long epoch) {}

  @Override
  public void onResyncNeeded(Replica replica, int node) {
    throw violation("nothing is compacted, yet a resync is needed");
  }

  @Override
  public void onStopped(Replica replica, String why) {
    throw violation("node " + node(replica).number + " stops: " + why);
  }

  String describe() {
    StringBuilder text = new StringBuilder();
    for (GroupNode node : nodes) {
      text.append("\n  node ").append(node.number);
      if (node.replica == null) {
        text.append(node.up ? " starts" : " is down");
        continue;
      }
      text.append(' ').append(node.replica.role()).append(" term ").append(node.replica.term());
      text.append(" leader ")
          .append(node.replica.leader() == RaftCore.NO_NODE ? "-" : "" + node.replica.leader());
      text.append(" last ").append(node.replica.lastIndex());
      text.append(" committed ").append(node.replica.committedIndex());
      text.append(node.replica.isRunning() ? "" : " not running");
      text.append(node.replica.isRecovering() ? " recovering" : "");
      text.append(" connections");
      for (GroupNode other : nodes) {
        text.append(node.replicator.isConnected(other.number) ? " " + other.number : "");
      }
    }
    text.append("\n  acknowledged ").append(acknowledgements);
    text.append(" majority ").append(Quorum.majority(nodes.size()));
    return text.toString();
  }

  Violation violation(String what) {
    return new Violation("seed " + seed + " at " + network.nowNs() / MS + " ms: " + what);
  }
}
