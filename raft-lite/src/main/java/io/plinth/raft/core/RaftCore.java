package io.plinth.raft.core;

import java.util.ArrayList;
import java.util.function.LongSupplier;

/**
 * One replica of one group: messages, ticks and proposals in, {@link Actions} out. After every call
 * the caller carries the actions out in their order and clears them.
 *
 * <p>The order that keeps promises true: term and vote are durable before any message tells them
 * (the core holds messages back); entries are appended, or durable, before the position that an
 * answer carries covers them. If the node dies in between, nobody was told.
 */
public final class RaftCore {
  /** Nobody. */
  public static final int NO_NODE = -1;

  /** A proposal or read was refused: this replica does not lead. */
  public static final long NOT_LEADER = -1;

  /** A proposal or read was refused: as many as may wait do. Try again after a commit. */
  public static final long BUSY = -2;

  /** A proposal was refused: leadership is being handed over. */
  public static final long TRANSFERRING = -3;

  /**
   * A change of membership was refused: another one, or the term's first entry, is not committed.
   */
  public static final long CHANGE_PENDING = -4;

  /** A change of membership was refused: it makes no sense for the present members. */
  public static final long BAD_CHANGE = -5;

  /** Messages of more nodes than that are not heard. */
  private static final int MAX_PEERS = 64;

  final RaftConfig config;
  final Flaw flaw;
  final int self;
  final long incarnation;
  final EntryLog log;
  final Actions actions = new Actions();
  final Outbox outbox;
  final ArrayList<Peer> peers = new ArrayList<>();
  final Quiescence quiescence;
  private final Election election;
  private final Leadership leadership;
  private final LongSupplier random;
  // Members as of the base and after each change since, with the indexes of the changes.
  private final ArrayList<Membership> memberships = new ArrayList<>();
  private final ArrayList<Long> membershipIndexes = new ArrayList<>();

  Role role = Role.FOLLOWER;
  long term;
  int vote;
  int leader = NO_NODE;
  boolean recovering;

  /** It is recovering, and what it had is not even in part on its disk. */
  boolean lostDisk;

  long commit;
  long appended;
  long durable;
  long now;
  long electionElapsed;
  private long electionTimeout;
  // A start counts as hearing a leader: what was promised before a crash still holds.
  private long sinceLeader;
  private boolean wasLeader;
  private boolean alone;

  // Of the present term's leader.
  private long matched;
  private long echoRound;
  private long echoTick;
  private long recoverTo;
  private long recoveredTo = Long.MAX_VALUE;

  private long lastTicket;
  // Completions of appends before this one do not tell of what was written since a truncation.
  private long firstTicketAfterTruncation;
  private long untouchedByTruncation = Long.MAX_VALUE;

  /**
   * Creates a replica.
   *
   * @param random chance for election timeouts, asked at each reset; any value
   */
  public RaftCore(RaftConfig config, RaftStart start, LongSupplier random) {
    this(config, start, random, Flaw.NONE);
  }

  /** Creates a replica that makes a mistake, for tests. */
  public RaftCore(RaftConfig config, RaftStart start, LongSupplier random, Flaw flaw) {
    this.config = config;
    this.flaw = flaw;
    this.random = random;
    self = start.self();
    incarnation = start.incarnation();
    log = start.log();
    // An entry can be durable before its term is; in that term nothing was promised then.
    term = Math.max(start.term(), log.lastTerm());
    vote = term == start.term() ? start.vote() : NO_NODE;
    commit = log.baseIndex();
    appended = log.lastIndex();
    durable = Math.min(start.durableIndex(), appended);
    outbox = new Outbox(this, actions);
    quiescence = new Quiescence(this);
    election = new Election(this);
    leadership = new Leadership(this);
    memberships.add(start.membership());
    membershipIndexes.add(log.baseIndex());
    for (long i = log.baseIndex() + 1; i <= log.lastIndex(); i++) {
      rememberMembership(i);
    }
    applyMembership();
    // Under DURABLE no ack told of a tail that power can take.
    boolean lostTail = start.machineCrashed() && config.ackPolicy() == AckPolicy.APPENDED;
    recovering = start.recovering() || lostTail;
    lostDisk = start.recovering() && start.lostDisk() && flaw != Flaw.LOST_DISK_COUNTS;
    if (recovering != start.recovering() || term != start.term()) {
      outbox.persist();
    }
    resetElectionTimer();
  }

