package io.plinth.log.replication;

import io.plinth.engine.sim.SimRandom;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.RaftCore;
import io.plinth.raft.core.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/** One group of a {@link GroupSim}: what is asked of it, what it told, and what that may be. */
final class GroupCheck implements ReplicaListener {
  private record Proposal(long id, int node, int life, long index, long term) {}

  private final GroupSim sim;
  private final int group;
  private final SimRandom random;
  private final TreeMap<Long, Integer> leaders = new TreeMap<>();
  private final ArrayList<String> history = new ArrayList<>();
  private final List<Proposal> pending = new ArrayList<>();
  private final TreeMap<Long, Long> acknowledged = new TreeMap<>();
  private long flushed;
  private long epochTerm;
  private final ReadCheck reads = new ReadCheck();

  /** Nobody wants anything of the group before. */
  private long idleUntilNs;

  int acknowledgements;
  int flushes;
  int raisedEpochs;
  int rests;

  GroupCheck(GroupSim sim, int group) {
    this.sim = sim;
    this.group = group;
    random = sim.random;
  }

  /** Returns a node's replica, or null. */
  Replica replica(GroupNode node) {
    return node.up && group < node.replicas.size() ? node.replicas.get(group) : null;
  }

  private boolean leads(GroupNode node) {
    Replica replica = replica(node);
    return replica != null && replica.role() == Role.LEADER;
  }

  GroupNode leader() {
    GroupNode best = null;
    for (GroupNode node : sim.nodes) {
      if (leads(node) && (best == null || replica(node).term() > replica(best).term())) {
        best = node;
      }
    }
    return best;
  }

  int grantedReads() {
    return reads.granted;
  }

  /** Asks something of the group, most of the time. */
  void work() {
    long nowNs = sim.network.nowNs();
    GroupNode leader = leader();
    rests += leader != null && replica(leader).isQuiet() ? 1 : 0;
    if (nowNs < idleUntilNs) {
      return;
    }
    if (random.oneIn(10)) {
      propose();
    }
    if (random.oneIn(20)) {
      read();
    }
    if (random.oneIn(1500)) {
      idleUntilNs = nowNs + (20L + random.nextInt(150)) * GroupSim.MS;
    }
  }

  /** Asks whoever thinks that it leads, also if it sleeps and is asked when it wakes up. */
  private void read() {
    reads.forgetDead();
    for (GroupNode node : sim.nodes) {
      if (leads(node) && reads.pending() < 64) {
        reads.ask(node, replica(node), acknowledged.isEmpty() ? 0 : acknowledged.lastKey());
      }
    }
  }

  /** Lets whoever thinks that it leads take some proposals, and sometimes flush. */
  void propose() {
    for (GroupNode node : sim.nodes) {
      if (node.isPaused() || !leads(node)) {
        continue;
      }
      Replica replica = replica(node);
      for (int i = random.nextInt(5); i >= 0; i--) {
        long id = sim.nextId++;
        long index =
            switch (random.nextInt(6)) {
              case 0 -> node.command(replica, id, 8 + random.nextInt(60));
              case 1 -> GroupNode.unmap(replica, id);
              default -> node.write(replica, id, 1 + random.nextInt(3));
            };
        if (index > 0) {
          pending.add(new Proposal(id, node.number, node.life, index, replica.term()));
        } else {
          break;
        }
      }
      if (random.oneIn(8)) {
        boolean _ = replica.flush();
      }
    }
  }

  /** Proposes one entry to the leader; returns its index. */
  long proposeOne() {
    GroupNode leader = leader();
    Replica replica = replica(leader);
    long id = sim.nextId++;
    long index = GroupNode.unmap(replica, id);
    if (index <= 0) {
      throw sim.violation("a leader refuses a proposal: " + index + sim.describe());
    }
    pending.add(new Proposal(id, leader.number, leader.life, index, replica.term()));
    return index;
  }

  boolean transferTo(GroupNode target) {
    GroupNode leader = leader();
    return leader != null
        && !leader.isPaused()
        && replica(leader).transferLeadership(target.number);
  }

