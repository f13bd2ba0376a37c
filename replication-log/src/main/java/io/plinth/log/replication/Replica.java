package io.plinth.log.replication;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.Journal;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.EntrySource;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.raft.core.AckPolicy;
import io.plinth.raft.core.Action;
import io.plinth.raft.core.Actions;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.EntryLog;
import io.plinth.raft.core.Membership;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.RaftCore;
import io.plinth.raft.core.RaftStart;
import io.plinth.raft.core.Role;

/**
 * One replica of a group: joins the rules to the journal of its core. A group of one is one that
 * has no peers.
 *
 * <p>The order that keeps promises true: what the replica starts from is durable before it takes
 * part, unless it is alone. An entry's record is in the journal before the rules hear that it is
 * appended, and a sync that began after it has ended before they hear that it is durable. Term and
 * vote are in a record STATE, and that is durable, before any message tells them: the rules hold
 * messages back until then. If the node dies in between, nobody was told.
 */
public final class Replica {
  /** A proposal was refused by the journal: {@link Journal#refusal} says why. */
  public static final long NO_ROOM = -100;

  /** A proposal was refused: the replica has not begun, or has stopped. */
  public static final long NOT_RUNNING = -101;

  /** A proposal was refused: another node leads, or none. */
  public static final long NOT_LEADER = RaftCore.NOT_LEADER;

  /** Nobody. */
  public static final int NO_NODE = RaftCore.NO_NODE;

  /**
   * Where others wait for what they may forget, so many batches that are not durable are enough.
   */
  private static final int MAX_UNSYNCED = 1024;

  private final int group;
  private final Replicator replicator;
  private final Journal journal;
  private final ReplicaStart start;
  private final ReplicaListener listener;
  private final EntryRecords records;
  private final Promises promises;
  private final KeptEntries kept;
  private final Progress progress = new Progress();
  private final Message report = new Message();
  private final Message withoutEntries = new Message();
  private RaftCore core;
  private boolean stopped;
  private boolean held;
  private boolean draining;

  // In which of the replicator's lists this is.
  boolean isScheduled;
  boolean awaitsAppend;
  boolean awaitsSync;
  boolean asksSync;
  boolean isListed;

  /** Up to which tick of the replicator this replica has been given its time. */
  private long ticks;

  /** The frame whose entries the rules are taking. */
  private AppendFrame frame;

  private long unwrittenTicket;

  private long committed;
  private long applied;
  private long flushed;
  private long flushWanted;

  /** Up to which entry the other voters were asked to make durable what they had been sent. */
  private long syncAsked;

  Replica(int group, Replicator replicator, ReplicaStart start, ReplicaListener listener) {
    this.group = group;
    this.replicator = replicator;
    this.journal = replicator.journal();
    this.start = start;
    this.listener = listener;
    RecoveredGroup recovered = start.recovered();
    this.records =
        new EntryRecords(
            group, journal, recovered.baseIndex(), replicator.has(ReplicationBug.DROP_CHECKSUMS));
    boolean lostTail =
        recovered.isOfAnotherBoot(replicator.bootId())
            && !start.clean()
            && start.config().ackPolicy() == AckPolicy.APPENDED
            && !replicator.has(ReplicationBug.IGNORE_BOOT_ID);
    this.promises =
        new Promises(
            group,
            journal,
            recovered,
            replicator.bootId(),
            lostTail,
            replicator.has(ReplicationBug.STATE_NOT_SYNCED));
    // Whoever has nothing takes no part: it asks for everything, as one that has stopped.
    this.stopped = recovered.awaitsState();
    this.kept = new KeptEntries(this, records, journal, recovered, replicator.bootId());
  }

  /** Returns the number of the group. */
  public int group() {
    return group;
  }

  /** Returns whether the replica takes part in its group. */
  public boolean isRunning() {
    return core != null && !stopped;
  }

  /** Returns whether the replica has stopped for good. */
  public boolean isStopped() {
    return stopped;
  }

