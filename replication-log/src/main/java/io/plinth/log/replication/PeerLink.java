package io.plinth.log.replication;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Status;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.FrameWriter;
import io.plinth.log.wire.PeerChannel;
import io.plinth.log.wire.PeerIdentity;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.log.wire.WireFormat;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way to one peer: a connection that is made anew when it is lost, and what waits for room on
 * it. The node with the lower number dials.
 *
 * <p>APPENDs wait in a ring; those of one group that continue each other become one. What does not
 * fit is dropped, as a network may: the rules send it again.
 */
final class PeerLink implements Connector {
  private static final Logger LOG = LoggerFactory.getLogger(PeerLink.class);
  private static final int MAX_WAITING = 64;
  private static final long MIN_RETRY_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long MAX_RETRY_NS = TimeUnit.SECONDS.toNanos(1);

  /** A connection on which nothing is heard for so long is given up: see {@link PeerPulse} too. */
  static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(1);

  /** Entries that the journal has no room for hold up everything that the peer sends. */
  private static final long MAX_HOLD_NS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Replicator replicator;
  private final int node;
  private final int core;
  private String address;
  private final CatchUp catchUp;
  private final PeerPulse pulse;
  private final Message[] waiting = new Message[MAX_WAITING];
  private final Replica[] waitingFor = new Replica[MAX_WAITING];
  private int first;
  private int count;
  private int sentOfFirst;
  private PeerChannel channel;
  private boolean dialling;
  private long retryAtNs;
  private long retryNs = MIN_RETRY_NS;
  private long heldSinceNs;
  private boolean holding;
  private long newestIncarnation;
  private long openIncarnation;
  private long dropped;
  private long openings;
  private String lastProblem = "";

  PeerLink(Replicator replicator, int node, int core, String address) {
    this.replicator = replicator;
    this.node = node;
    this.core = core;
    this.address = address;
    this.catchUp = new CatchUp(replicator, node);
    this.pulse = new PeerPulse(replicator, node);
    for (int i = 0; i < MAX_WAITING; i++) {
      waiting[i] = new Message();
    }
  }

  int node() {
    return node;
  }

  int core() {
    return core;
  }

  /** Returns whether the peer can be spoken to. */
  boolean isOpen() {
    return channel != null && channel.isOpen();
  }

  /** Returns how many connections there were, the present one among them. */
  long openings() {
    return openings;
  }

  /** Returns how many messages found no room. */
  long dropped() {
    return dropped;
  }

  CatchUp catchUp() {
    return catchUp;
  }

  PeerPulse pulse() {
    return pulse;
  }

  /** The peer is to be dialled elsewhere from now on. */
  void moved(String newAddress) {
    if (!newAddress.equals(address)) {
      address = newAddress;
      retryNs = MIN_RETRY_NS;
      retryAtNs = 0;
    }
  }

  /** Returns why the peer is not welcome, or null. */
  String judge(PeerIdentity peer) {
    if (peer.incarnation() < newestIncarnation) {
      return "incarnation "
          + peer.incarnation()
          + " of node "
          + node
          + " is over: "
          + newestIncarnation
          + " was here";
    }
    newestIncarnation = peer.incarnation();
    return null;
  }

  /** The peer is there. */
  void onOpen(PeerChannel newChannel) {
    if (channel != null && channel != newChannel) {
      channel.close("the peer has connected anew");
    }
    channel = newChannel;
    openings++;
    retryNs = MIN_RETRY_NS;
    holding = false;
    lastProblem = "";
    forgetWaiting();
    long incarnation = newChannel.peer().incarnation();
    pulse.onOpen(openIncarnation != 0 && incarnation != openIncarnation);
    openIncarnation = incarnation;
    LOG.info("{}: connected with {}", replicator.self(), newChannel.peer());
  }

  void onClosed(PeerChannel closedChannel, String why) {
    if (channel == closedChannel) {
      channel = null;
      holding = false;
      forgetWaiting();
      LOG.info("{}: connection with node {} is gone: {}", replicator.self(), node, why);
      retryLater();
    }
  }

  /** Queues a message; a small one leaves at the end of the duty cycle. */
  void send(Replica replica, Message message) {
    if (!isOpen()) {
      return;
    }
    if (message.type != MessageType.APPEND) {
      dropped += channel.send(replica.group(), message) ? 0 : 1;
    } else if (!extendsLast(replica, message)) {
      if (count == MAX_WAITING) {
        dropped++;
        return;
      }
      int slot = (first + count++) % MAX_WAITING;
      Message _ = waiting[slot].copyFrom(message);
      waitingFor[slot] = replica;
    }
  }

  /** Returns whether that was sent, behind all that was to be sent of the replica before. */
  boolean sendSync(Replica replica, long index) {
    boolean sent = isOpen() && channel.sendSync(replica.group(), index);
    dropped += sent || !isOpen() ? 0 : 1;
    return sent && count == 0 && !catchUp.has(replica);
  }

  boolean sendResync(Replica replica, ResyncFrame frame) {
    return isOpen() && channel.resync(replica.group(), frame);
  }

