package io.plinth.raft.core;

/**
 * Pre-votes and votes, from both sides. Where so many replicas are recovering that the others are
 * no majority, they can elect a leader too, but only one whose log is the most complete of all that
 * are heard of: it raises the epoch. All voters are asked for that, again and again as long as they
 * have not answered: after the loss of power of all, connections are only just being made.
 */
final class Election {
  private final RaftCore core;
  private long round;
  private boolean recoveryElection;
  private boolean ownVoteDurable;

  Election(RaftCore core) {
    this.core = core;
  }

  /** Asks whether an election would succeed. */
  void startPreVote() {
    if (core.isAlone()) {
      core.enterTerm(core.term + 1, core.self);
      core.becomeLeader(false);
      return;
    }
    core.becomeRole(Role.PRE_CANDIDATE, RaftCore.NO_NODE);
    core.resetElectionTimer();
    beginRound();
    askUnanswered();
    checkPreVotes(false);
  }

  private void askUnanswered() {
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.voter && !peer.answered) {
        Message message = core.outbox.add(MessageType.PRE_VOTE, peer.node);
        message.term = core.term + 1;
        describeLog(message);
      }
    }
  }

  /** Stands for election in a new term. */
  void campaign(boolean recovery, boolean transfer) {
    recoveryElection = recovery;
    core.enterTerm(core.term + 1, core.self);
    core.becomeRole(Role.CANDIDATE, RaftCore.NO_NODE);
    core.resetElectionTimer();
    beginRound();
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.voter) {
        Message message = core.outbox.add(MessageType.REQUEST_VOTE, peer.node);
        message.transfer = transfer;
        message.recoveryElection = recovery;
        describeLog(message);
      }
    }
  }

  void tick() {
    if (core.role == Role.PRE_CANDIDATE) {
      checkPreVotes(core.electionElapsed % core.config.heartbeatTicks() == 0);
    }
  }

  void onOwnVoteDurable() {
    if (core.role == Role.CANDIDATE) {
      ownVoteDurable = true;
      checkVotes();
    }
  }

  void onPreVote(Message m) {
    noteMoreComplete(m);
    boolean logOk = isUpToDate(m);
    boolean heard = core.hearsLeader();
    Message answer = core.outbox.add(MessageType.PRE_VOTE_RESPONSE, m.from);
    answer.round = m.round;
    answer.logOk = logOk && !heard;
    answer.granted =
        logOk
            && !heard
            && m.term > core.term
            && !goesFirst(m)
            && mayVote()
            && (!m.recovering || core.flaw == Flaw.RECOVERING_VOTES);
  }

  /** Whoever asks tells what it has: that counts as well as its answer, which may be lost. */
  private void noteMoreComplete(Message m) {
    long lastTerm = core.log.lastTerm();
    boolean more =
        m.logTerm > lastTerm || (m.logTerm == lastTerm && m.index > core.log.lastIndex());
    if (more && core.role == Role.PRE_CANDIDATE) {
      Peer peer = core.peer(m.from);
      peer.answered = true;
      peer.logOk = false;
      peer.recovering = m.recovering;
      peer.lostDisk = m.lostDisk;
    }
  }

  /**
   * Two that ask at the same time would split the votes, and lose a timeout: with equal logs the
   * one with the lower number goes on, unless the other has refused it. Not for long, because it
   * may be unable to win.
   */
  private boolean goesFirst(Message m) {
    Peer peer = core.peer(m.from);
    boolean refused = peer.answered && !peer.granted;
    return core.role == Role.PRE_CANDIDATE
        && core.self < m.from
        && !refused
        && core.electionElapsed < core.config.heartbeatTicks()
        && core.membership().isVoter(core.self)
        && m.index == core.log.lastIndex()
        && m.logTerm == core.log.lastTerm();
  }

  void onPreVoteResponse(Message m, Peer peer) {
    if (core.role != Role.PRE_CANDIDATE || m.round != round) {
      return;
    }
    record(m, peer);
    checkPreVotes(false);
  }

  void onRequestVote(Message m) {
    boolean free =
        (core.vote == RaftCore.NO_NODE && core.leader == RaftCore.NO_NODE) || core.vote == m.from;
    boolean logOk = isUpToDate(m);
    boolean grant =
        (free || core.flaw == Flaw.VOTE_TWICE) && logOk && (mayVote() || m.recoveryElection);
    if (grant && core.vote != m.from) {
      core.vote = m.from;
      core.outbox.persist();
    }
    if (grant) {
      core.resetElectionTimer();
    }
    Message answer = core.outbox.add(MessageType.REQUEST_VOTE_RESPONSE, m.from);
    answer.round = m.round;
    answer.granted = grant;
    answer.logOk = logOk;
  }

  void onRequestVoteResponse(Message m, Peer peer) {
    if (core.role != Role.CANDIDATE || m.round != round) {
      return;
    }
    record(m, peer);
    checkVotes();
  }

  /** Returns how many recovering voters leave no majority of others. */
  private static int blocking(int voters) {
    return voters - Quorum.majority(voters) + 1;
  }

  private boolean isUpToDate(Message m) {
    return core.log.isUpToDate(m.logTerm, m.index) || core.flaw == Flaw.VOTE_FOR_SHORTER_LOG;
  }

  private boolean mayVote() {
    return !core.recovering || core.flaw == Flaw.RECOVERING_VOTES;
  }

  private void beginRound() {
    round++;
    ownVoteDurable = false;
    for (int i = 0; i < core.peers.size(); i++) {
      core.peers.get(i).clearBallot();
    }
  }

  private void describeLog(Message message) {
    message.round = round;
    message.index = core.log.lastIndex();
    message.logTerm = core.log.lastTerm();
  }

  private static void record(Message m, Peer peer) {
    peer.answered = true;
    peer.granted = m.granted;
    peer.logOk = m.logOk;
    peer.recovering = m.recovering;
    peer.lostDisk = m.lostDisk;
  }

  /**
   * Returns whether what was flushed is on the disk of one of those who are heard of, in an
   * election that only has to look for the most complete log. It was on a majority of all disks.
   * Whoever has lost his since may have been one of these, so that so many others are needed as
   * leave no majority besides them. If a majority has lost its disks, there is nothing to wait for.
   */
  private boolean hearsEnoughDisks(int voters) {
    boolean isVoter = core.membership().isVoter(core.self);
    int lost = isVoter && core.lostDisk ? 1 : 0;
    int heard = isVoter ? 1 : 0;
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.voter && peer.answered) {
        heard++;
        lost += peer.lostDisk ? 1 : 0;
      }
    }
    return lost >= Quorum.majority(voters) || heard - lost >= blocking(voters);
  }

  private void checkPreVotes(boolean asksAgain) {
    int voters = core.membership().voterCount();
    int majority = Quorum.majority(voters);
    boolean isVoter = core.membership().isVoter(core.self);
    int granted = isVoter && mayVote() ? 1 : 0;
    int recovering = isVoter && core.recovering ? 1 : 0;
    int answered = isVoter ? 1 : 0;
    boolean mostComplete = true;
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.voter && peer.answered) {
        answered++;
        granted += peer.granted ? 1 : 0;
        recovering += peer.recovering ? 1 : 0;
        mostComplete &= peer.logOk;
      }
    }
    if (granted >= majority && mayVote()) {
      campaign(false, false);
    } else if (recovering >= blocking(voters) && mostComplete) {
      // No other election can succeed. All that can be reached get half a timeout to answer.
      boolean waited =
          core.electionElapsed >= core.config.electionTicks() / 2 && hearsEnoughDisks(voters);
      if (answered == voters || waited) {
        campaign(true, false);
      } else if (asksAgain) {
        askUnanswered();
      }
    }
  }

  private void checkVotes() {
    int voters = core.membership().voterCount();
    int majority = Quorum.majority(voters);
    boolean isVoter = core.membership().isVoter(core.self);
    int granted = isVoter && ownVoteDurable ? 1 : 0;
    int recovering = isVoter && core.recovering ? 1 : 0;
    boolean mostComplete = true;
    for (int i = 0; i < core.peers.size(); i++) {
      Peer peer = core.peers.get(i);
      if (peer.voter && peer.answered) {
        granted += peer.granted ? 1 : 0;
        recovering += peer.recovering ? 1 : 0;
        mostComplete &= peer.logOk;
      }
    }
    // The answers are from this term: whoever gave one takes nothing from an earlier leader any
    // more, so that those who are recovering now stay so until this election is decided.
    boolean mayRaiseEpoch =
        recovering >= blocking(voters) && mostComplete && hearsEnoughDisks(voters);
    if (granted >= majority && (!recoveryElection || mayRaiseEpoch)) {
      core.becomeLeader(recoveryElection);
    }
  }
}
