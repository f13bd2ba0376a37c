package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.engine.api.Timers;
import io.plinth.log.journal.Journal;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.ResyncFrame;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the catalogue to a node that lacks entries of it which are kept no more, as a whole: it is
 * small. The node asks, the leader answers; what it has then begins to count with a checkpoint.
 *
 * <pre>
 *  kind          from     leaf      a              b             bytes
 *  1 NEEDED      leader                                          that entries are kept no more
 *  2 BEGIN       member   its base  term of base   1 stopped,
 *                                                  2 recovering
 *  3 STATE       leader             length                       GroupState as of the content
 *  4 CONTENT     member   from
 *  5 CONTENT_IS  leader   from                                   a part of the catalogue
 * </pre>
 */
final class CatalogueResync {
  private static final Logger LOG = LoggerFactory.getLogger(CatalogueResync.class);
  private static final long TELL_NS = TimeUnit.MILLISECONDS.toNanos(200);
  private static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(2);
  private static final int PART_BYTES = 32 << 10;
  private static final int MOST_BYTES = 64 << 20;

  private static final int NEEDED = 1;
  private static final int BEGIN = 2;
  private static final int STATE = 3;
  private static final int CONTENT = 4;
  private static final int CONTENT_IS = 5;
  private static final int STOPPED = 1;
  private static final int RECOVERING = 2;

  private final NodeCatalogue catalogue;
  private final NodeLogs logs;
  private final Timers.Task timer = this::onTimer;
  private boolean timing;

  // Of the leader.
  private final Set<Integer> lagging = new TreeSet<>();
  private long servedSession;
  private byte[] served = new byte[0];

  // Of who lacks entries.
  private long session;
  private long heardNs = Long.MIN_VALUE / 2;
  private Replica replica;
  private int leader;
  private boolean stopped;
  private GroupState state;
  private byte[] arrived;
  private int arrivedBytes;

  CatalogueResync(NodeCatalogue catalogue, NodeLogs logs) {
    this.catalogue = catalogue;
    this.logs = logs;
  }

  /** A node lacks entries: it is told until it has them. */
  void onNeeded(int node) {
    boolean _ = lagging.add(node);
    time();
  }

  /** This node's replica has stopped: it asks the others. */
  void onStopped() {
    time();
  }

  private void time() {
    if (!timing) {
      timing = true;
      long nowNs = logs.first().core().clock().nowNs();
      long _ = logs.first().core().timers().schedule(nowNs + TELL_NS, timer);
    }
  }

  private void onTimer(long nowNs) {
    timing = false;
    Journal journal = logs.first().store().journal();
    if (journal.failure() != Status.OK) {
      return;
    }
    boolean _ = lagging.removeIf(node -> !catalogue.replica().needsResync(node));
    for (int node : lagging) {
      boolean _ = send(node, begin(NEEDED, 0).bytes(0));
    }
    boolean isStopped = catalogue.replica().isStopped();
    if (isStopped) {
      // Who has begun from nothing does not know who the members are by now.
      Replica present = catalogue.replica();
      for (int node : present.awaitsState() ? present.peers() : present.voters()) {
        ask(node, nowNs);
      }
    }
    if (isStopped || !lagging.isEmpty()) {
      time();
    }
  }

  private ResyncFrame begin(int kind, long ofSession) {
    return logs.first().store().resyncs().begin(kind, ofSession);
  }

  private boolean send(int node, ResyncFrame frame) {
    return catalogue.replica().sendResync(node, frame);
  }

  void onFrame(int node, ResyncFrame frame) {
    long nowNs = logs.first().core().clock().nowNs();
    switch (frame.kind()) {
      case NEEDED -> ask(node, nowNs);
      case BEGIN -> onBegin(node, frame);
      case STATE -> onState(node, frame, nowNs);
      case CONTENT -> sendContent(node, frame);
      case CONTENT_IS -> onContent(node, frame, nowNs);
      default -> {
        // Of a later version.
      }
    }
  }

  /** Says how this replica stands, which begins a session or ends the need for one. */
  private void ask(int node, long nowNs) {
    Replica present = catalogue.replica();
    boolean isStopped = present.isStopped();
    boolean mayAsk = catalogue.isOpen() && (isStopped || present.isRunning());
    if (!mayAsk || nowNs - heardNs < SILENCE_NS) {
      return;
    }
    session = nowNs;
    long base = isStopped ? 0 : present.baseIndex();
    int flags = (isStopped ? STOPPED : 0) | (present.isRecovering() ? RECOVERING : 0);
    ResyncFrame frame = begin(BEGIN, session).bytes(0).leaf(base).b(flags);
    boolean _ = send(node, frame.a(isStopped ? 0 : present.entryTerm(base)));
  }