  /** Returns the replica's part; FOLLOWER before it has begun. */
  public Role role() {
    return core == null ? Role.FOLLOWER : core.role();
  }

  /** Returns whether the replica leads its group, as far as it knows. */
  public boolean leads() {
    return isRunning() && core.role() == Role.LEADER;
  }

  /** Returns the term. */
  public long term() {
    return core == null ? promises.term() : core.term();
  }

  /** Returns who leads, or {@link RaftCore#NO_NODE}. */
  public int leader() {
    return core == null ? RaftCore.NO_NODE : core.leader();
  }

  /** Returns up to which index entries are committed, as far as is known here. */
  public long committedIndex() {
    return committed;
  }

  /**
   * Returns the entry that this leader's term began with: whoever has applied it has all that was
   * acknowledged before.
   */
  public long firstIndexOfTerm() {
    return core.firstIndexOfTerm();
  }

  /** Returns the index of the newest entry. */
  public long lastIndex() {
    return core == null ? start.recovered().lastIndex() : core.log().lastIndex();
  }

  /** Returns the term of an entry that is not compacted. */
  public long entryTerm(long index) {
    return core.log().term(index);
  }

  /** Returns whether an entry that is not compacted is the owner's, and not one of the rules. */
  public boolean isPayload(long index) {
    return core.log().kind(index) == EntryKind.PAYLOAD;
  }

  /** Returns the kind of an entry that is not compacted. */
  public EntryKind entryKind(long index) {
    return core.log().kind(index);
  }

  /** Returns the epoch: it grows when committed entries may have been lost. */
  public long epoch() {
    return core == null ? 0 : core.epoch();
  }

  /** Returns whether this replica may have lost what it acknowledged. */
  public boolean isRecovering() {
    return core == null ? promises.isRecovering() : core.isRecovering();
  }

  /** Returns up to which entry it may have acknowledged what it has lost: see {@link RaftCore}. */
  public long recoveredTo() {
    return core == null ? Long.MAX_VALUE : core.recoveredTo();
  }

  /**
   * Returns whether a member counts and has all entries up to an index durably, as far as this
   * leader has heard.
   */
  public boolean hasDurably(int node, long index) {
    return leads() && core.hasDurably(node, index);
  }

  /** Returns whether it has nothing yet, and needs all of it from a leader: see the recovered. */
  public boolean awaitsState() {
    return stopped && core == null && start.recovered().awaitsState();
  }

  Membership membership() {
    return core == null ? start.recovered().membership() : core.membership();
  }

  /** Returns the present members: those of the newest entry, whether that is committed or not. */
  public Members members() {
    return Members.of(membership());
  }

  /** Returns the numbers of the nodes that vote at present; any thread, approximately. */
  public int[] voters() {
    Membership members = membership();
    int[] nodes = new int[members.voterCount()];
    for (int i = 0; i < nodes.length; i++) {
      nodes[i] = members.voter(i);
    }
    return nodes;
  }

  /** Returns the numbers of all other nodes. */
  public int[] peers() {
    return replicator.peerNodes();
  }

  /**
   * Returns how many entries a node lacks, as far as this leader has heard: 0 for itself, -1 when
   * another one leads; any thread, approximately.
   */
  public long entriesBehind(int node) {
    if (!leads()) {
      return -1;
    }
    return node == replicator.self().node() ? 0 : core.entriesBehind(node);
  }

  /** Returns where the payload of an entry is in the log, in blocks. */
  public long payloadPlace(long index) {
    return records.places().payloadPlace(index);
  }

