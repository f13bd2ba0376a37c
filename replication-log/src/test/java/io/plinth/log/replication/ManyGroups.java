package io.plinth.log.replication;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.RaftConfig;
import io.plinth.raft.core.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * Three nodes with a replica each of many groups, with the timers of production, on simulated disks
 * and a simulated network. Two leaders are never in one term of a group.
 */
final class ManyGroups implements ReplicaListener {
  static final long MS = 1_000_000;
  static final long TICK_NS = 20 * MS;
  private static final long STEP_NS = 250_000;

  final SimRandom random;
  final SimNetwork network;
  final List<GroupNode> nodes = new ArrayList<>();
  private final int groups;
  // Of each group: who led in the newest term, that term, and what was acknowledged last.
  private final int[] leaders;
  private final long[] terms;
  private final long[] acknowledgedIndexes;
  private final long[] acknowledgedTerms;

  /** How many replicas had ticks to wait for at most, after any step. */
  int mostAwake;

  ManyGroups(int groups, long seed, AckPolicy policy) throws RecoveryException {
    this(groups, seed, policy, 50);
  }

  ManyGroups(int groups, long seed, AckPolicy policy, int quietTicks) throws RecoveryException {
    this.groups = groups;
    random = new SimRandom(seed);
    network = new SimNetwork(random);
    leaders = new int[groups];
    terms = new long[groups];
    acknowledgedIndexes = new long[groups];
    acknowledgedTerms = new long[groups];
    RaftConfig config =
        new RaftConfig(10, 2, policy, 64, 256, 8L << 20, 1 << 16, 16, 20, quietTicks);
    int[] members = {1, 2, 3};
    for (int number : members) {
      GroupNode node = new GroupNode(number, network, random, config, members, this, Set.of());
      node.groups = groups;
      node.tickNs = TICK_NS;
      nodes.add(node);
      node.start();
      // Nobody starts at the same time as somebody else, so that ticks come at different times.
      pass(MS * (1 + random.nextInt(20)));
    }
  }

  void free() {
    nodes.forEach(GroupNode::free);
  }

  void step() {
    network.advance(STEP_NS);
    int awake = 0;
    for (GroupNode node : nodes) {
      node.cycle(STEP_NS);
      awake += node.up ? node.replicator.awakeCount() : 0;
    }
    mostAwake = Math.max(mostAwake, awake);
  }

  void pass(long durationNs) {
    for (long ns = 0; ns < durationNs; ns += STEP_NS) {
      step();
    }
  }

  /** Returns how long it took. */
  long await(String what, long limitNs, BooleanSupplier condition) {
    long start = network.nowNs();
    while (!condition.getAsBoolean()) {
      if (network.nowNs() - start > limitNs) {
        throw new AssertionError(what + " is not so after " + limitNs / MS + " ms: " + describe());
      }
      step();
    }
    return network.nowNs() - start;
  }

  /** Returns the replica that leads a group and has committed in its term, or null. */
  Replica leader(int group) {
    for (GroupNode node : nodes) {
      if (!node.up || node.replicas.size() < groups) {
        continue;
      }
      Replica replica = node.replicas.get(group);
      if (replica.role() == Role.LEADER
          && replica.committedIndex() == replica.lastIndex()
          && replica.entryTerm(replica.lastIndex()) == replica.term()) {
        return replica;
      }
    }
    return null;
  }

  boolean allLead() {
    for (int group = 0; group < groups; group++) {
      if (leader(group) == null) {
        return false;
      }
    }
    return true;
  }

  int ledBy(GroupNode node) {
    int count = 0;
    for (Replica replica : node.replicas) {
      count += replica.role() == Role.LEADER ? 1 : 0;
    }
    return count;
  }

  boolean allRest() {
    for (GroupNode node : nodes) {
      boolean rests = !node.up || (!node.replicas.isEmpty() && node.replicator.awakeCount() == 0);
      if (!rests || (node.up && !node.replicas.stream().allMatch(Replica::isQuiet))) {
        return false;
      }
    }
    return true;
  }

