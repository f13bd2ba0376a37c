package io.plinth.target.node;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Core;
import io.plinth.log.replication.Replicator;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardClient;
import io.plinth.target.forward.ForwardIdentity;
import io.plinth.target.forward.ForwardServer;
import io.plinth.target.forward.ForwardingBug;
import io.plinth.target.forward.PeerPort;
import java.util.Set;
import java.util.function.LongSupplier;

/** How the volumes of one log are served on all nodes. On the core of that log. */
final class NodeForwarding {
  private final Core core;
  private final ForwardServer server;
  private final ForwardClient client;
  private final PeerPort port;

  /** Begins to forward, and to serve what others forward; the log is open. */
  NodeForwarding(
      NodeLog log,
      ClusterMap cluster,
      NodePeers peers,
      LongSupplier chance,
      Set<ForwardingBug> bugs) {
    core = log.core();
    ForwardIdentity self =
        new ForwardIdentity(cluster.id(), cluster.self(), core.id(), log.epoch());
    server = new ForwardServer(core, self, group -> log.store().volume(group));
    client = new ForwardClient(core, self, peers.dialler(), chance, bugs);
    server.pairWith(client);
    peers.peers().forEach(peer -> client.addPeer(peer.node(), peer.address()));
    Replicator replicator = log.replicator();
    port = new PeerPort(replicator::accept, server::accept);
    server.start();
    client.start();
  }

  ForwardClient client() {
    return client;
  }

  /** Returns what takes the connections of other nodes. */
  Acceptor port() {
    return port;
  }

  /** Ends all connections; clients must be gone. */
  void stop() {
    client.stop();
    server.stop();
  }

  /** Frees memory; nothing may be in flight on the core. */
  void free() {
    client.free();
    server.free();
  }
}