  private void onBegin(int node, ResyncFrame frame) {
    Replica present = catalogue.replica();
    if (!present.leads() || catalogue.appliedIndex() < present.baseIndex()) {
      return;
    }
    boolean isStopped = (frame.b() & STOPPED) != 0;
    long base = frame.leaf();
    boolean has =
        base > 0
            && present.canSendAfter(node, base)
            && base <= catalogue.appliedIndex()
            && present.entryTerm(base) == frame.a();
    if (!isStopped && has) {
      present.resynced(node, base, (frame.b() & RECOVERING) != 0);
    } else if (present.isMemberAt(node, catalogue.appliedIndex())
        && (isStopped || present.needsResync(node))) {
      serve(node, frame.session());
    }
  }

  private void serve(int node, long ofSession) {
    Replica present = catalogue.replica();
    long index = catalogue.appliedIndex();
    GroupState told =
        new GroupState(
            present.group(),
            index,
            index,
            present.entryTerm(index),
            present.epochAt(index),
            present.membershipAt(index),
            present.term(),
            Replica.NO_NODE,
            false,
            false,
            0);
    servedSession = ofSession;
    served = catalogue.encode();
    ByteBuffer bytes = ByteBuffer.allocate(told.encodedBytes()).order(ByteOrder.LITTLE_ENDIAN);
    told.encode(bytes);
    bytes.flip();
    ResyncFrame frame = begin(STATE, ofSession);
    frame.body().putBytes(0, bytes, bytes.limit());
    boolean _ = send(node, frame.bytes(bytes.limit()).a(served.length));
  }

  private void onState(int node, ResyncFrame frame, long nowNs) {
    if (frame.session() != session || nowNs - heardNs < SILENCE_NS) {
      return;
    }
    byte[] bytes = new byte[frame.bytes()];
    frame.body().getBytes(0, bytes);
    try {
      state = GroupState.decode(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      LOG.warn("the catalogue of node {} can't be had: its state makes no sense", node);
      return;
    }
    replica = catalogue.replica();
    stopped = replica.isStopped();
    leader = node;
    if (!isAsBegun() || frame.a() < 0 || frame.a() > MOST_BYTES) {
      return;
    }
    heardNs = nowNs;
    arrived = new byte[(int) frame.a()];
    arrivedBytes = 0;
    askForMore();
  }

  /** Returns whether what the session relies on is still so. */
  private boolean isAsBegun() {
    boolean follows =
        replica.isRunning()
            && !replica.leads()
            && replica.leader() == leader
            && replica.term() == state.term();
    return catalogue.replica().equals(replica) && (stopped ? replica.isStopped() : follows);
  }

  private void askForMore() {
    boolean _ = send(leader, begin(CONTENT, session).bytes(0).leaf(arrivedBytes));
  }

  private void sendContent(int node, ResyncFrame asked) {
    long from = asked.leaf();
    if (asked.session() != servedSession || from < 0 || from > served.length) {
      return;
    }
    int length = (int) Math.min(PART_BYTES, served.length - from);
    ResyncFrame frame = begin(CONTENT_IS, servedSession).leaf(from);
    frame.body().putBytes(0, served, (int) from, length);
    boolean _ = send(node, frame.bytes(length).leaf(from));
  }

  private void onContent(int node, ResyncFrame frame, long nowNs) {
    boolean expected =
        arrived != null
            && frame.session() == session
            && node == leader
            && frame.leaf() == arrivedBytes
            && frame.bytes() <= arrived.length - arrivedBytes;
    if (!expected) {
      return;
    }
    heardNs = nowNs;
    frame.body().getBytes(0, arrived, arrivedBytes, frame.bytes());
    arrivedBytes += frame.bytes();
    if (arrivedBytes < arrived.length) {
      askForMore();
      return;
    }
    byte[] content = arrived;
    arrived = null;
    heardNs = Long.MIN_VALUE / 2;
    if (isAsBegun()) {
      GroupState begins =
          replica.resyncedTo(state.index(), state.entryTerm(), state.epoch(), state.membership());
      LOG.info("the catalogue comes from node {}, as of entry {}", leader, state.index());
      catalogue.replaceBy(content, begins);
    }
  }
}
