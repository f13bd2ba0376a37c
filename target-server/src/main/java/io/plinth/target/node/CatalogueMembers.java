package io.plinth.target.node;

import io.plinth.log.replication.Members;
import io.plinth.log.replication.Replica;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueMove;
import io.plinth.target.cluster.GroupMove;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets the group of the catalogue follow the nodes that it names: see {@link CatalogueMove}. The
 * leader takes one step at a time, when the one before is durable on a majority. On log 0's core.
 */
final class CatalogueMembers {
  private static final Logger LOG = LoggerFactory.getLogger(CatalogueMembers.class);

  /** Who lacks no more than that has everything: commands are few. */
  private static final long CLOSE_ENTRIES = 64;

  /** So many vote, if there are as many nodes, however few the cluster has begun with. */
  private static final int LEAST_VOTERS = 3;

  private final NodeLogs logs;
  private final NodeCatalogue catalogue;

  /** The members, and the term, as they were when the step before was seen. */
  private Members seen;

  private long seenTerm;

  /** What is durable up to here has the step before. */
  private long barrier;

  CatalogueMembers(NodeLogs logs, NodeCatalogue catalogue) {
    this.logs = logs;
    this.catalogue = catalogue;
  }

  /** Takes the next step; of the leader, which has all commands of those before it. */
  void step(int self) {
    Replica replica = catalogue.replica();
    if (catalogue.nodes().isEmpty()) {
      return;
    }
    Members members = replica.members();
    if (!members.equals(seen) || seenTerm != replica.term()) {
      seen = members;
      seenTerm = replica.term();
      barrier = replica.lastIndex();
    }
    if (!replica.flush(barrier)) {
      return;
    }
    List<Integer> nodes = catalogue.nodes().stream().map(node -> node.member().number()).toList();
    int first = (int) catalogue.nodes().stream().filter(Catalogue.Node::isFirst).count();
    GroupMove.Step next =
        CatalogueMove.next(
            members,
            nodes,
            Math.max(LEAST_VOTERS, first),
            self,
            catalogue::role,
            node -> node == self || logs.first().replicator().isReachable(node),
            node ->
                replica.hasDurably(node, barrier) && replica.entriesBehind(node) <= CLOSE_ENTRIES);
    boolean done =
        switch (next.kind()) {
          case ADD -> catalogue.addLearner(next.node());
          case PROMOTE -> replica.promote(next.node());
          case REMOVE -> replica.remove(next.node());
          case HAND_OVER -> replica.transferLeadership(next.node());
          case WAIT, DONE -> false;
        };
    if (done) {
      LOG.info("the catalogue's group had {}: {} node {}", members, next.kind(), next.node());
    }
  }
}