  /**
   * Proposes a record. The caller fills in its payload and checksums at once, as after {@link
   * Journal#begin}.
   *
   * @param type WRITE, UNMAP or COMMAND
   * @param count blocks, of a COMMAND bytes
   * @return its index, {@link #NO_ROOM}, {@link #NOT_RUNNING}, or a constant of {@link RaftCore}
   */
  public long propose(int type, int flags, long firstBlock, int count) {
    long refusal = refusal(1);
    if (refusal != 0) {
      return refusal;
    }
    long index = core.log().lastIndex() + 1;
    if (!records.begin(type, flags, core.term(), index, firstBlock, count)) {
      return NO_ROOM;
    }
    long proposed = core.propose(EntryLog.NO_PLACE, EntryBody.lengthBytes(type, count));
    if (proposed != index) {
      throw new IllegalStateException("proposed as " + proposed + ", written as " + index);
    }
    replicator.schedule(this);
    return index;
  }

  /**
   * Returns what {@link #propose} would refuse one of so many entries with now, or 0: for entries
   * that must all be taken. Whether the journal has room for them is not asked.
   */
  public long refusal(int entries) {
    if (!isRunning()) {
      return NOT_RUNNING;
    }
    passTime();
    long refusal = core.refusal(entries);
    return refusal == 0 && hasUnwritten() ? RaftCore.BUSY : refusal;
  }

  /**
   * Proposes that a node which is no member learns.
   *
   * @return whether that is an entry of the log now: if not, it may be asked for again later
   */
  public boolean addLearner(int node) {
    return proposeChange(EntryKind.ADD_LEARNER, node);
  }

  /** Proposes that a learner votes; returns as {@link #addLearner} does. */
  public boolean promote(int node) {
    return proposeChange(EntryKind.PROMOTE, node);
  }

  /** Proposes that a member is none any more; returns as {@link #addLearner} does. */
  public boolean remove(int node) {
    return proposeChange(EntryKind.REMOVE, node);
  }

  private boolean proposeChange(EntryKind change, int node) {
    if (!isRunning()) {
      return false;
    }
    passTime();
    drain();
    boolean done = !hasUnwritten() && core.proposeChange(change, node) > 0;
    drain();
    return done;
  }

  /**
   * Asks for a read of the newest state; the listener is told, perhaps at once.
   *
   * @return 0, {@link #NOT_RUNNING}, or a constant of {@link RaftCore}
   */
  public long read(long id) {
    if (!isRunning()) {
      return NOT_RUNNING;
    }
    passTime();
    drain();
    long result = core.read(id);
    drain();
    return result;
  }

  // Resync of a member that lacks entries which are kept no more: by the owners, beside the log.

  /** Returns whether a member lacks such entries, as far as this leader knows. */
  public boolean needsResync(int node) {
    return isRunning() && core.needsResync(node);
  }

  /** Returns whether this leader can send a member all entries behind one, as far as it knows. */
  public boolean canSendAfter(int node, long index) {
    return isRunning() && core.canSendAfter(node, index);
  }

  /** An entry that a member waits for can't be read from the disk any more. */
  void unreadable(int node, long index) {
    if (isRunning()) {
      passTime();
      drain();
      core.unreadable(node, index);
      drain();
    }
  }

  /** Returns whether the replica has ever taken part since it is here. */
  public boolean hasBegun() {
    return core != null;
  }

  /**
   * Returns up to which entry all is durable on a majority, as this leader knows it in its term; 0
   * as long as nothing is.
   */
  public long flushedIndex() {
    return flushed;
  }

  /** Returns the oldest entry after which all are kept. */
  public long baseIndex() {
    return core == null ? start.recovered().baseIndex() : core.log().baseIndex();
  }

  /** Returns the epoch as of an entry that is not compacted, or the one before the first. */
  public long epochAt(long index) {
    return core.log().epoch(index);
  }

  /** Returns the members as of such an entry: what a {@link GroupState} of it has. */
  public Membership membershipAt(long index) {
    return core.membershipAt(index);
  }

  /** Returns whether a node voted or learned as of such an entry. */
  public boolean isMemberAt(int node, long index) {
    return Members.of(membershipAt(index)).contains(node);
  }

