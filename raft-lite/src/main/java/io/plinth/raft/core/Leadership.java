package io.plinth.raft.core;

/** What a leader does: sends entries, counts who has them, grants reads, hands over. */
final class Leadership {
  private final RaftCore core;
  private final RaftConfig config;
  private long[] counted = new long[8];
  private long firstIndexOfTerm;
  private long sinceHeartbeat;
  private long sinceQuorumCheck;
  private long flushed;

  private long round;
  private final long[] readIds;
  private final long[] readIndexes;
  private final long[] readRounds;
  private int firstRead;
  private int readCount;

  private int transferTarget = RaftCore.NO_NODE;
  private long transferStart;
  private boolean timeoutNowSent;
  // A TIMEOUT_NOW may arrive any time later, and its election does not wait for our lease to end.
  private boolean leaseGivenUp;

  Leadership(RaftCore core) {
    this.core = core;
    this.config = core.config;
    readIds = new long[config.maxPendingReads()];
    readIndexes = new long[config.maxPendingReads()];
    readRounds = new long[config.maxPendingReads()];
  }

  /** Leads from the next entry on: there is nothing before it that is not committed. */
  void beginAlone() {
    prepare();
    firstIndexOfTerm = core.log.lastIndex();
    updateCommit();
  }

  void begin(boolean epochRaised) {
    prepare();
    firstIndexOfTerm =
        core.appendOwn(
            epochRaised ? EntryKind.EPOCH : EntryKind.NO_OP,
            RaftCore.NO_NODE,
            EntryLog.NO_PLACE,
            0);
    replicate();
  }

  private void prepare() {
    transferTarget = RaftCore.NO_NODE;
    leaseGivenUp = false;
    sinceHeartbeat = 0;
    sinceQuorumCheck = 0;
    flushed = 0;
    for (int i = 0; i < core.peers.size(); i++) {
      core.peers.get(i).restart(core.log.lastIndex(), core.now);
    }
  }

  void end() {
    while (readCount > 0) {
      core.actions.add(Action.Kind.READ_REFUSED).id = removeRead();
    }
    transferTarget = RaftCore.NO_NODE;
  }

  void tick() {
    if (++sinceQuorumCheck >= config.electionTicks()) {
      sinceQuorumCheck = 0;
      if (!heardMajority()) {
        core.becomeFollower(core.term, RaftCore.NO_NODE);
        return;
      }
    }
    if (transferTarget != RaftCore.NO_NODE && core.now - transferStart >= config.electionTicks()) {
      transferTarget = RaftCore.NO_NODE;
    }
    if (++sinceHeartbeat >= config.heartbeatTicks() && !core.quiescence.rest()) {
      heartbeat();
    }
  }

  /** What was heard before the rest tells nothing of who is there now. */
  void onWake() {
    sinceQuorumCheck = 0;
    sinceHeartbeat = config.heartbeatTicks();
    for (int i = 0; i < core.peers.size(); i++) {
      core.peers.get(i).heardTick = core.now;
    }
  }

  /** Whether it has nothing to do but to wait for proposals and reads. */
  boolean isIdle() {
    return hasCommittedInItsTerm()
        && readCount == 0
        && !refusesProposals()
        && core.membership().isVoter(core.self);
  }

