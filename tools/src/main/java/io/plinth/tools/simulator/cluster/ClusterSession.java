package io.plinth.tools.simulator.cluster;

import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.CellHistory;
import java.util.ArrayList;
import java.util.List;

/** A client's connection to a node, on which it uses one volume until it is disconnected. */
final class ClusterSession implements Volume.Attachment {
  final ClusterNode node;
  final Volume export;
  private final int life;

  /** When something was done for it first; negative before. */
  long servedNs = -1;

  /** Whose it is; null for somebody who keeps no order. */
  final CellHistory.Sender sender;

  private boolean over;
  private boolean admitted;

  /** The client has closed its end. */
  private boolean left;

  /** What came before the volume has admitted the client, in order. */
  private final List<Runnable> early = new ArrayList<>();

  /** How many requests the volume has not taken. */
  private int unread;

  ClusterSession(ClusterNode node, Volume export, CellHistory.Sender sender) {
    this.sender = sender;
    this.node = node;
    this.life = node.life();
    this.export = export;
    admitted = export.attach(this);
  }

  /** A request has been sent. */
  void onSent() {
    unread++;
  }

  /** The volume has taken a request. */
  void onTaken() {
    unread--;
    closeIfRead();
  }

  /** Does something with the volume, as soon as the client may ask it for something. */
  void whenAdmitted(Runnable use) {
    if (admitted) {
      use.run();
    } else {
      early.add(use);
    }
  }

  /**
   * The client closes its end. The front end learns that when it has read all that came before, or
   * when it looks.
   */
  void leave() {
    left = true;
    boolean _ = export.core().execute(this::closeIfRead);
  }

  private void closeIfRead() {
    if (left && unread == 0) {
      close();
    }
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
    return over || !node.isUp() || node.life() != life;
  }

  /** Returns whether the client has closed its end, and hears nothing any more either. */
  boolean isLeft() {
    return left;
  }

  /** The front end closes the connection. */
  void close() {
    if (!over) {
      export.detach(this);
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
