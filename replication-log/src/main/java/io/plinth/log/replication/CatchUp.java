package io.plinth.log.replication;

import io.plinth.log.format.LogFormat;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.FrameWriter;
import io.plinth.log.wire.PeerChannel;
import io.plinth.raft.core.Message;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * APPENDs to one peer whose entries have left memory. They wait here, beside those that are sent at
 * once; a window of their entries at a time is read from the disk, verified and lent to the
 * connection, and the next one is read when that has left.
 *
 * <p>A replica that has something here sends everything through here, so that its APPENDs keep
 * their order. What does not fit is dropped, as a network may: the rules send it again.
 */
final class CatchUp {
  private static final Logger LOG = LoggerFactory.getLogger(CatchUp.class);
  private static final int MAX_WAITING = 16;

  /** How long an entry that is damaged is not read again. */
  private static final long DAMAGED_NS = TimeUnit.SECONDS.toNanos(1);

  /** How long memory that nobody needs is kept. */
  private static final long IDLE_NS = TimeUnit.SECONDS.toNanos(1);

  /** What happens to the window. */
  private enum Phase {
    NONE,
    READING,
    VERIFYING,
    READY
  }

  private final Replicator replicator;
  private final int node;
  private final ReadWindow window;
  private final EntryBody body = new EntryBody();
  private final Message[] waiting = new Message[MAX_WAITING];
  private final Replica[] waitingFor = new Replica[MAX_WAITING];
  private int first;
  private int count;
  private int sentOfFirst;
  private Phase phase = Phase.NONE;
  private boolean forgotten;
  private int attempt;
  private long lastNeededNs;
  private Replica damagedOf;
  private long damagedIndex;
  private long damagedUntilNs;
  private long sentEntries;
  private long damagedEntries;

  CatchUp(Replicator replicator, int node) {
    this.replicator = replicator;
    this.node = node;
    this.window =
        new ReadWindow(replicator.journal(), false, replicator.has(ReplicationBug.UNCHECKED_READ));
    for (int i = 0; i < MAX_WAITING; i++) {
      waiting[i] = new Message();
    }
  }

  /** Returns how many entries were read for the peer and sent. */
  long sentEntries() {
    return sentEntries;
  }

  /** Returns how often an entry could not be sent because the disk holds something else. */
  long damagedEntries() {
    return damagedEntries;
  }

  /** Returns how much memory is in use for what is read. */
  long heldBytes() {
    return window.heldBytes();
  }

  /** Returns whether APPENDs of a replica wait here. */
  boolean has(Replica replica) {
    for (int i = 0; i < count; i++) {
      if (waitingFor[(first + i) % MAX_WAITING] == replica) {
        return true;
      }
    }
    return false;
  }

  /**
   * Takes an APPEND.
   *
   * @param sent how many of its entries were sent before
   * @return false when there is no room
   */
  boolean take(Replica replica, Message message, int sent) {
    int last = -1;
    for (int i = 0; i < count; i++) {
      int slot = (first + i) % MAX_WAITING;
      if (waitingFor[slot] == replica) {
        if (covers(waiting[slot], message)) {
          // The rules have waited for an answer for longer than a disk takes.
          return true;
        }
        last = slot;
      }
    }
    if (last >= 0 && sent == 0 && PeerLink.extend(waiting[last], message)) {
      return true;
    }
    if (count == MAX_WAITING) {
      return false;
    }
    if (count == 0) {
      sentOfFirst = sent;
    } else if (sent > 0) {
      // Only what is at the front may be begun.
      return false;
    }
    int slot = (first + count++) % MAX_WAITING;
    Message _ = waiting[slot].copyFrom(message);
    waitingFor[slot] = replica;
    return true;
  }

  private static boolean covers(Message wide, Message message) {
    return wide.term == message.term
        && wide.index <= message.index
        && wide.index + wide.entryCount >= message.index + message.entryCount
        && message.entryCount > 0;
  }

  /** Forgets what waits: the connection is gone, and has given back what was lent. */
  void forget() {
    while (count > 0) {
      removeFirst();
    }
    if (phase == Phase.READING) {
      forgotten = true;
    } else {
      phase = Phase.NONE;
    }
  }

  /** Frees the memory; nothing may be in flight. */
  void free() {
    window.free();
  }