  /** Returns the actions that wait. */
  public Actions actions() {
    return actions;
  }

  /** Returns the view of the log; only the core changes it. */
  public EntryLog log() {
    return log;
  }

  /** Returns the role. */
  public Role role() {
    return role;
  }

  /** Returns the term. */
  public long term() {
    return term;
  }

  /** Returns the vote in this term, or {@link #NO_NODE}. */
  public int vote() {
    return vote;
  }

  /** Returns the leader of this term, or {@link #NO_NODE}. */
  public int leader() {
    return leader;
  }

  /** Returns the commit index. */
  public long commitIndex() {
    return commit;
  }

  /** Returns the epoch: see {@link EntryLog#epoch}. */
  public long epoch() {
    return log.epoch();
  }

  /**
   * Returns whether this replica may have lost what it acknowledged: it neither votes nor counts.
   */
  public boolean isRecovering() {
    return recovering;
  }

  /** Returns whether it is recovering because it has lost its disk. */
  public boolean hasLostDisk() {
    return lostDisk;
  }

  /**
   * Returns up to which entry this replica may have acknowledged what it has lost: entries after it
   * were appended when it was known to be recovering. {@link Long#MAX_VALUE} before it has
   * recovered, and where it had nothing to recover from.
   */
  public long recoveredTo() {
    return recoveredTo;
  }

  /** Returns the present members: a change counts as soon as it is in the log. */
  public Membership membership() {
    return memberships.get(memberships.size() - 1);
  }

  /** Returns the members as of the base of the log. */
  public Membership baseMembership() {
    return memberships.get(0);
  }

  /**
   * Returns how many entries a member lacks, as far as this leader has heard; -1 when this replica
   * does not lead, or the node is no other member.
   */
  public long entriesBehind(int node) {
    Peer peer = role == Role.LEADER ? peerOrNull(node) : null;
    return peer == null || !peer.member ? -1 : log.lastIndex() - peer.appended;
  }

  /** Returns whether this leader has sent an entry to all other voters, as far as it knows. */
  public boolean hasSent(long index) {
    for (int i = 0; i < peers.size(); i++) {
      Peer peer = peers.get(i);
      if (peer.voter && peer.nextIndex <= index) {
        return false;
      }
    }
    return true;
  }

  /**
   * Returns whether a member counts and has all entries up to {@code index} durably, as far as this
   * leader has heard; of itself it knows.
   */
  public boolean hasDurably(int node, long index) {
    if (role != Role.LEADER) {
      return false;
    }
    if (node == self) {
      return durable >= index;
    }
    Peer peer = peerOrNull(node);
    return peer != null && peer.member && !peer.recovering && peer.durable >= index;
  }

  /** Returns the members as of entry {@code index}, from the base of the log to the last. */
  public Membership membershipAt(long index) {
    int newest = memberships.size() - 1;
    while (newest > 0 && membershipIndexes.get(newest) > index) {
      newest--;
    }
    return memberships.get(newest);
  }

  /**
   * Returns whether this leader can't send a member what it needs, as far as it knows: see {@link
   * Action.Kind#RESYNC_NEEDED}.
   */
  public boolean needsResync(int node) {
    Peer peer = peerOrNull(node);
    return role == Role.LEADER && peer != null && peer.member && leadership.lacks(peer);
  }

  /**
   * The caller can't read an entry any more that a member waits for: if it is committed, the member
   * is brought up to date beside the log, as if the entry were compacted.
   */
  public void unreadable(int node, long index) {
    Peer peer = peerOrNull(node);
    if (role == Role.LEADER && peer != null && peer.member && index <= commit) {
      leadership.unreadable(peer, index);
    }
  }

  /** Returns whether all entries behind one can be sent to a member, as far as is known. */
  public boolean canSendAfter(int node, long index) {
    Peer peer = peerOrNull(node);
    return index >= log.baseIndex() && (peer == null || index >= peer.unreadable);
  }

  /**
   * The caller has brought a member's state to that of entry {@code index}, and the member was
   * started anew with a log that begins there: it is sent what follows, and nothing that it said
   * before counts. When the entry is compacted by now, RESYNC_NEEDED comes again.
   *
   * @param recovering whether the member does not count before it has caught up
   */
  public void resynced(int node, long index, boolean recovering) {
    Peer peer = peerOrNull(node);
    if (role == Role.LEADER && peer != null && index <= log.lastIndex()) {
      quiescence.onUse();
      leadership.resynced(peer, index, recovering);
    }
  }

