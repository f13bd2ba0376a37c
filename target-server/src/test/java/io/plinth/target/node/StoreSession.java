package io.plinth.target.node;

import io.plinth.target.volume.Volume;
import java.util.ArrayList;
import java.util.List;

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
  private boolean admitted;

  /** The client has closed its end. */
  private boolean left;

  /** What came before the volume has admitted the client, in order. */
  private final List<Runnable> early = new ArrayList<>();

  StoreSession(StoreNode node, int group) {
    this.node = node;
    this.life = node.life;
    this.volume = node.export(group);
    admitted = volume.attach(this);
  }

  /** Does something with the volume, as soon as the client may ask it for something. */
  void whenAdmitted(Runnable use) {
    if (admitted) {
      use.run();
    } else {
      early.add(use);
    }
  }

  boolean isAdmitted() {
    return admitted;
  }

  /**
   * The client closes its end: what it has asked for before is there to be read still, and who
   * looks at the connection, instead of reading it, sees that it has ended.
   */
  void leave() {
    left = true;
  }

  @Override
  public void onAdmitted() {
    admitted = true;
    onFence();
    early.forEach(Runnable::run);
    early.clear();
  }

  @Override
  public void onFence() {
    if (left) {
      close();
    }
  }

  /** Returns whether the client hears nothing any more of what it has asked for. */
  boolean isOver() {
    return over || !node.up || node.life != life;
  }

  /** The front end closes the connection. */
  void close() {
    if (!over) {
      volume.detach(this);
      end();
    }
  }

  @Override
  public void onVolumeClosed() {
    end();
  }

  private void end() {
    over = true;
    early.forEach(Runnable::run);
    early.clear();
  }
}