  /**
   * Says something of a resync to a node.
   *
   * @return false when it can't be sent now
   */
  public boolean sendResync(int node, ResyncFrame frame) {
    return replicator.sendResync(this, node, frame);
  }

  void onResync(int node, ResyncFrame frame) {
    listener.onResync(this, node, frame);
  }

  /** A member was started anew with the state as of an entry: see {@link RaftCore#resynced}. */
  public void resynced(int node, long index, boolean recovering) {
    if (isRunning()) {
      passTime();
      drain();
      core.resynced(node, index, recovering);
      drain();
    }
  }

  /**
   * Returns what a replica of this group begins with that has this one's promises and the state as
   * of an entry. Who has stopped may have acknowledged entries that it gives up now: it does not
   * count before a leader has given it everything. The promises are written anew.
   */
  public GroupState resyncedTo(long index, long entryTerm, long epoch, Membership membership) {
    return new GroupState(
        group,
        index,
        index,
        entryTerm,
        epoch,
        membership,
        term(),
        core == null ? promises.vote() : core.vote(),
        isRecovering() || stopped,
        stopped || (core == null ? promises.hasLostDisk() : core.hasLostDisk()),
        ~replicator.bootId());
  }

  /** Does not begin before {@link #release}; to be called at once when it was added. */
  public void hold() {
    held = true;
  }

  /** What the replica begins with is durable. */
  public void release() {
    held = false;
    onDurableAtStart(journal.durableSequence());
    if (core == null && !stopped) {
      replicator.awaitSync(this);
      journal.requestSync();
    }
  }

  /** Hands leadership to a voter; returns whether it begins. */
  public boolean transferLeadership(int target) {
    if (!isRunning()) {
      return false;
    }
    passTime();
    drain();
    boolean begins = core.transferLeadership(target);
    drain();
    return begins;
  }

  /**
   * Asks that all entries up to now become durable on a majority. Of use to the leader.
   *
   * @return true when they are; else {@link ReplicaListener#onFlushed} will tell, unless the
   *     replica loses its part before
   */
  public boolean flush() {
    return flush(lastIndex());
  }

  /** Asks the same for entries up to an index. */
  public boolean flush(long index) {
    if (!isRunning() || index > flushed) {
      flushWanted = Math.max(flushWanted, index);
      journal.requestSync();
      if (index > syncAsked) {
        replicator.askSync(this);
      }
      return false;
    }
    return true;
  }

  /** Asks the other voters to make durable what they have been sent. */
  void sendSync() {
    asksSync = false;
    if (isRunning() && flushWanted > flushed) {
      boolean isAsked = replicator.sendSync(this, flushWanted) && core.hasSent(flushWanted);
      syncAsked = isAsked ? flushWanted : syncAsked;
    }
  }

  /** Forgets entries up to {@code index}, which are committed, durable and applied. */
  public void compact(long index) {
    core.compact(index);
    records.places().compact(core.log().baseIndex());
  }

  /**
   * The owner's state has all committed entries up to {@code index}. Without other members nobody
   * will ask for them again; else they stay until {@link #compact} is told.
   */
  public void applied(long index) {
    applied = index;
    if (core.isAlone()) {
      compact(index);
    }
  }

  /** Returns whether this node is the only member. */
  public boolean isAlone() {
    return core == null ? start.recovered().isAlone() : core.isAlone();
  }

  /**
   * Returns whether {@link KeptEntries#state} has all that the log holds of this group. Where there
   * are other members that is not needed: entries are kept, and replayed into the log.
   */
  public boolean isSettled() {
    return core != null && !hasUnwritten() && committed == core.log().lastIndex();
  }

  /** Returns which entries are kept, and what a checkpoint says of this group. */
  public KeptEntries kept() {
    return kept;
  }

  /** Returns the number of this node. */
  int self() {
    return replicator.self().node();
  }

  /** Returns how many replicas share the log, this one among them. */
  int siblings() {
    return replicator.replicas().size();
  }