  /** Proposes one entry in each group, and waits until all are acknowledged. */
  void writeAll() {
    for (int group = 0; group < groups; group++) {
      Replica leader = leader(group);
      if (group % 32 == 31) {
        step();
      }
      long index = leader.propose(RecordHeader.UNMAP, 0, group, 1);
      while (index == Replica.NO_ROOM) {
        step();
        index = leader.propose(RecordHeader.UNMAP, 0, group, 1);
      }
      if (index <= 0) {
        throw new AssertionError("group " + group + " refuses: " + index);
      }
    }
    long _ = await("a commit in all groups", 1_000 * MS, this::allLead);
    for (int group = 0; group < groups; group++) {
      Replica leader = leader(group);
      acknowledgedIndexes[group] = leader.committedIndex();
      acknowledgedTerms[group] = leader.entryTerm(leader.committedIndex());
    }
  }

  /** Returns what is lost of what was acknowledged, in words. */
  String lost() {
    StringBuilder text = new StringBuilder();
    for (int group = 0; group < groups; group++) {
      Replica leader = leader(group);
      long index = acknowledgedIndexes[group];
      if (leader.committedIndex() < index || leader.entryTerm(index) != acknowledgedTerms[group]) {
        text.append("entry ").append(index).append(" of group ").append(group).append("; ");
      }
    }
    return text.toString();
  }

  private String describe() {
    StringBuilder text = new StringBuilder();
    for (GroupNode node : nodes) {
      text.append("\n  node ").append(node.number);
      if (!node.up) {
        text.append(" is down");
        continue;
      }
      text.append(" leads ").append(ledBy(node));
      text.append(", awake ").append(node.replicator.awakeCount());
      text.append(", dropped ").append(node.replicator.droppedMessages());
      long quiet = node.replicas.stream().filter(Replica::isQuiet).count();
      text.append(", quiet ").append(quiet);
    }
    long without = 0;
    for (int group = 0; group < groups; group++) {
      without += leader(group) == null ? 1 : 0;
    }
    return text.append("\n  groups without a leader: ").append(without).toString();
  }

  @Override
  public void onRole(Replica replica, boolean leads, long term, int leaderNode) {
    int group = replica.group() - GroupNode.GROUP;
    if (!leads) {
      return;
    }
    if (term == terms[group] && leaders[group] != leaderNode) {
      throw new AssertionError("two leaders of group " + group + " in term " + term);
    }
    if (term > terms[group]) {
      terms[group] = term;
      leaders[group] = leaderNode;
    }
  }

  @Override
  public void onCommitted(Replica replica, long from, long to) {}

  @Override
  public void onFlushed(Replica replica, long index) {}

  @Override
  public void onReadGranted(Replica replica, long id, long index) {}

  @Override
  public void onReadRefused(Replica replica, long id) {}

  @Override
  public void onCommittedLost(Replica replica, long index) {
    throw new AssertionError("committed entry " + index + " of " + replica.group() + " is lost");
  }

  @Override
  public void onEpochRaised(Replica replica, long epoch) {
    throw new AssertionError("group " + replica.group() + " raises its epoch");
  }

  @Override
  public void onResyncNeeded(Replica replica, int node) {
    throw new AssertionError("node " + node + " needs what is compacted");
  }

  @Override
  public void onStopped(Replica replica, String why) {
    throw new AssertionError("group " + replica.group() + " stops: " + why);
  }

  /** Hands all groups to one node. */
  void handAllTo(GroupNode node) {
    long _ =
        await(
            "that node " + node.number + " leads all",
            20_000 * MS,
            () -> {
              if (network.nowNs() % (10 * MS) == 0) {
                for (int group = 0; group < groups; group++) {
                  Replica leader = leader(group);
                  if (leader != null && leader != node.replicas.get(group)) {
                    boolean _ = leader.transferLeadership(node.number);
                  }
                }
              }
              return ledBy(node) == groups && allLead();
            });
  }

  long dropped() {
    long dropped = 0;
    for (GroupNode node : nodes) {
      dropped += node.up ? node.replicator.droppedMessages() : 0;
    }
    return dropped;
  }
}