  /** Returns up to which entry all that this replica has is durable. */
  public long durableIndex() {
    return durable;
  }

  /**
   * Returns the index of the entry that this leader's term began with: once it is committed, so is
   * all that earlier leaders have committed. Alone, the newest entry that was there before.
   */
  public long firstIndexOfTerm() {
    return leadership.firstIndexOfTerm();
  }

  /**
   * Returns up to which entry all other members are known to have the log durably: nobody will ask
   * for those any more. Of use to the leader.
   */
  public long durableEverywhere() {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < peers.size(); i++) {
      Peer peer = peers.get(i);
      least = peer.member ? Math.min(least, peer.durable) : least;
    }
    return least;
  }

  /**
   * Returns whether this replica is the only member, and nobody learns from it. It leads as soon as
   * it is asked to: all that its log holds is committed, and nobody can have heard of a term that
   * it forgets. So its term begins without an entry, and is made durable before the first message
   * that tells it.
   */
  public boolean isAlone() {
    return alone;
  }

  /**
   * Returns whether this replica need not be ticked: the caller gives it the time by {@link #pass},
   * before anything else that it asks or tells, and says what becomes of nodes by {@link #onNode}.
   */
  public boolean isQuiet() {
    return quiescence.isQuiet() || (alone && role == Role.LEADER);
  }

  /** Lets so many units of time pass at once for a replica that is quiet. */
  public void pass(long ticks) {
    if (!isQuiet()) {
      throw new IllegalStateException("not quiet");
    }
    if (flaw != Flaw.QUIET_TIME_NOT_COUNTED || role != Role.LEADER) {
      now += ticks;
    }
    sinceLeader += ticks;
  }

  /**
   * Tells whether a node can be reached, as far as the caller knows, who watches all nodes that
   * have members of groups that may go quiet; before it is told otherwise, one can be. A node that
   * was started anew was away in between. Of use to quiet groups only: others hear their leader.
   */
  public void onNode(int node, boolean reachable) {
    quiescence.onNode(node, reachable);
  }

  /** Lets one unit of time pass. */
  public void tick() {
    if (isQuiet()) {
      pass(1);
      return;
    }
    now++;
    sinceLeader++;
    electionElapsed++;
    quiescence.tick();
    if (role == Role.LEADER) {
      leadership.tick();
      return;
    }
    election.tick();
    if (role != Role.LEADER && electionElapsed >= electionTimeout && mayCampaign()) {
      election.startPreVote();
    }
  }

  /**
   * Stands for election without waiting, as for the only voter of a group, which need not fear that
   * somebody else leads.
   */
  public void campaign() {
    if (role != Role.LEADER && mayCampaign()) {
      election.startPreVote();
    }
  }

  /**
   * Returns what {@link #propose} would refuse one of so many entries with now, or 0: for who must
   * do something before that can't be taken back.
   */
  public long refusal(int entries) {
    if (role != Role.LEADER) {
      return NOT_LEADER;
    }
    if (leadership.refusesProposals()) {
      return TRANSFERRING;
    }
    return log.lastIndex() - commit + entries > config.maxUncommittedEntries() ? BUSY : 0;
  }

  /**
   * Proposes an entry.
   *
   * @param place where its payload is, the caller's business
   * @param lengthBytes the length of the payload, for the windows
   * @return its index, or one of the negative constants
   */
  public long propose(long place, int lengthBytes) {
    long refusal = refusal(1);
    if (refusal != 0) {
      return refusal;
    }
    quiescence.onUse();
    long index = appendOwn(EntryKind.PAYLOAD, NO_NODE, place, lengthBytes);
    leadership.replicate();
    return index;
  }

  /**
   * Proposes to change the membership by one node. One at a time; it counts as soon as it is in the
   * log, and may still be undone until it is committed. A voter is a learner first.
   *
   * @return its index, or one of the negative constants
   */
  public long proposeChange(EntryKind change, int node) {
    if (role != Role.LEADER) {
      return NOT_LEADER;
    }
    if (leadership.refusesProposals()) {
      return TRANSFERRING;
    }
    // Without the term's first entry committed, an earlier leader's change could be pending too.
    if (changePending() || !leadership.hasCommittedInItsTerm()) {
      return CHANGE_PENDING;
    }
    if (!membership().allows(change, node)) {
      return BAD_CHANGE;
    }
    quiescence.onUse();
    long index = appendOwn(change, node, EntryLog.NO_PLACE, 0);
    leadership.replicate();
    return index;
  }

  /**
   * Asks for a read of the newest state. Answered by READ_GRANTED or READ_REFUSED, perhaps at once.
   *
   * @param id the caller's name for it
   * @return 0, or {@link #NOT_LEADER} or {@link #BUSY}
   */
  public long read(long id) {
    if (role == Role.LEADER) {
      quiescence.onUse();
      return leadership.read(id) ? 0 : BUSY;
    }
    if (flaw == Flaw.LEASE_SURVIVES_LEADERSHIP && wasLeader && leadership.hasLease()) {
      Action action = actions.add(Action.Kind.READ_GRANTED);
      action.id = id;
      action.index = commit;
      return 0;
    }
    return NOT_LEADER;
  }

  /**
   * Hands leadership to a voter, as soon as it has every entry. Given up after electionTicks.
   *
   * @return whether it begins
   */
  public boolean transferLeadership(int target) {
    if (role != Role.LEADER || !leadership.transfer(target)) {
      return false;
    }
    quiescence.onUse();
    return true;
  }

  /**
   * Forgets entries up to {@code index}, committed and applied: their terms are not needed. They
   * are durable too, unless this replica is alone: then nobody will ask for them.
   */
  public void compact(long index) {
    if (index <= log.baseIndex()) {
      return;
    }
    if (index > commit || (index > durable && !alone)) {
      throw new IllegalArgumentException(
          "index=" + index + " commit=" + commit + " durable=" + durable);
    }
    log.compact(index);
    while (membershipIndexes.size() > 1 && membershipIndexes.get(1) <= index) {
      Membership _ = memberships.remove(0);
      Long _ = membershipIndexes.remove(0);
    }
  }

  /** Takes a message of a peer, or a report of the own storage. */
  public void step(Message m) {
    switch (m.type) {
      case APPENDED, DURABLE -> onStorage(m);
      case HARD_STATE_DURABLE -> {
        if (outbox.durable(m)) {
          election.onOwnVoteDurable();
        }
      }
      case PRE_VOTE,
          PRE_VOTE_RESPONSE,
          REQUEST_VOTE,
          REQUEST_VOTE_RESPONSE,
          APPEND,
          HEARTBEAT,
          APPEND_RESPONSE,
          TIMEOUT_NOW ->
          stepPeer(m);
    }
  }

  private void stepPeer(Message m) {
    Peer peer = m.from == self ? null : peerOrNull(m.from);
    if (peer == null && m.from != self && peers.size() < MAX_PEERS) {
      peer = peer(m.from);
    }
    if (peer == null || m.to != self || m.incarnation < peer.incarnation) {
      return;
    }
    if (m.incarnation > peer.incarnation) {
      peer.incarnation = m.incarnation;
      peer.restart(log.lastIndex(), now);
      peer.recovering = m.recovering;
      peer.lostDisk = m.lostDisk;
      peer.clearBallot();
      quiescence.onStir(peer);
    }
    if (peer.member) {
      quiescence.onMessage(m, peer);
    }
    if (m.type == MessageType.PRE_VOTE) {
      election.onPreVote(m);
      return;
    }
    if (m.type == MessageType.REQUEST_VOTE && m.term >= term && hearsLeader() && !m.transfer) {
      // Somebody who does not hear the leader that we hear shall not depose it; and a vote in a
      // term that we know already would break the promise just as well.
      return;
    }
    boolean fromLeader = m.type == MessageType.APPEND || m.type == MessageType.HEARTBEAT;
    if (m.term > term) {
      becomeFollower(m.term, fromLeader ? m.from : NO_NODE);
    } else if (m.term < term) {
      refuseOldTerm(m, fromLeader);
      return;
    }
    switch (m.type) {
      case PRE_VOTE_RESPONSE -> election.onPreVoteResponse(m, peer);
      case REQUEST_VOTE -> election.onRequestVote(m);
      case REQUEST_VOTE_RESPONSE -> election.onRequestVoteResponse(m, peer);
      case APPEND, HEARTBEAT -> onLeader(m);
      case APPEND_RESPONSE -> {
        if (role == Role.LEADER) {
          leadership.onResponse(m, peer);
        }
      }
      case TIMEOUT_NOW -> {
        if (role == Role.FOLLOWER && !recovering && mayCampaign()) {
          election.campaign(false, true);
        }
      }
      case PRE_VOTE, APPENDED, DURABLE, HARD_STATE_DURABLE ->
          throw new IllegalStateException(m.type.toString());
    }
  }

  /** The answer's term is what tells; a pre-vote's answer is welcome from whoever is behind. */
  private void refuseOldTerm(Message m, boolean fromLeader) {
    if (m.type == MessageType.PRE_VOTE_RESPONSE) {
      Peer peer = peer(m.from);
      election.onPreVoteResponse(m, peer);
    } else if (fromLeader) {
      Message _ = outbox.add(MessageType.APPEND_RESPONSE, m.from);
    } else if (m.type == MessageType.REQUEST_VOTE) {
      Message _ = outbox.add(MessageType.REQUEST_VOTE_RESPONSE, m.from);
    }
  }

  private void onLeader(Message m) {
    if (role == Role.LEADER) {
      // Two leaders in one term can't be; a peer that claims it is not followed.
      return;
    }
    if (role != Role.FOLLOWER || leader != m.from) {
      becomeFollower(term, m.from);
    }
    sinceLeader = 0;
    resetElectionTimer();
    quiescence.onLeader();
    echoRound = Math.max(echoRound, m.round);
    echoTick = Math.max(echoTick, m.tick);
    if (recovering && m.recoverIncarnation == incarnation && recoverTo == 0) {
      recoverTo = m.recoverTo;
    }
    if (m.type == MessageType.APPEND && !(isPossible(m) && accept(m))) {
      return;
    }
    long known =
        flaw == Flaw.COMMIT_BEYOND_MATCH
            ? Math.min(m.commit, log.lastIndex())
            : Math.min(m.commit, matched);
    if (known > commit) {
      advanceCommit(known);
    }
    checkRecovered();
    quiescence.agree(m, echoTick);
    respond();
  }

  /** Terms never go down in a log, nor beyond the leader's: what claims so is not answered. */
  private static boolean isPossible(Message m) {
    long previous = m.logTerm;
    for (int i = 0; i < m.entryCount; i++) {
      if (m.terms[i] < previous || m.lengthsBytes[i] < 0) {
        return false;
      }
      previous = m.terms[i];
    }
    return m.index >= 0 && previous <= m.term;
  }

  /**
   * Puts the entries into the log; returns false if they were refused, or nothing is to be said.
   */
  private boolean accept(Message m) {
    if (m.index > log.lastIndex()
        || (m.index >= log.baseIndex() && log.term(m.index) != m.logTerm)) {
      refuse(m);
      return false;
    }
    long firstNew = 0;
    for (int i = 0; i < m.entryCount; i++) {
      long index = m.index + 1 + i;
      if (index == log.baseIndex() && m.terms[i] != log.term(index)) {
        // What was compacted is in the caller's state: it can't be taken back any more.
        actions.add(Action.Kind.CONTRADICTION).index = index;
        return false;
      }
      boolean same =
          index <= log.baseIndex()
              || log.matches(index, m.terms[i])
              || (flaw == Flaw.CONFLICT_KEPT && index <= log.lastIndex());
      if (same && !(flaw == Flaw.TRUNCATE_WITHOUT_CONFLICT && index > commit)) {
        continue;
      }
      if (index <= log.lastIndex() && !truncate(index, m.epoch)) {
        return false;
      }
      if (firstNew == 0) {
        firstNew = index;
      }
      long entryTerm =
          flaw == Flaw.LEADER_TERM_ON_ENTRIES ? Math.max(m.term, log.lastTerm()) : m.terms[i];
      addToLog(entryTerm, m.kinds[i], m.subjects[i], m.places[i], m.lengthsBytes[i]);
    }
    matched = Math.max(matched, m.index + m.entryCount);
    if (firstNew > 0) {
      emitAppend(firstNew);
    }
    return true;
  }

  /**
   * Hints where the logs may agree: no later than the last entry whose term the leader can have.
   */
  private void refuse(Message m) {
    long hint = log.lastWithTermAtMost(m.index, m.logTerm);
    Message answer = outbox.add(MessageType.APPEND_RESPONSE, m.from);
    answer.round = echoRound;
    answer.tick = echoTick;
    answer.refusedIndex = m.index;
    answer.index = hint;
    answer.logTerm = log.term(hint);
  }

  private boolean truncate(long index, long leaderEpoch) {
    if (index <= commit) {
      Action action = actions.add(Action.Kind.CONTRADICTION);
      action.index = index;
      if (leaderEpoch <= log.epoch()) {
        return false;
      }
      action.kind = Action.Kind.COMMITTED_LOST;
      commit = index - 1;
    }
    log.truncateAfter(index - 1);
    appended = Math.min(appended, index - 1);
    durable = Math.min(durable, index - 1);
    firstTicketAfterTruncation = lastTicket + 1;
    untouchedByTruncation = Math.min(untouchedByTruncation, index - 1);
    int newest = membershipIndexes.size() - 1;
    while (newest > 0 && membershipIndexes.get(newest) >= index) {
      Membership _ = memberships.remove(newest);
      Long _ = membershipIndexes.remove(newest);
      newest--;
    }
    applyMembership();
    return true;
  }

  private void onStorage(Message m) {
    long index = m.index;
    if (m.ticket < firstTicketAfterTruncation) {
      index = Math.min(index, untouchedByTruncation);
    } else {
      untouchedByTruncation = Long.MAX_VALUE;
    }
    index = Math.min(index, log.lastIndex());
    appended = Math.max(appended, index);
    if (m.type == MessageType.DURABLE) {
      durable = Math.max(durable, index);
    }
    if (role == Role.LEADER) {
      leadership.updateCommit();
    } else if (leader != NO_NODE) {
      checkRecovered();
      respond();
    }
  }

  /** Tells the leader what this replica has. */
  void respond() {
    Message answer = outbox.add(MessageType.APPEND_RESPONSE, leader);
    answer.granted = true;
    answer.quiet = isQuiet();
    answer.round = echoRound;
    answer.tick = echoTick;
    answer.index = matched;
    answer.appended = Math.min(appended, matched);
    answer.durable = Math.min(durable, matched);
  }

  private void checkRecovered() {
    if (!recovering || recoverTo == 0 || Math.min(appended, matched) < recoverTo) {
      return;
    }
    if (lostDisk && Math.min(durable, matched) < recoverTo) {
      // What others have flushed counts on its disk: until it is there, nothing is.
      Action _ = actions.add(Action.Kind.SYNC_WANTED);
      return;
    }
    recovering = false;
    lostDisk = false;
    recoveredTo = recoverTo;
    outbox.persist();
  }

  long appendOwn(EntryKind kind, int subject, long place, int lengthBytes) {
    addToLog(term, kind, subject, place, lengthBytes);
    emitAppend(log.lastIndex());
    return log.lastIndex();
  }

  private void addToLog(long entryTerm, EntryKind kind, int subject, long place, int lengthBytes) {
    log.append(entryTerm, kind, subject, place, lengthBytes);
    if (kind.changesMembership()) {
      rememberMembership(log.lastIndex());
      applyMembership();
    }
  }

  private void emitAppend(long firstIndex) {
    Action action = actions.lastUntaken();
    if (action == null
        || action.kind != Action.Kind.APPEND
        || action.index != firstIndex - 1
        || firstIndex != log.lastIndex()) {
      action = actions.add(Action.Kind.APPEND);
      action.firstIndex = firstIndex;
    }
    action.index = log.lastIndex();
    action.ticket = ++lastTicket;
  }

  private void rememberMembership(long index) {
    if (log.kind(index).changesMembership()) {
      memberships.add(membership().with(log.kind(index), log.subject(index)));
      membershipIndexes.add(index);
    }
  }

  boolean changePending() {
    return membershipIndexes.get(membershipIndexes.size() - 1) > commit;
  }

  /**
   * Whether this replica may stand for election. One whose removal is not committed may: perhaps
   * only it has all that is (Raft dissertation, 4.2.2); its own vote does not count.
   */
  private boolean mayCampaign() {
    int newest = memberships.size() - 1;
    return membership().isVoter(self)
        || (changePending() && newest > 0 && memberships.get(newest - 1).isVoter(self));
  }

  private void applyMembership() {
    Membership members = membership();
    for (int i = 0; i < members.voterCount(); i++) {
      if (members.voter(i) != self) {
        Peer _ = peer(members.voter(i));
      }
    }
    for (int i = 0; i < members.learnerCount(); i++) {
      if (members.learner(i) != self) {
        Peer _ = peer(members.learner(i));
      }
    }
    for (int i = 0; i < peers.size(); i++) {
      Peer peer = peers.get(i);
      boolean member = members.isVoter(peer.node) || members.isLearner(peer.node);
      if (member && !peer.member) {
        boolean wasRecovering = peer.recovering;
        boolean hadLostDisk = peer.lostDisk;
        peer.restart(log.lastIndex(), now);
        peer.recovering = wasRecovering;
        peer.lostDisk = hadLostDisk;
      }
      peer.member = member;
      peer.voter = members.isVoter(peer.node);
    }
    alone = members.isOnly(self);
    leadership.onMembers();
  }

  void advanceCommit(long index) {
    for (long i = commit + 1; i <= index; i++) {
      if (log.kind(i) == EntryKind.EPOCH) {
        actions.add(Action.Kind.EPOCH_RAISED).term = log.term(i);
      }
    }
    commit = index;
    actions.add(Action.Kind.COMMIT).index = index;
    if (role == Role.LEADER) {
      leadership.leaveIfRemoved();
    }
  }

  void becomeFollower(long newTerm, int newLeader) {
    boolean wasLeading = role == Role.LEADER;
    if (newTerm > term) {
      enterTerm(newTerm, NO_NODE);
    }
    becomeRole(Role.FOLLOWER, newLeader);
    if (wasLeading) {
      leadership.end();
      resetElectionTimer();
    }
  }

  void enterTerm(long newTerm, int newVote) {
    term = newTerm;
    vote = newVote;
    matched = 0;
    echoRound = 0;
    echoTick = 0;
    recoverTo = 0;
    quiescence.onChange();
    outbox.persist();
  }

  /** Whether this follower has what its leader has, and all of it is committed. */
  boolean hasAllCommitted() {
    return role == Role.FOLLOWER && matched == log.lastIndex() && commit == log.lastIndex();
  }

  /** Whether this replica leads, and waits for something to do. */
  boolean isIdleLeader() {
    return role == Role.LEADER && leadership.isIdle();
  }

  /** The group is needed again. */
  void onWake() {
    if (role == Role.LEADER) {
      leadership.onWake();
    } else {
      resetElectionTimer();
    }
  }

  /**
   * The leader's node is dead: it has been silent for a timeout already, what is left is chance.
   */
  void expectElection() {
    resetElectionTimer();
    electionElapsed = config.electionTicks();
  }

  void becomeRole(Role newRole, int newLeader) {
    boolean same = role == newRole && leader == newLeader;
    role = newRole;
    leader = newLeader;
    if (!same) {
      quiescence.onChange();
      Action action = actions.add(Action.Kind.ROLE);
      action.role = newRole;
      action.node = newLeader;
      action.term = term;
    }
  }

  void becomeLeader(boolean epochRaised) {
    becomeRole(Role.LEADER, self);
    wasLeader = true;
    if (recovering) {
      // What it has is the truth of the new epoch, or of a group of one.
      recovering = false;
      lostDisk = false;
      recoveredTo = log.lastIndex();
      outbox.persist();
    }
    if (alone) {
      leadership.beginAlone();
    } else {
      leadership.begin(epochRaised);
    }
  }

  /** Whether a vote now could break the promise that a leader's lease relies on. */
  boolean hearsLeader() {
    return role == Role.LEADER || quiescence.vouches() || sinceLeader < config.electionTicks();
  }

  void resetElectionTimer() {
    electionElapsed = 0;
    electionTimeout =
        config.electionTicks() + Math.floorMod(random.getAsLong(), (long) config.electionTicks());
  }

  Peer peer(int node) {
    Peer peer = peerOrNull(node);
    if (peer == null) {
      peer = new Peer(node);
      peer.restart(log.lastIndex(), now);
      peers.add(peer);
    }
    return peer;
  }

  Peer peerOrNull(int node) {
    for (int i = 0; i < peers.size(); i++) {
      if (peers.get(i).node == node) {
        return peers.get(i);
      }
    }
    return null;
  }
}