  /** Returns how many entries may be kept for others, or 0 for what a log holds. */
  int mostKept() {
    return replicator.mostKept();
  }

  /** Returns the rules; null before the replica has begun. */
  RaftCore core() {
    return core;
  }

  /** Returns up to which entry the owner's state has them. */
  long appliedIndex() {
    return applied;
  }

  // What the replicator tells.

  /**
   * Begins at once if this is the only member, without writing anything: what it leads with is not
   * durable, and nobody can have heard of it. Returns whether it does.
   */
  boolean beginAlone() {
    if (!start.recovered().isAlone()) {
      return false;
    }
    boolean durable = promises.isDurable(journal.durableSequence());
    long last = start.recovered().lastIndex();
    begin(durable ? last : 0);
    if (!durable) {
      // Found in the log, and not known to be durable: the next sync tells.
      progress.add(promises.sequence(), 0, last, journal.durableSequence());
      boolean _ = progress.advanceAppended(promises.sequence());
      replicator.awaitSync(this);
    }
    return true;
  }

  /** Begins to take part once all that was found, and written since, is durable. */
  private void onDurableAtStart(long sequence) {
    if (core != null || stopped || held || !promises.isDurable(sequence)) {
      return;
    }
    boolean _ = promises.advanceDurable(sequence);
    begin(start.recovered().lastIndex());
  }

  private void begin(long durableIndex) {
    EntryLog log = start.recovered().entryLog(records.places());
    records.recoveredUpTo(log.lastIndex());
    core =
        new RaftCore(
            start.config(),
            new RaftStart(
                replicator.self().node(),
                replicator.self().incarnation(),
                promises.term(),
                promises.vote(),
                promises.isRecovering(),
                promises.hasLostDisk(),
                false,
                start.recovered().membership(),
                log,
                durableIndex),
            replicator.chance(),
            replicator.flaw());
    committed = log.baseIndex();
    applied = Math.max(committed, start.recovered().appliedIndex());
    ticks = replicator.ticks();
    replicator.tellAway(core);
    drain();
    if (core.membership().voterCount() == 1
        && core.membership().isVoter(replicator.self().node())) {
      core.campaign();
      drain();
    }
  }

  /** Returns whether time has to pass for it by itself. */
  boolean needsTicks() {
    return isRunning() && !core.isQuiet();
  }

  /** Returns whether it waits for nothing: see {@link RaftCore#isQuiet}. */
  public boolean isQuiet() {
    return isRunning() && core.isQuiet();
  }

  /** Gives the rules the ticks that have passed, before they are asked or told anything. */
  void passTime() {
    long now = replicator.passTime();
    if (now == ticks) {
      return;
    }
    drain();
    long missed = now - ticks;
    ticks = now;
    if (core.isQuiet()) {
      if (!replicator.has(ReplicationBug.QUIET_TIME_NOT_COUNTED)) {
        core.pass(missed);
      }
      return;
    }
    // All of it before anybody is told anything: who is told may read.
    for (long i = 0; i < missed; i++) {
      core.tick();
    }
    drain();
    if (flushWanted > flushed && core.role() == Role.LEADER) {
      // What asked for it may have been lost.
      replicator.askSync(this);
    }
  }

  void onMessage(Message message) {
    if (isRunning()) {
      passTime();
      drain();
      core.step(message);
      drain();
    }
  }

  /** A node can be reached, or can't any more. */
  void onNode(int node, boolean reachable) {
    if (isRunning()) {
      passTime();
      drain();
      core.onNode(node, reachable);
      drain();
    }
  }

  /** Takes entries of a peer; false when the journal has no room for them now. */
  boolean onAppend(AppendFrame newFrame) {
    if (!isRunning()) {
      return true;
    }
    passTime();
    drain();
    if (hasUnwritten()) {
      return false;
    }
    if (!records.reserve(newFrame)) {
      if (journal.refusal() == Status.EAGAIN) {
        return false;
      }
      onAppendWithoutRoom(newFrame);
      return true;
    }
    frame = newFrame;
    core.step(newFrame.message());
    drain();
    frame = null;
    return true;
  }

