package io.plinth.target.node;

import io.plinth.target.volume.Volume;

/**
 * A client's connection to a simulated node, on which it uses one volume until it is disconnected.
 */
final class StoreSession implements Volume.Attachment {
  final StoreNode node;
  final int life;
  final Volume volume;

  /** When something was done for it first; negative before. */
  long servedNs = -1;

  private boolean over;

  StoreSession(StoreNode node, int group) {
    this.node = node;
    this.life = node.life;
    this.volume = node.export(group);
    volume.attach(this);
  }

  /** Returns whether the client hears nothing any more of what it has asked for. */
  boolean isOver() {
    return over || !node.up || node.life != life;
  }

  /** The front end closes the connection. */
  void close() {
    if (!over) {
      over = true;
      volume.detach(this);
    }
  }

  @Override
  public void onVolumeClosed() {
    over = true;
  }
}
