package io.plinth.tools.simulator.cluster;

import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.CellHistory;

/**
 * A client that knows several nodes: it closes its connection at any moment, without having been
 * answered, attaches to the same volume through another node at once, and goes on with the same
 * cells. What it has asked for before may not come after what it has been told since.
 */
final class ClusterWanderer {
  private static final int FIRST_CELL = 100;
  private static final int CELLS = 6;
  private static final int MAX_REQUESTS = 3;

  private final SimRandom random;
  private final ClusterClients clients;
  private final ClusterVolume volume;
  private final CellHistory.Sender sender = new CellHistory.Sender();

  /** Null before the first one. */
  private ClusterSession session;

  ClusterWanderer(SimRandom random, ClusterClients clients, ClusterVolume volume) {
    this.random = random;
    this.clients = clients;
    this.volume = volume;
  }

  /**
   * Asks for something, perhaps of another node than before.
   *
   * @param node where it goes if it does
   */
  void act(ClusterNode node) {
    if (session == null || session.isOver() || random.oneIn(4)) {
      Volume export = node.node().find(volume.name);
      if (export == null) {
        return;
      }
      if (session != null && !session.isOver()) {
        session.leave();
      }
      sender.connectAnew();
      session = new ClusterSession(node, export, sender);
    }
    for (int i = random.nextInt(MAX_REQUESTS); i >= 0 && clients.hasRoom(session.node); i--) {
      int first = FIRST_CELL + random.nextInt(CELLS);
      int cells = 1 + random.nextInt(FIRST_CELL + CELLS - first);
      if (random.oneIn(3)) {
        clients.send(session, volume, Operation.READ, first, cells, null);
      } else {
        clients.change(session, volume, Operation.WRITE, first, cells);
      }
    }
  }
}
