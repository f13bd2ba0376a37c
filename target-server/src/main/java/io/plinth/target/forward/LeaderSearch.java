package io.plinth.target.forward;

import io.plinth.engine.api.Status;
import io.plinth.log.replication.Replica;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Where a volume is led: the connection on which its leader has said so, or the search for one,
 * which asks all members again and again; and what tells whether clients of the volume may stay
 * when another one has been found.
 */
final class LeaderSearch {
  /**
   * Clients are disconnected when no leader was found for so long: whoever waits longer may ask
   * another node again, and then nothing of what was asked here may be begun any more.
   */
  static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(2);

  private static final long MIN_PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long MAX_PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(160);

  /** Any value that no core's clock has. */
  private static final long NEVER = Long.MIN_VALUE;

  private static final long UNKNOWN = -1;

  private final ForwardClient client;
  private final ForwardedVolume volume;
  private int[] members = {};
  private ForwardChannel bound;

  /** The node at its other end, for any thread. */
  private volatile int leader = Replica.NO_NODE;

  /** Of the leader that was found; an earlier one is none any more. */
  private long term;

  /** What the attached clients began with. */
  private long epoch = UNKNOWN;

  /** Up to which entry they know that the content is what they have written. */
  private long seenIndex = UNKNOWN;

  private long sinceNs = NEVER;
  private long nextLookNs = NEVER;
  private long pauseNs = MIN_PAUSE_NS;

  LeaderSearch(ForwardClient client, ForwardedVolume volume) {
    this.client = client;
    this.volume = volume;
  }

  void members(List<Integer> nodes) {
    members =
        nodes.stream().mapToInt(Integer::intValue).filter(n -> n != client.self().node()).toArray();
  }

  /** Returns the connection to the leader, or null. */
  ForwardChannel bound() {
    return bound != null && bound.isOpen() ? bound : null;
  }

  /** Returns the other node that was found to lead, or {@link Replica#NO_NODE}; any thread. */
  int leader() {
    return leader;
  }

  /** Returns the term in which the leader was found. */
  long term() {
    return term;
  }

  /** A leader has answered, whatever it was. */
  void onServed() {
    sinceNs = NEVER;
    pauseNs = MIN_PAUSE_NS;
  }

  /** Nobody wants a leader. */
  void pause() {
    sinceNs = NEVER;
  }

  /**
   * Asks who leads, if it is time to.
   *
   * @param waits whether requests wait for that
   * @return whether that has taken too long
   */
  boolean look(long nowNs, boolean waits) {
    if (!waits) {
      pause();
    } else if (sinceNs == NEVER) {
      sinceNs = nowNs;
    }
    if (nowNs >= nextLookNs) {
      nextLookNs = nowNs + pauseNs;
      pauseNs = Math.min(MAX_PAUSE_NS, 2 * pauseNs);
      for (int node : members) {
        ask(node, nowNs);
      }
    }
    return waits && nowNs - sinceNs > PATIENCE_NS;
  }

  private void ask(int node, long nowNs) {
    ForwardLink link = client.link(node);
    ForwardChannel channel = link == null ? null : link.want(nowNs);
    if (channel != null) {
      channel.say(ForwardFrame.BIND, volume.group());
    }
  }

  /**
   * Somebody has answered.
   *
   * @param applied up to which entry the local replica has told its clients of other content; a
   *     negative number without one
   * @return why clients have to be disconnected if there are any, or null
   */
  String onBound(ForwardChannel channel, ForwardFrame frame, long applied) {
    long foundTerm = frame.detail(0);
    if (frame.status() != Status.OK || frame.offset() < epoch || foundTerm < term) {
      // Elsewhere, or by one who does not know yet that there is another leader.
      boolean _ = unbind(channel);
      return null;
    }
    if (bound != channel) {
      leave();
    }
    bound = channel;
    leader = channel.node();
    term = foundTerm;
    pauseNs = MIN_PAUSE_NS;
    boolean otherEpoch = epoch != UNKNOWN && frame.offset() != epoch;
    long seen = Math.max(seenIndex, applied);
    boolean otherContent = seen != UNKNOWN && frame.detail(2) > seen;
    epoch = frame.offset();
    seenIndex = Math.max(seenIndex, frame.detail(1));
    if (otherEpoch) {
      return "epoch " + epoch + " has begun";
    }
    return otherContent ? "it may have other content" : null;
  }

  void onSeen(ForwardChannel channel, long index) {
    if (channel == bound) {
      seenIndex = Math.max(seenIndex, index);
    }
  }

  void onGone(ForwardChannel channel, ForwardFrame frame) {
    epoch = Math.max(epoch, frame.offset());
    seenIndex = Math.max(seenIndex, frame.length());
    boolean _ = unbind(channel);
  }

  /** The local replica has seen this epoch begin. */
  void noteEpoch(long seen) {
    epoch = Math.max(epoch, seen);
  }

  /** Clients begin with what the leader tells next. */
  void forgetSeen() {
    epoch = UNKNOWN;
    seenIndex = UNKNOWN;
    leave();
  }

  /** There are no clients any more: whoever leads need not tell what concerns them. */
  void leave() {
    if (bound() != null) {
      bound.say(ForwardFrame.UNBIND, volume.group());
    }
    bound = null;
    leader = Replica.NO_NODE;
  }

  /** Requests can't go there; returns whether they did. */
  boolean unbind(ForwardChannel channel) {
    if (bound != channel) {
      return false;
    }
    leave();
    nextLookNs = NEVER;
    return true;
  }
}