  /** The group commits, all agree, and what was told was right. */
  void checkConvergence() {
    long before = acknowledgements;
    boolean commits =
        sim.runUntil(
            () -> {
              pending.removeIf(this::isHopeless);
              if (leader() != null && pending.size() < 3) {
                propose();
              }
              return acknowledgements >= before + 5;
            },
            5_000 * GroupSim.MS);
    if (!commits || !sim.runUntil(this::allAgree, 5_000 * GroupSim.MS)) {
      throw sim.violation("group " + group + " does not recover: " + sim.describe());
    }
    GroupNode leader = leader();
    Replica leading = replica(leader);
    for (long index = 1; index <= leading.committedIndex(); index++) {
      String expected = leader.content(leading, index);
      if (!expected.equals(history.get((int) index - 1))) {
        throw sim.violation(
            "entry "
                + index
                + " is "
                + expected
                + " in the end, and was "
                + history.get((int) index - 1));
      }
      for (GroupNode node : sim.nodes) {
        if (!node.content(replica(node), index).equals(expected)) {
          throw sim.violation(
              "entry "
                  + index
                  + " of node "
                  + node.number
                  + " is "
                  + node.content(replica(node), index)
                  + ", of node "
                  + leader.number
                  + " "
                  + expected);
        }
      }
    }
    acknowledged.forEach((index, id) -> {
      String content = leader.content(leading, index);
      if (!content.contains(" " + id + " ")) {
        throw sim.violation("acknowledged proposal " + id + " is lost: " + content);
      }
    });
  }

  /** What was proposed to a leader that is none any more may wait for ever. */
  private boolean isHopeless(Proposal proposal) {
    GroupNode node = sim.nodes.get(proposal.node - 1);
    return node.life != proposal.life || !leads(node) || replica(node).term() != proposal.term;
  }

  boolean allAgree() {
    GroupNode leader = leader();
    if (leader == null) {
      return false;
    }
    Replica leading = replica(leader);
    for (GroupNode node : sim.nodes) {
      Replica replica = replica(node);
      if (replica == null
          || !replica.isRunning()
          || replica.isRecovering()
          || replica.committedIndex() != leading.committedIndex()
          || replica.lastIndex() != leading.lastIndex()
          || leading.committedIndex() != leading.lastIndex()) {
        return false;
      }
    }
    return true;
  }

  /** Returns whether all agree and none of them waits for anything. */
  boolean allRest() {
    for (GroupNode node : sim.nodes) {
      Replica replica = replica(node);
      if (replica == null || !replica.isQuiet()) {
        return false;
      }
    }
    return allAgree();
  }

  private GroupNode node(Replica replica) {
    for (GroupNode node : sim.nodes) {
      if (replica(node) == replica) {
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
      throw sim.violation("two leaders in term " + term + ": " + other + " and " + node.number);
    }
    if (replica.epoch() == term) {
      raise(node);
    }
  }

  /**
   * More power was lost than acknowledgements survive: what the new leader has is what there is.
   */
  private void raise(GroupNode node) {
    if (sim.policy == AckPolicy.DURABLE) {
      throw sim.violation("an epoch is raised though nothing can be lost");
    }
    raisedEpochs++;
    Replica replica = replica(node);
    epochTerm = replica.term();
    int kept = 0;
    // The newest entry is the one that begins the epoch; it is not written yet.
    while (kept < history.size()
        && kept < replica.lastIndex() - 1
        && node.content(replica, kept + 1L).equals(history.get(kept))) {
      kept++;
    }
    if (kept < flushed) {
      throw sim.violation("a new epoch keeps " + kept + " of " + flushed + " flushed entries");
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
      String content = node.content(replica, index);
      if (content.contains("checksum") || content.contains("other payload")) {
        throw sim.violation("entry " + index + " of node " + node.number + " is " + content);
      }
      if (index > history.size()) {
        history.add(content);
      } else if (!history.get((int) index - 1).equals(content)) {
        throw sim.violation(
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
      return done || sim.nodes.get(proposal.node - 1).life != proposal.life;
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
      throw sim.violation(wrong);
    }
  }

  @Override
  public void onReadRefused(Replica replica, long id) {
    reads.refused(id);
  }

  @Override
  public void onCommittedLost(Replica replica, long index) {
    if (sim.policy == AckPolicy.DURABLE) {
      throw sim.violation("committed entry " + index + " is lost though it was durable");
    }
  }

  @Override
  public void onEpochRaised(Replica replica, long epoch) {}

  @Override
  public void onResyncNeeded(Replica replica, int node) {
    if (!sim.isDamaged) {
      throw sim.violation("nothing is compacted, yet a resync is needed");
    }
  }

  @Override
  public void onStopped(Replica replica, String why) {
    throw sim.violation("node " + node(replica).number + " stops: " + why);
  }

  void describe(GroupNode node, StringBuilder text) {
    Replica replica = replica(node);
    text.append("\n  node ").append(node.number).append(" group ").append(group);
    if (replica == null) {
      text.append(node.up ? " starts" : " is down");
      return;
    }
    text.append(' ').append(replica.role()).append(" term ").append(replica.term());
    text.append(" leader ")
        .append(replica.leader() == RaftCore.NO_NODE ? "-" : "" + replica.leader());
    text.append(" last ").append(replica.lastIndex());
    text.append(" committed ").append(replica.committedIndex());
    text.append(replica.isRunning() ? "" : " not running");
    text.append(replica.isRecovering() ? " recovering" : "");
    text.append(replica.isQuiet() ? " quiet" : "");
  }
}