  /**
   * There is no room for entries of a peer. They are as if they had been lost: the leader sends
   * them again. But what the message says besides them counts: what is known to be committed by
   * that can be applied, and so room may be won.
   */
  void onAppendWithoutRoom(AppendFrame newFrame) {
    if (isRunning() && !hasUnwritten()) {
      Message _ = withoutEntries.copyFrom(newFrame.message());
      withoutEntries.entryCount = 0;
      core.step(withoutEntries);
      drain();
    }
  }

  /** The leader wants what it has sent to be durable. */
  void onSync(long index) {
    if (isRunning() && progress.size() > 0) {
      journal.requestSync();
    }
  }

  void onAppended(long sequence) {
    if (replicator.has(ReplicationBug.STATE_NOT_SYNCED) && isRunning()) {
      onDurable(0);
    }
    if (isRunning() && progress.advanceAppended(sequence)) {
      int self = replicator.self().node();
      core.step(report.appendedUpTo(self, progress.ticket(), progress.index()));
      if (replicator.has(ReplicationBug.ACK_BEFORE_SYNC)) {
        core.step(report.durableUpTo(self, progress.ticket(), progress.index()));
      }
      drain();
      if (replicator.has(ReplicationBug.ACK_BEFORE_MAJORITY)
          && core.role() == Role.LEADER
          && progress.index() > committed) {
        long from = committed;
        committed = progress.index();
        listener.onCommitted(this, from, committed);
      }
    }
  }

  void onDurable(long sequence) {
    if (!isRunning()) {
      onDurableAtStart(sequence);
      return;
    }
    int self = replicator.self().node();
    if (progress.advanceDurable(sequence)) {
      core.step(report.durableUpTo(self, progress.ticket(), progress.index()));
      drain();
    }
    if (promises.advanceDurable(sequence)) {
      core.step(
          report.hardStateDurable(self, promises.term(), promises.vote(), promises.isRecovering()));
      drain();
    }
  }

  /** Stops for good without a word: the owner has no use for it any more. */
  void leave() {
    stopped = true;
  }

  /** Stops for good: nothing is promised or acknowledged any more; the listener is told. */
  public void stop(String why) {
    if (!stopped) {
      stopped = true;
      listener.onStopped(this, why);
    }
  }

  /** Does what could not be done before, and what was proposed since. */
  void work() {
    if (stopped) {
      return;
    }
    writePromises();
    if (core != null) {
      writeMarkers();
      drain();
    }
  }

  /** Returns whether something waits for room in the journal. */
  boolean isWaiting() {
    return !stopped && (promises.isWanted() || (core != null && hasUnwritten()));
  }

  /** Returns whether entries wait for the end of their batch. */
  boolean isUnappended() {
    return !stopped && progress.hasUnappended();
  }

  /** Returns whether appends are on their way to the device. */
  boolean isUnsettled() {
    return !stopped && (core == null || promises.isWritten() || progress.size() > 0);
  }

  // The actions of the rules.

  private void drain() {
    if (draining) {
      // Whoever is told of something may ask for more: the list has grown, and is being worked on.
      return;
    }
    draining = true;
    Actions actions = core.actions();
    for (int i = 0; i < actions.size() && !stopped; i++) {
      carryOut(actions.get(i));
    }
    actions.clear();
    draining = false;
    writePromises();
    if (isWaiting()) {
      replicator.schedule(this);
    }
    if (!isListed && needsTicks()) {
      replicator.onAwake(this);
    }
  }

