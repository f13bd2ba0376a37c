package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.Timers;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.LogVolume;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * Serves the volumes of one core to the same core of other nodes, as long as they are led here. All
 * of it on that core's thread.
 */
public final class ForwardServer implements CycleTask {
  /** Who has nothing to say for so long says that. */
  static final long ALIVE_NS = TimeUnit.MILLISECONDS.toNanos(250);

  /** How often volumes and connections are looked at. */
  static final long TICK_NS = TimeUnit.MILLISECONDS.toNanos(100);

  private static final int ZERO_BYTES = 64 * 1024;

  private final Core core;
  private final ForwardIdentity self;
  private final IntFunction<LogVolume> volumes;
  private final ArrayList<ClientFence> fences = new ArrayList<>();
  private final ArrayList<ForwardSession> sessions = new ArrayList<>();
  private final Int2ObjectHashMap<Newest> newest = new Int2ObjectHashMap<>();
  private final NativeMemory zeroes = NativeMemory.reserve(ZERO_BYTES);
  private final ForwardFrame in = new ForwardFrame();
  private final ForwardFrame out = new ForwardFrame();
  private final Timers.Task wake = this::onTimer;
  private boolean armed;
  private boolean stopped;
  private long lastFence;

  /** Null where no clients are served on the same core. */
  private ForwardClient client;

  /** The newest connection of a node. */
  private static final class Newest {
    long incarnation;
    long sequence;
    ForwardSession session;
  }

  /**
   * Creates the server of a core.
   *
   * @param self this core
   * @param volumes finds the volume of a group in the log of this core, or null; on the core
   */
  public ForwardServer(Core core, ForwardIdentity self, IntFunction<LogVolume> volumes) {
    this.core = core;
    this.self = self;
    this.volumes = volumes;
  }

  /** Makes known what clients of this node are served with on the same core; before the start. */
  public void pairWith(ForwardClient own) {
    client = own;
    own.pairWith(this);
  }

  /** Begins to serve; on the core, after the log's own cycle tasks were added. */
  public void start() {
    core.addCycleTask(this);
  }

  /** Returns the handler for a connection that another node has made; null once stopped. */
  public ConnectionHandler accept(Connection connection) {
    if (stopped) {
      return null;
    }
    ForwardSession session = new ForwardSession(this, connection);
    sessions.add(session);
    return session;
  }

  /** Ends all connections; what was begun goes on, and nobody is told. On the core. */
  public void stop() {
    stopped = true;
    core.removeCycleTask(this);
    for (ForwardSession session : sessions) {
      session.close("this node stops");
    }
  }

  /** Returns how many connections there are; on the core. */
  public int sessionCount() {
    return sessions.size();
  }

  /** Frees memory, once the core does nothing any more. */
  public void free() {
    sessions.forEach(ForwardSession::free);
    zeroes.close();
    in.close();
    out.close();
  }

  @Override
  public int doWork(long nowNs) {
    int work = 0;
    for (int i = sessions.size() - 1; i >= 0; i--) {
      work += sessions.get(i).work(nowNs);
    }
    if (!armed && !sessions.isEmpty()) {
      // So that an idle core looks at its silent connections.
      armed = true;
      long _ = core.timers().schedule(nowNs + TICK_NS, wake);
    }
    return work;
  }

  private void onTimer(long nowNs) {
    armed = false;
  }

