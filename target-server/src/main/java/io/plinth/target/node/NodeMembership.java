package io.plinth.target.node;

import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.ClusterMap;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** What this node is in its cluster, if it is in one. On log 0's core. */
final class NodeMembership {
  private final ClusterMap configured;
  private final ClusterBugs bugs;
  private volatile ClusterMap cluster;
  private final Map<Integer, ClusterMap.Member> known = new TreeMap<>();
  private boolean isNew;

  NodeMembership(ClusterMap cluster, ClusterBugs bugs) {
    this.configured = cluster;
    this.cluster = cluster;
    this.bugs = bugs;
    this.isNew = cluster.isNew();
  }

  /** Returns the nodes as they are known now; any thread. */
  ClusterMap cluster() {
    return cluster;
  }

  /**
   * The catalogue says where nodes are: this node's, or that of another one, which may be newer.
   */
  void know(Collection<Catalogue.Node> nodes) {
    nodes.forEach(node -> known.put(node.member().number(), node.member()));
    cluster = configured.with(known.values());
  }

  /** Returns whether this node is in no cluster. */
  boolean isAlone() {
    return cluster.isAlone();
  }

  /** Returns whether this node is to have a replica of a volume, now or soon. */
  boolean isDue(Catalogue.Entry entry) {
    return isAlone() || entry.nodes().contains(cluster.self());
  }

  /** Returns the nodes that are to have replicas of a group, of those that may. */
  List<Integer> place(int group, int replicas, IntPredicate inService) {
    return bugs.has(CatalogueBug.RACKS_IGNORED)
        ? IntStream.of(cluster.numbers()).filter(inService).limit(replicas).boxed().toList()
        : cluster.place(group, replicas, inService);
  }

  /** Returns whether what this node had before, if anything, is lost: see {@link #settle}. */
  boolean isNew() {
    return isNew;
  }

  /** This node has begun all that it may have lost: from here on it begins what is new. */
  void settle() {
    isNew = false;
  }
}