  private boolean extendsLast(Replica replica, Message message) {
    int slot = (first + count - 1) % MAX_WAITING;
    return count > 0 && waitingFor[slot] == replica && extend(waiting[slot], message);
  }

  /** Makes one APPEND of two of a replica that follow each other. */
  static boolean extend(Message last, Message message) {
    boolean follows =
        message.entryCount > 0
            && last.entryCount > 0
            && last.term == message.term
            && last.index + last.entryCount == message.index
            && last.terms[last.entryCount - 1] == message.logTerm
            && last.entryCount + message.entryCount <= WireFormat.MAX_ENTRIES;
    if (follows) {
      for (int i = 0; i < message.entryCount; i++) {
        last.addEntry(
            message.terms[i],
            message.kinds[i],
            message.subjects[i],
            message.places[i],
            message.lengthsBytes[i]);
      }
      last.commit = message.commit;
      last.round = message.round;
      last.tick = message.tick;
      last.recoverIncarnation = message.recoverIncarnation;
      last.recoverTo = message.recoverTo;
      last.recovering = message.recovering;
      last.lostDisk = message.lostDisk;
    }
    return follows;
  }

  /** Sends what waits, as far as there is room; once per duty cycle. */
  void flush() {
    sendWaiting();
    if (isOpen()) {
      channel.flush();
    }
  }

  /** Gives the connection what waits, as far as there is room; {@link #flush} lets it go. */
  void sendWaiting() {
    while (isOpen() && count > 0 && sendFirst()) {
      waitingFor[first] = null;
      first = (first + 1) % MAX_WAITING;
      count--;
      sentOfFirst = 0;
    }
  }

  /** Returns whether the first message that waits is done with. */
  private boolean sendFirst() {
    Message message = waiting[first];
    Replica replica = waitingFor[first];
    if (!replica.isCurrent(message)) {
      return true;
    }
    if (catchUp.has(replica)) {
      return leaveToCatchUp(replica, message);
    }
    do {
      int sent = channel.append(replica.group(), message, sentOfFirst, replica.source());
      if (sent == FrameWriter.NO_ROOM) {
        return false;
      }
      if (sent == FrameWriter.NOT_IN_MEMORY) {
        return leaveToCatchUp(replica, message);
      }
      sentOfFirst += sent;
    } while (sentOfFirst < message.entryCount);
    return true;
  }

  private boolean leaveToCatchUp(Replica replica, Message message) {
    dropped += catchUp.take(replica, message, sentOfFirst) ? 0 : 1;
    return true;
  }

  private void forgetWaiting() {
    catchUp.forget();
    while (count > 0) {
      waitingFor[first] = null;
      first = (first + 1) % MAX_WAITING;
      count--;
    }
    sentOfFirst = 0;
  }

  /** Takes entries; returns false to hold the connection up until they can be taken. */
  boolean take(Replica replica, AppendFrame frame, long nowNs) {
    if (replica == null || replica.onAppend(frame)) {
      holding = false;
      return true;
    }
    if (!holding) {
      holding = true;
      heldSinceNs = nowNs;
    } else if (nowNs - heldSinceNs > MAX_HOLD_NS) {
      // As if they had been lost: what else the peer says must not wait any longer.
      holding = false;
      dropped++;
      replica.onAppendWithoutRoom(frame);
      return true;
    }
    return false;
  }

  /** Dials, listens for silence, offers again what was held; returns how much was done. */
  int work(long nowNs) {
    return catchUp.work(channel, nowNs) + pulse.work(channel) + workOnChannel(nowNs);
  }

  private int workOnChannel(long nowNs) {
    if (channel == null) {
      if (replicator.self().node() < node && !dialling && nowNs >= retryAtNs) {
        dialling = replicator.dialler().connect(address, this);
        if (!dialling) {
          retryLater();
        }
        return 1;
      }
      return 0;
    }
    if (holding) {
      boolean _ = channel.offerAgain();
      return 1;
    }
    return channel.closeIfSilent(nowNs, SILENCE_NS) ? 1 : 0;
  }

  private void retryLater() {
    long spread = Math.floorMod(replicator.chance().getAsLong(), retryNs);
    retryAtNs = replicator.nowNs() + retryNs / 2 + spread;
    retryNs = Math.min(MAX_RETRY_NS, 2 * retryNs);
  }

  void close() {
    if (channel != null) {
      channel.close("this node stops");
    }
  }

  @Override
  public ConnectionHandler onConnected(Connection connection) {
    dialling = false;
    if (replicator.isStopped()) {
      return null;
    }
    PeerChannel dialled =
        PeerChannel.dialled(connection, replicator.self(), node, core, replicator);
    channel = dialled;
    return dialled;
  }

  @Override
  public void onConnectFailed(int status) {
    dialling = false;
    String problem = Status.name(status);
    if (!problem.equals(lastProblem)) {
      lastProblem = problem;
      LOG.warn("{}: can't connect to node {} at {}: {}", replicator.self(), node, address, problem);
    }
    retryLater();
  }
}
