package io.plinth.raft.core;

import java.util.Arrays;

/**
 * Rest. A group in which nothing has happened for a while, and whose members have the same log,
 * committed and durable, goes quiet: no heartbeats, no timers, and the caller need not tick it. The
 * leader offers it with its heartbeats, a follower that has everything agrees and stops its timer,
 * and once all have agreed whose nodes can be reached the leader stops too. From then on the caller
 * watches nodes instead of leaders, and says when one can't be reached ({@link #onNode}).
 *
 * <p>Nothing of this is needed for safety. A quiet replica's time goes on ({@link RaftCore#pass}),
 * so that leases end and promises are kept as if it had been ticked. Whatever is not in keeping
 * wakes: who wakes without a reason finds out with its next timeout, at the latest.
 */
final class Quiescence {
  private static final long NONE = -1;
  private static final long LONG_AGO = Long.MAX_VALUE / 2;

  private final RaftCore core;
  private final RaftConfig config;
  private boolean quiet;
  // Nodes that can't be reached.
  private int[] away = new int[4];
  private int awayCount;

  /**
   * A follower that somebody else has woken took its leader for alive until then: for one timeout
   * it goes on to do so, or else one member without a leader could depose it.
   */
  private long sinceVouched = LONG_AGO;

  // The leader's.
  private long idleTicks;
  private long offerTick = NONE;

  Quiescence(RaftCore core) {
    this.core = core;
    this.config = core.config;
  }

  boolean isQuiet() {
    return quiet;
  }

  /** Whether this replica takes its leader for alive without having heard of it. */
  boolean vouches() {
    return quiet || sinceVouched < config.electionTicks();
  }

  void tick() {
    sinceVouched++;
    idleTicks++;
  }

  /** Something is asked of the leader: the group is needed. */
  void onUse() {
    idleTicks = 0;
    offerTick = NONE;
    if (core.flaw != Flaw.WAKE_NOT_REPEATED) {
      wake();
    }
  }

  /** Role, leader or term are other ones. */
  void onChange() {
    quiet = false;
    sinceVouched = LONG_AGO;
    idleTicks = 0;
    offerTick = NONE;
  }

  // The leader.

  /** Returns whether the heartbeat that is about to be sent offers rest. */
  boolean offer() {
    if (!isAtRest()) {
      offerTick = NONE;
      return false;
    }
    if (offerTick == NONE) {
      offerTick = core.now;
      for (int i = 0; i < core.peers.size(); i++) {
        core.peers.get(i).rests = false;
      }
    }
    wantDurable();
    return true;
  }

  void onResponse(Message m, Peer peer) {
    // An answer to an earlier offer tells nothing: the peer may have been woken since.
    if (!quiet) {
      peer.rests = m.quiet && offerTick != NONE && m.tick >= offerTick;
    }
  }

  /** Goes quiet if all agree; returns whether it has. */
  boolean rest() {
    boolean all = offerTick != NONE && isAtRest() && isDurable() && isMajority();
    for (int i = 0; i < core.peers.size() && all; i++) {
      Peer peer = core.peers.get(i);
      all = !peer.member || isAway(peer.node) || peer.rests || isFlawed();
    }
    quiet = all;
    return all;
  }

  /** Whether nothing is to be done, and every member that can be reached has everything. */
  private boolean isAtRest() {
    if (config.quietTicks() == 0
        || idleTicks < config.quietTicks()
        || core.commit != core.log.lastIndex()
        || !core.isIdleLeader()) {
      return false;
    }
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      boolean behind = peer.probing || peer.recovering || peer.appended != core.log.lastIndex();
      if (peer.member && behind && !isAway(peer.node) && !isFlawed()) {
        return false;
      }
    }
    return true;
  }

  /** Whether the voters that can be reached, and rest, could elect somebody, or commit. */
  private boolean isMajority() {
    Membership members = core.membership();
    int resting = 0;
    for (int i = 0; i < members.voterCount(); i++) {
      int node = members.voter(i);
      Peer peer = core.peerOrNull(node);
      resting += peer == null || (!isAway(node) && (peer.rests || isFlawed())) ? 1 : 0;
    }
    return resting >= Quorum.majority(members.voterCount());
  }

  // The follower.

  /** The leader is heard: awake until it turns out to be an offer that can be agreed to. */
  void onLeader() {
    quiet = false;
    sinceVouched = LONG_AGO;
  }

  /**
   * Goes quiet if the leader offers it and this replica has everything; not if the message is an
   * old one that was late, nor while nobody watches the leader's node.
   */
  void agree(Message m, long newestTick) {
    boolean complete = core.hasAllCommitted() && m.commit == core.commit;
    boolean rest =
        m.quiet
            && config.quietTicks() > 0
            && (complete || isFlawed())
            && m.tick == newestTick
            && !core.isRecovering()
            && !isAway(core.leader);
    quiet = rest && isDurable();
    if (rest && !quiet) {
      wantDurable();
    }
  }

  // Both.

  /** Whatever a member says wakes, but the leader's offer and the answer to it, and old news. */
  void onMessage(Message m, Peer peer) {
    boolean expected =
        core.role == Role.LEADER
            ? m.type == MessageType.APPEND_RESPONSE && m.quiet
            : m.from == core.leader
                && (m.type == MessageType.HEARTBEAT || m.type == MessageType.APPEND);
    boolean old = m.term < core.term && m.type != MessageType.PRE_VOTE;
    if (!old && !(expected && m.term == core.term)) {
      onStir(peer);
    }
  }

  /**
   * A member does not rest. Who rested under a leader lets it know: if it still leads it speaks,
   * before anybody here begins to doubt it. A leader that does not rest, but asks for votes or
   * speaks as a new incarnation, leads no more.
   */
  void onStir(Peer peer) {
    peer.rests = false;
    if (quiet) {
      wake();
      if (core.role == Role.FOLLOWER && peer.node != core.leader) {
        sinceVouched = 0;
        core.respond();
      }
    }
  }

  /** The caller says whether a node can be reached. */
  void onNode(int node, boolean reachable) {
    int at = find(node);
    if (reachable) {
      if (at >= 0) {
        away[at] = away[--awayCount];
      }
      Peer peer = core.peerOrNull(node);
      if (core.role == Role.LEADER && peer != null && peer.member) {
        // It may have missed something, and may not know that it is to rest.
        wake();
      }
      return;
    }
    if (at < 0) {
      if (awayCount == away.length) {
        away = Arrays.copyOf(away, 2 * awayCount);
      }
      away[awayCount++] = node;
    }
    if (core.role == Role.LEADER) {
      if (quiet && !isMajority()) {
        wake();
      }
    } else if (node == core.leader && vouches() && core.flaw != Flaw.DEATH_NOT_HEARD) {
      quiet = false;
      sinceVouched = LONG_AGO;
      core.expectElection();
    }
  }

  private void wake() {
    if (quiet) {
      quiet = false;
      offerTick = NONE;
      core.onWake();
    }
  }

  private boolean isDurable() {
    return core.durable >= core.log.lastIndex() && !core.outbox.isPending();
  }

  private void wantDurable() {
    if (core.durable < core.log.lastIndex()) {
      Action _ = core.actions.add(Action.Kind.SYNC_WANTED);
    }
  }

  private boolean isFlawed() {
    return core.flaw == Flaw.QUIET_BEFORE_ALL_AGREE;
  }

  private boolean isAway(int node) {
    return find(node) >= 0;
  }

  private int find(int node) {
    for (int i = 0; i < awayCount; i++) {
      if (away[i] == node) {
        return i;
      }
    }
    return -1;
  }
}
