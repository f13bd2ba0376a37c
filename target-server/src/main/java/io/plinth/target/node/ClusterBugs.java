package io.plinth.target.node;

import io.plinth.log.replication.ReplicationBug;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.forward.ForwardingBug;
import java.util.Collections;
import java.util.Set;

/**
 * Mistakes that only a node with others can make, and that tests switch on.
 *
 * @param replication in what groups do
 * @param forwarding in what is done for clients of other nodes
 * @param catalogue in what is done by the catalogue
 */
public record ClusterBugs(
    Set<ReplicationBug> replication, Set<ForwardingBug> forwarding, Set<CatalogueBug> catalogue) {
  /** As in production. */
  public static final ClusterBugs NONE =
      new ClusterBugs(Collections.emptySet(), Collections.emptySet(), Collections.emptySet());

  boolean has(CatalogueBug bug) {
    return catalogue.contains(bug);
  }
}
