package io.plinth.target.node;

import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;

/** What this node is in its cluster, if it is in one. On log 0's core. */
final class NodeMembership {
  private final ClusterMap cluster;
  private boolean isNew;

  NodeMembership(ClusterMap cluster) {
    this.cluster = cluster;
    this.isNew = cluster.isNew();
  }

  ClusterMap cluster() {
    return cluster;
  }

  /** Returns whether this node is in no cluster. */
  boolean isAlone() {
    return cluster.isAlone();
  }

  /** Returns whether this node is to have a replica of a volume. */
  boolean isMember(Catalogue.Entry entry) {
    return isAlone() || entry.members().contains(cluster.self());
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