  private void carryOut(Action action) {
    switch (action.kind()) {
      case SEND -> replicator.send(this, action.message());
      case APPEND -> append(action);
      case PERSIST_HARD_STATE ->
          promises.want(action.term(), action.node(), action.recovering(), action.lostDisk());
      case COMMIT -> {
        long from = committed;
        committed = Math.max(from, action.index());
        listener.onCommitted(this, from, committed);
      }
      case FLUSHED -> {
        flushed = action.index();
        listener.onFlushed(this, flushed);
      }
      case ROLE -> {
        flushed = 0;
        flushWanted = 0;
        syncAsked = 0;
        listener.onRole(this, action.role() == Role.LEADER, action.term(), action.node());
      }
      case READ_GRANTED -> listener.onReadGranted(this, action.id(), action.index());
      case READ_REFUSED -> listener.onReadRefused(this, action.id());
      case RESYNC_NEEDED -> listener.onResyncNeeded(this, action.node());
      case COMMITTED_LOST -> {
        committed = action.index() - 1;
        listener.onCommittedLost(this, action.index());
      }
      case SYNC_WANTED -> journal.requestSync();
      case EPOCH_RAISED -> listener.onEpochRaised(this, action.term());
      case CONTRADICTION ->
          stop("group " + group + ": its leader contradicts committed entry " + action.index());
    }
  }

  private void append(Action action) {
    if (frame != null && action.firstIndex() <= applied) {
      stop(
          "group "
              + group
              + ": entry "
              + action.firstIndex()
              + " was lost by the group and is in the state of this node: it needs a resync");
    } else if (frame != null) {
      records.write(frame, action.firstIndex(), action.index());
    } else {
      unwrittenTicket = action.ticket();
      writeMarkers();
      if (hasUnwritten()) {
        return;
      }
    }
    if (!stopped) {
      onWritten(action.ticket(), action.index());
    }
  }

  private void onWritten(long ticket, long index) {
    progress.add(records.lastSequence(), ticket, index, journal.syncedSequence());
    replicator.written(this, records.lastSequence());
    boolean isMuch =
        !core.isAlone() && records.lastSequence() - journal.durableSequence() > MAX_UNSYNCED;
    if (start.config().ackPolicy() == AckPolicy.DURABLE || isMuch) {
      journal.requestSync();
    }
  }

  private boolean hasUnwritten() {
    return records.lastIndex() < core.log().lastIndex();
  }

  /** Writes entries of this leader that are not the caller's, as far as there is room. */
  private void writeMarkers() {
    if (!hasUnwritten()) {
      return;
    }
    EntryLog log = core.log();
    for (long index = records.lastIndex() + 1; index <= log.lastIndex(); index++) {
      if (!records.writeMarker(index, log.term(index), log.kind(index), log.subject(index))) {
        return;
      }
    }
    onWritten(unwrittenTicket, records.lastIndex());
  }

  private void writePromises() {
    if (promises.isWanted() && !stopped) {
      promises.write();
      replicator.written(this, promises.sequence());
      if (promises.isWanted()) {
        replicator.schedule(this);
      }
    }
  }

  // Entries for peers.

  /** Returns whether a message that waited still tells what the log has. */
  boolean isCurrent(Message message) {
    if (!isRunning() || message.term != core.term()) {
      return false;
    }
    EntryLog log = core.log();
    long last = message.index + message.entryCount;
    return message.index >= log.baseIndex()
        && last <= log.lastIndex()
        && (message.entryCount == 0 || log.term(last) == message.terms[message.entryCount - 1]);
  }

  /** Adds to a message what the rules know of an entry. */
  void describeRules(long index, Message message) {
    EntryLog log = core.log();
    message.addEntry(
        log.term(index),
        log.kind(index),
        log.subject(index),
        EntryLog.NO_PLACE,
        log.lengthBytes(index));
  }

  /** Returns the entries for peers. */
  EntrySource source() {
    return records;
  }

  /**
   * Describes the record of an entry that is not compacted.
   *
   * @return false when it is not in memory
   */
  public boolean describe(long index, EntryBody entry) {
    return records.describe(index, entry);
  }
}
