package io.plinth.log.replication;

import io.plinth.log.wire.PeerChannel;
import java.util.List;

/**
 * Whether a peer's node can be reached: what quiet groups have instead of heartbeats. Each side
 * sends a frame every {@link #BEAT_TICKS}; whoever is not heard for an election timeout's worth of
 * ticks can't be reached, and all replicas are told, so many per duty cycle. A node that was
 * started anew could not be reached in between.
 */
final class PeerPulse {
  static final int BEAT_TICKS = 2;

  /** As the election timeout of {@link ReplicaStart}: half of it again and more is for chance. */
  private static final int SILENT_TICKS = 10;

  private static final int TOLD_PER_CYCLE = 128;

  private final Replicator replicator;
  private final int node;
  private long lastBeat;
  private long lastLook;
  private long lastHeardNs;

  /** When it was heard last, by the clock of this core, or this side began to listen. */
  private long listenedNs;

  private long silentTicks;
  private boolean reachable = true;
  // What the replicas from number `told` on are still to hear.
  private boolean tellAway;
  private boolean tellBack;
  private int told;

  PeerPulse(Replicator replicator, int node) {
    this.replicator = replicator;
    this.node = node;
    this.listenedNs = replicator.nowNs();
  }

  /** For how long the peer has not been heard: since this side began to listen if never. */
  long silentNs() {
    return replicator.nowNs() - listenedNs;
  }

  boolean isReachable() {
    return reachable;
  }

  /** The peer has said hello. */
  void onOpen(boolean startedAnew) {
    silentTicks = 0;
    if (startedAnew) {
      tell(false);
    }
    if (!reachable || startedAnew) {
      tell(true);
    }
    reachable = true;
  }

  /** Speaks, listens, and tells; returns how many replicas were told. */
  int work(PeerChannel channel) {
    long ticks = replicator.ticks();
    // While this core stood still nobody could be heard: that counts as little.
    silentTicks += Math.min(ticks - lastLook, BEAT_TICKS);
    lastLook = ticks;
    listen(channel);
    if (channel != null && ticks - lastBeat >= BEAT_TICKS) {
      lastBeat = ticks;
      channel.keepAlive();
    }
    return tellAway || tellBack ? tellSome() : 0;
  }

  private void listen(PeerChannel channel) {
    boolean open = channel != null && channel.isOpen();
    if (open && channel.lastHeardNs() != lastHeardNs) {
      lastHeardNs = channel.lastHeardNs();
      listenedNs = replicator.nowNs();
      silentTicks = 0;
      if (!reachable) {
        reachable = true;
        tell(true);
      }
    }
    if (reachable && silentTicks > SILENT_TICKS) {
      reachable = false;
      if (!replicator.has(ReplicationBug.SILENCE_NOT_TOLD)) {
        tell(false);
      }
    }
  }

  /** What was not told to all is told first; who has heard it already takes no harm. */
  private void tell(boolean back) {
    tellAway |= !back;
    tellBack = back;
    told = 0;
  }

  private int tellSome() {
    List<Replica> all = replicator.all();
    int count = 0;
    for (; count < TOLD_PER_CYCLE && told < all.size(); count++) {
      Replica replica = all.get(told++);
      if (tellAway) {
        replica.onNode(node, false);
      }
      if (tellBack) {
        replica.onNode(node, true);
      }
    }
    if (told >= all.size()) {
      tellAway = false;
      tellBack = false;
    }
    return count;
  }

  /** A replica has left the list. */
  void onRemoved(int index) {
    if (index < told) {
      told--;
    }
  }
}
