package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.journal.PlantedBug;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.cluster.KeeperSettings;
import io.plinth.target.node.ClusterBugs;
import java.util.List;
import java.util.Set;

/**
 * What all nodes of a simulated cluster have in common.
 *
 * @param members who they are
 * @param logs how many logs each node has
 * @param segments how many segments each node's log may have
 * @param bugs mistakes of a node
 * @param clusterBugs mistakes that only nodes with others can make
 * @param keeper when nodes that are not heard are given up
 * @param joiner the node that joins later; 0 when all begin together
 * @param moves whether nodes are drained, removed and replaced
 */
record ClusterSettings(
    SimNetwork network,
    SimRandom random,
    List<ClusterMap.Member> members,
    int logs,
    int segments,
    Set<PlantedBug> bugs,
    ClusterBugs clusterBugs,
    KeeperSettings keeper,
    int joiner,
    boolean moves) {
  /** Returns who the cluster begins with. */
  List<ClusterMap.Member> first() {
    return members.stream().filter(member -> member.number() != joiner).toList();
  }
}