  /**
   * Judges who has connected; ends an earlier connection of it.
   *
   * @return why it is not welcome, or null
   */
  String welcome(ForwardSession session, ForwardHello hello) {
    ForwardIdentity peer = hello.identity();
    if (hello.minVersion() > ForwardFrame.VERSION || hello.maxVersion() < ForwardFrame.VERSION) {
      return "versions "
          + hello.minVersion()
          + " to "
          + hello.maxVersion()
          + " of the forwarding protocol; this node speaks "
          + ForwardFrame.VERSION;
    }
    if (!peer.clusterId().equals(self.clusterId())) {
      return "cluster " + peer.clusterId() + "; this node belongs to " + self.clusterId();
    }
    if (hello.targetNode() != self.node()
        || hello.targetCore() != self.core()
        || peer.node() == self.node()) {
      return peer
          + " meant node "
          + hello.targetNode()
          + " core "
          + hello.targetCore()
          + "; this is "
          + self;
    }
    Newest known = newest.computeIfAbsent(peer.node(), node -> new Newest());
    long incarnation = peer.incarnation();
    boolean over =
        incarnation < known.incarnation
            || (incarnation == known.incarnation && hello.sequence() <= known.sequence);
    if (over) {
      return "connection " + hello.sequence() + " of " + peer + " is over: a newer one was here";
    }
    if (known.session != null) {
      // What was received on it and not begun is never begun.
      known.session.close("the node has connected anew");
    }
    known.incarnation = incarnation;
    known.sequence = hello.sequence();
    known.session = session;
    return null;
  }

  // Fences.

  /** A client of this node has attached to a volume that is led here. */
  void fence(ForwardedVolume volume, long id) {
    begin(new ClientFence(volume.group(), ++lastFence, null, volume, id));
  }

  /** A client of another node has attached to a volume. */
  void fence(ForwardSession session, int group, long id) {
    begin(new ClientFence(group, ++lastFence, session, null, id));
  }

  private void begin(ClientFence fence) {
    LogVolume volume = volume(fence.group);
    if (volume == null || stopped) {
      fence.end(Status.EREMOTE);
      return;
    }
    // Who asks again has lost sight of the first question.
    fences.removeIf(other -> other.hasSameAsker(fence));
    fences.add(fence);
    if (client != null) {
      client.onFence(fence.group);
    }
    for (ForwardSession session : sessions) {
      if (session != fence.session && session.isBound(fence.group)) {
        fence.missing.add(session);
        session.ask(fence);
      }
    }
    confirmIfAnswered(fence);
  }

  /** A node has answered. */
  void onFenced(ForwardSession session, long id) {
    for (ClientFence fence : fences) {
      if (fence.id == id) {
        boolean _ = fence.missing.remove(session);
        confirmIfAnswered(fence);
        return;
      }
    }
  }

  /** What was sent before the answers has been begun: it is to be seen by whoever waits. */
  private void confirmIfAnswered(ClientFence fence) {
    boolean early = client != null && client.isPlanted(ForwardingBug.FENCE_ANSWERED_EARLY);
    if (fence.isConfirming || !(early || fence.missing.isEmpty())) {
      return;
    }
    fence.isConfirming = true;
    LogVolume volume = volume(fence.group);
    if (volume == null) {
      end(fence, Status.EREMOTE);
    } else {
      volume.group().confirmLead(leads -> onLeadKnown(fence, leads));
    }
  }

  private void onLeadKnown(ClientFence fence, boolean leads) {
    if (fences.contains(fence)) {
      end(fence, leads ? Status.OK : Status.EREMOTE);
    }
  }

  private void end(ClientFence fence, int status) {
    boolean _ = fences.remove(fence);
    fence.end(status);
  }

  /** Nothing of what the session has brought is begun any more. */
  private void endFences(ForwardSession session) {
    for (ClientFence fence : List.copyOf(fences)) {
      if (fence.session == session) {
        boolean _ = fences.remove(fence);
      } else if (fence.missing.remove(session)) {
        confirmIfAnswered(fence);
      }
    }
  }

  void closed(ForwardSession session) {
    boolean _ = sessions.remove(session);
    endFences(session);
    for (Newest known : newest.values()) {
      if (known.session == session) {
        known.session = null;
      }
    }
  }

  Core core() {
    return core;
  }

  ForwardIdentity self() {
    return self;
  }

  LogVolume volume(int group) {
    return volumes.apply(group);
  }

  ForwardFrame in() {
    return in;
  }

  ForwardFrame out() {
    return out;
  }

  long zeroAddress() {
    return zeroes.address();
  }

  int zeroBytes() {
    return ZERO_BYTES;
  }
}