  /**
   * Reads, verifies and sends; a bounded amount of each.
   *
   * @param channel to the peer, null when there is none
   * @return how much was done
   */
  int work(PeerChannel channel, long nowNs) {
    if (phase == Phase.READING) {
      window.submit();
      if (!window.isRead()) {
        return 0;
      }
      phase = forgotten ? Phase.NONE : Phase.VERIFYING;
      forgotten = false;
    }
    if (count == 0 || channel == null || !channel.isOpen()) {
      return idle(nowNs);
    }
    lastNeededNs = nowNs;
    int sentBefore = sentOfFirst;
    Phase phaseBefore = phase;
    Message message = waiting[first];
    Replica replica = waitingFor[first];
    if (!replica.isCurrent(message)) {
      phase = Phase.NONE;
      removeFirst();
      return 1;
    }
    switch (phase) {
      case VERIFYING -> verify(replica, message, nowNs);
      case READY -> sendWindow(channel, replica, message);
      default -> sendOrRead(channel, replica, message, nowNs);
    }
    if (count > 0 && sentOfFirst >= waiting[first].entryCount) {
      removeFirst();
      return 1;
    }
    boolean idle = phase != Phase.VERIFYING && phase == phaseBefore && sentOfFirst == sentBefore;
    return idle ? 0 : 1;
  }

  /**
   * What is in memory is sent from there; else a window is read as soon as the last one is gone.
   */
  private void sendOrRead(PeerChannel channel, Replica replica, Message message, long nowNs) {
    int sent = channel.append(replica.group(), message, sentOfFirst, replica.source());
    if (sent >= 0) {
      sentOfFirst += sent;
      attempt = 0;
    } else if (sent == FrameWriter.NOT_IN_MEMORY && !window.isLent()) {
      if (isKnownAsDamaged(replica, nextIndex(message), nowNs)) {
        removeFirst();
      } else {
        window.plan(replica.group(), message, sentOfFirst, replica.source(), attempt);
        window.submit();
        phase = Phase.READING;
      }
    }
  }

  private void verify(Replica replica, Message message, long nowNs) {
    if (!window.verify(message)) {
      return;
    }
    if (window.verifiedEntries() > 0) {
      attempt = 0;
      phase = Phase.READY;
    } else if (++attempt < ReadWindow.ATTEMPTS) {
      phase = Phase.NONE;
    } else {
      report(replica, nextIndex(message), nowNs);
      attempt = 0;
      phase = Phase.NONE;
      removeFirst();
    }
  }

  private void sendWindow(PeerChannel channel, Replica replica, Message message) {
    int sent = channel.append(replica.group(), message, sentOfFirst, window);
    if (sent > 0) {
      sentOfFirst += sent;
      sentEntries += sent;
    }
    if (sent != FrameWriter.NO_ROOM && nextIndex(message) > window.lastVerified()) {
      phase = Phase.NONE;
    }
  }

  private long nextIndex(Message message) {
    return message.index + 1 + sentOfFirst;
  }

  private boolean isKnownAsDamaged(Replica replica, long index, long nowNs) {
    return damagedOf == replica && damagedIndex == index && nowNs < damagedUntilNs;
  }

  /**
   * Nobody gets what the disk does not hold as it was written; a person has to know. What came of
   * it can be had beside the log, if it is committed: where it is alive it is mended for that.
   */
  private void report(Replica replica, long index, long nowNs) {
    boolean known = damagedOf == replica && damagedIndex == index;
    damagedOf = replica;
    damagedIndex = index;
    damagedUntilNs = nowNs + DAMAGED_NS;
    damagedEntries++;
    if (!known) {
      boolean _ = replica.describe(index, body);
      LOG.error(
          "{}: entry {} of group {} is damaged or gone, and node {} waits for it: its record was at"
              + " {}, its payload at {}",
          replicator.self(),
          index,
          replica.group(),
          node,
          replicator.journal().describe(body.position / LogFormat.BLOCK_BYTES),
          replicator.journal().describe(body.place));
    }
    replica.unreadable(node, index);
  }

  private int idle(long nowNs) {
    boolean needed = phase != Phase.NONE || window.isLent() || nowNs - lastNeededNs < IDLE_NS;
    return needed ? 0 : window.shrink();
  }

  private void removeFirst() {
    waitingFor[first] = null;
    first = (first + 1) % MAX_WAITING;
    count--;
    sentOfFirst = 0;
  }
}
