package io.plinth.target.node;

import io.plinth.engine.api.Dialler;
import io.plinth.log.replication.GroupMembers;
import io.plinth.log.replication.Replicator;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.ClusterMap;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The other nodes of a cluster, as a log of this node sees them.
 *
 * @param cluster what all of them belong to; empty for the node by itself
 * @param members who has replicas of what is in the log
 * @param peers the logs that have the other replicas
 * @param dialler makes connections to them
 * @param tickNs the unit of time of groups
 * @param accepts told when the log may be spoken to: what connects is for the replicator
 */
public record NodePeers(
    Optional<UUID> cluster,
    GroupMembers members,
    List<Peer> peers,
    Dialler dialler,
    long tickNs,
    Consumer<Replicator> accepts) {
  /** With the default timeouts a group elects within half a second. */
  private static final long TICK_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /**
   * A log of another node.
   *
   * @param node its number
   * @param core the number of the log there
   * @param address where it listens
   */
  public record Peer(int node, int core, String address) {}

  /**
   * Returns those of a log of a node in a cluster: all nodes have the catalogue, and of other
   * groups the log says who the members are.
   *
   * @param log its number, the same for all of them
   */
  public static NodePeers of(
      ClusterMap cluster, int log, Dialler dialler, Consumer<Replicator> accepts) {
    int[] first = cluster.first();
    int[] self = {cluster.self()};
    List<Peer> others =
        cluster.members().stream()
            .filter(member -> member.number() != cluster.self())
            .map(member -> new Peer(member.number(), log, member.address(log)))
            .toList();
    return new NodePeers(
        Optional.of(cluster.id()),
        new GroupMembers(cluster.self(), group -> group == Catalogue.GROUP ? first : self),
        others,
        dialler,
        TICK_NS,
        accepts);
  }

  /** Returns those of a node that is in no cluster. */
  public static NodePeers none() {
    return new NodePeers(
        Optional.empty(),
        GroupMembers.alone(),
        List.of(),
        (address, connector) -> false,
        TICK_NS,
        replicator -> {});
  }
}
