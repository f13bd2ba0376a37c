package io.plinth.tools.simulator.cluster;

import io.plinth.target.volume.Volume;

/** A client's connection to a node, on which it uses one volume until it is disconnected. */
final class ClusterSession implements Volume.Attachment {
  final ClusterNode node;
  final Volume export;
  private final int life;

  /** When something was done for it first; negative before. */
  long servedNs = -1;

  private boolean over;

  ClusterSession(ClusterNode node, Volume export) {
    this.node = node;
    this.life = node.life();
    this.export = export;
    export.attach(this);
  }

  /** Returns whether the client hears nothing any more of what it has asked for. */
  boolean isOver() {
    return over || !node.isUp() || node.life() != life;
  }

  /** The front end closes the connection. */
  void close() {
    if (!over) {
      over = true;
      export.detach(this);
    }
  }

  @Override
  public void onVolumeClosed() {
    over = true;
  }
}