  void heartbeat() {
    sinceHeartbeat = 0;
    boolean offersRest = core.quiescence.offer();
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (!peer.member) {
        continue;
      }
      Message message = core.outbox.add(MessageType.HEARTBEAT, peer.node);
      describe(message, peer);
      message.quiet = offersRest;
      boolean stalled =
          peer.nextIndex - 1 > peer.appended
              && core.now - peer.progressTick > 2L * config.heartbeatTicks();
      if (!peer.probing && stalled) {
        // Something on the way was lost: start again where the peer is known to be.
        peer.probing = true;
        peer.nextIndex = peer.appended + 1;
      }
      if (peer.probing) {
        peer.probeSent = false;
        send(peer);
      }
    }
  }

  /** Sends what the windows allow to every member. */
  void replicate() {
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.member) {
        send(peer);
      }
    }
  }

  /** A member begins anew behind an entry: what it has said of its old log is not true any more. */
  void resynced(Peer peer, long index, boolean recovering) {
    peer.restart(core.log.lastIndex(), core.now);
    peer.recovering = recovering;
    peer.nextIndex = index + 1;
    send(peer);
  }

  boolean refusesProposals() {
    return transferTarget != RaftCore.NO_NODE;
  }

  long firstIndexOfTerm() {
    return firstIndexOfTerm;
  }

  boolean hasCommittedInItsTerm() {
    return core.commit >= firstIndexOfTerm;
  }

  void onResponse(Message m, Peer peer) {
    peer.heardTick = core.now;
    peer.recovering = m.recovering;
    core.quiescence.onResponse(m, peer);
    peer.ackedTick = Math.max(peer.ackedTick, m.tick);
    peer.ackedRound = Math.max(peer.ackedRound, m.round);
    boolean possible =
        m.index <= core.log.lastIndex() && m.appended <= m.index && m.durable <= m.appended;
    if (!peer.member || (m.granted && !possible)) {
      return;
    }
    if (m.granted) {
      accepted(m, peer);
    } else {
      refused(m, peer);
    }
    updateCommit();
    if (core.role == Role.LEADER) {
      grantReads();
      handOver();
      send(peer);
    }
  }

  void updateCommit() {
    long index = Math.min(quorum(config.ackPolicy()), core.log.lastIndex());
    // Figure 8: entries of earlier terms are committed only by one of this term, where there is
    // anybody who could have others.
    if (index > core.commit
        && (core.isAlone()
            || core.log.term(index) == core.term
            || core.flaw == Flaw.COMMIT_EARLIER_TERM)) {
      core.advanceCommit(index);
      if (core.role != Role.LEADER) {
        return;
      }
    }
    long newFlushed = Math.min(quorum(AckPolicy.DURABLE), core.commit);
    if (newFlushed > flushed
        && (core.isAlone()
            || (newFlushed >= core.log.baseIndex() && core.log.term(newFlushed) == core.term))) {
      flushed = newFlushed;
      core.actions.add(Action.Kind.FLUSHED).index = flushed;
    }
    grantReads();
  }

  /** The member that is removed leads until its removal is committed, then tells and goes. */
  void leaveIfRemoved() {
    if (!core.membership().isVoter(core.self) && !core.changePending()) {
      heartbeat();
      core.becomeFollower(core.term, RaftCore.NO_NODE);
    }
  }

  boolean read(long id) {
    if (hasLease() && hasCommittedInItsTerm()) {
      grant(id, core.commit);
      return true;
    }
    if (readCount == readIds.length) {
      return false;
    }
    int slot = (firstRead + readCount++) % readIds.length;
    readIds[slot] = id;
    readIndexes[slot] = Math.max(core.commit, firstIndexOfTerm);
    readRounds[slot] = ++round;
    heartbeat();
    grantReads();
    return true;
  }

  boolean transfer(int target) {
    Peer peer = core.peerOrNull(target);
    if (peer == null || !peer.voter || refusesProposals()) {
      return false;
    }
    transferTarget = target;
    timeoutNowSent = false;
    transferStart = core.now;
    handOver();
    return true;
  }

  /** Whether a majority promised, recently enough, to vote for nobody. */
  boolean hasLease() {
    if (leaseGivenUp && core.flaw != Flaw.LEASE_SURVIVES_LEADERSHIP) {
      return false;
    }
    Membership members = core.membership();
    for (int i = 0; i < members.voterCount(); i++) {
      Peer peer = core.peerOrNull(members.voter(i));
      counted[i] = peer == null ? core.now : peer.recovering ? Peer.NEVER : peer.ackedTick;
    }
    long promised = Quorum.committedIndex(counted, members.voterCount());
    return core.now - promised <= config.leaseTicks();
  }

  void onMembers() {
    int voters = core.membership().voterCount();
    if (counted.length < voters) {
      counted = new long[voters];
    }
  }

  private void accepted(Message m, Peer peer) {
    if (m.appended > peer.appended) {
      peer.appended = m.appended;
      peer.progressTick = core.now;
    }
    peer.durable = Math.max(peer.durable, m.durable);
    if (core.flaw == Flaw.ACK_BEFORE_DURABLE) {
      peer.durable = peer.appended;
    }
    if (peer.probing && m.index >= peer.nextIndex - 1) {
      peer.probing = false;
      peer.nextIndex = Math.max(peer.nextIndex, m.index + 1);
    }
    peer.nextIndex = Math.max(peer.nextIndex, peer.appended + 1);
  }

  private void refused(Message m, Peer peer) {
    boolean late =
        m.refusedIndex <= peer.appended || (peer.probing && m.refusedIndex != peer.nextIndex - 1);
    if (late) {
      return;
    }
    long hint = core.log.lastWithTermAtMost(m.index, m.logTerm);
    peer.nextIndex = Math.max(peer.appended, Math.min(hint, m.refusedIndex - 1)) + 1;
    peer.probing = true;
    peer.probeSent = false;
  }

  /** Whether a member needs an entry that is compacted, or can't be read. */
  boolean lacks(Peer peer) {
    return peer.nextIndex - 1 < core.log.baseIndex() || peer.nextIndex <= peer.unreadable;
  }

  /** An entry that is committed can't be sent to a member that needs it. */
  void unreadable(Peer peer, long index) {
    if (peer.appended < index) {
      peer.unreadable = Math.max(peer.unreadable, index);
      peer.nextIndex = Math.min(peer.nextIndex, index);
      send(peer);
    }
  }

  private void send(Peer peer) {
    if (lacks(peer)) {
      if (!peer.resyncReported) {
        peer.resyncReported = true;
        core.actions.add(Action.Kind.RESYNC_NEEDED).node = peer.node;
      }
      return;
    }
    if (peer.probing) {
      if (!peer.probeSent) {
        peer.probeSent = true;
        int _ = sendEntries(peer);
      }
      return;
    }
    while (peer.nextIndex <= core.log.lastIndex()) {
      int count = sendEntries(peer);
      if (count == 0) {
        return;
      }
      if (peer.nextIndex - 1 == peer.appended) {
        peer.progressTick = core.now;
      }
      peer.nextIndex += count;
    }
  }

  /** Returns how many entries went; none if a window is full. A probe goes even if it is empty. */
  private int sendEntries(Peer peer) {
    long previous = peer.nextIndex - 1;
    long last = previous;
    while (last < core.log.lastIndex()
        && last - previous < config.maxEntriesPerMessage()
        && last - peer.appended < config.maxInflightEntries()
        && fits(peer, last + 1)) {
      last++;
    }
    if (last == previous && !peer.probing) {
      return 0;
    }
    Message message = core.outbox.add(MessageType.APPEND, peer.node);
    describe(message, peer);
    message.index = previous;
    message.logTerm = core.log.term(previous);
    for (long i = previous + 1; i <= last; i++) {
      message.addEntry(
          core.log.term(i),
          core.log.kind(i),
          core.log.subject(i),
          core.log.place(i),
          core.log.lengthBytes(i));
    }
    return message.entryCount;
  }

  private boolean fits(Peer peer, long index) {
    // A probe that goes back has less on its way than its distance says.
    long from = peer.probing ? peer.nextIndex - 1 : peer.appended;
    return index == from + 1 || core.log.bytesBetween(from, index) <= config.maxInflightBytes();
  }

  private void describe(Message message, Peer peer) {
    message.commit = core.commit;
    message.round = round;
    message.tick = core.now;
    if (peer.recovering) {
      // Whatever was committed with an ack that the peer's crash made untrue is in here: what an
      // earlier leader committed is before our term, and what we did is before our commit index.
      // From now on, answers of the earlier incarnation are not heard.
      message.recoverIncarnation = peer.incarnation;
      message.recoverTo = Math.max(firstIndexOfTerm, core.commit);
    }
  }

  private long quorum(AckPolicy policy) {
    Membership members = core.membership();
    int count = members.voterCount();
    for (int i = 0; i < count; i++) {
      counted[i] = position(members.voter(i), policy);
    }
    if (core.flaw == Flaw.LEARNER_COUNTED) {
      for (int i = 0; i < members.learnerCount(); i++) {
        counted[count - 1] = Math.max(counted[count - 1], position(members.learner(i), policy));
      }
    }
    return Quorum.committedIndex(counted, count);
  }

  private long position(int node, AckPolicy policy) {
    if (node == core.self) {
      return policy == AckPolicy.APPENDED ? core.appended : core.durable;
    }
    Peer peer = core.peer(node);
    if (peer.recovering) {
      return 0;
    }
    return policy == AckPolicy.APPENDED ? peer.appended : peer.durable;
  }

  private boolean heardMajority() {
    Membership members = core.membership();
    int heard = 0;
    for (int i = 0; i < members.voterCount(); i++) {
      Peer peer = core.peerOrNull(members.voter(i));
      if (peer == null || core.now - peer.heardTick < config.electionTicks()) {
        heard++;
      }
    }
    return heard >= Quorum.majority(members.voterCount());
  }

  private void grantReads() {
    if (readCount == 0 || !hasCommittedInItsTerm()) {
      return;
    }
    Membership members = core.membership();
    for (int i = 0; i < members.voterCount(); i++) {
      Peer peer = core.peerOrNull(members.voter(i));
      counted[i] = peer == null ? round : peer.recovering ? 0 : peer.ackedRound;
    }
    long confirmed = Quorum.committedIndex(counted, members.voterCount());
    if (core.flaw == Flaw.READ_WITHOUT_QUORUM) {
      confirmed = round;
    }
    while (readCount > 0 && readRounds[firstRead] <= confirmed) {
      long index = readIndexes[firstRead];
      grant(removeRead(), index);
    }
  }

  private void grant(long id, long index) {
    Action action = core.actions.add(Action.Kind.READ_GRANTED);
    action.id = id;
    action.index = index;
  }

  private long removeRead() {
    long id = readIds[firstRead];
    firstRead = (firstRead + 1) % readIds.length;
    readCount--;
    return id;
  }

  private void handOver() {
    if (transferTarget == RaftCore.NO_NODE || timeoutNowSent) {
      return;
    }
    Peer peer = core.peer(transferTarget);
    if (peer.appended == core.log.lastIndex() && !peer.recovering) {
      leaseGivenUp = true;
      timeoutNowSent = true;
      Message _ = core.outbox.add(MessageType.TIMEOUT_NOW, transferTarget);
    }
  }
}
