package io.plinth.log.replication;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.wire.AppendFrame;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.EntrySource;
import io.plinth.log.wire.WireFormat;
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
 * part. An entry's record is in the journal before the rules hear that it is appended, and a sync
 * that began after it has ended before they hear that it is durable. Term and vote are in a record
 * STATE, and that is durable, before any message tells them: the rules hold messages back until
 * then. If the node dies in between, nobody was told.
 */
public final class Replica implements EntrySource {
  /** A proposal was refused by the journal: {@link Journal#refusal} says why. */
  public static final long NO_ROOM = -100;

  /** A proposal was refused: the replica has not begun, or has stopped. */
  public static final long NOT_RUNNING = -101;

  /** So many batches that are not durable are enough. */
  private static final int MAX_UNSYNCED = 1024;

  private final int group;
  private final Replicator replicator;
  private final Journal journal;
  private final ReplicaStart start;
  private final ReplicaListener listener;
  private final EntryPlaces places;
  private final Progress progress = new Progress();
  private final Message report = new Message();
  private final RecordHeader record = new RecordHeader();
  private final EntryBody body = new EntryBody();
  private RaftCore core;
  private boolean stopped;
  private boolean scheduled;
  private boolean draining;

  /** The frame whose entries the rules are taking. */
  private AppendFrame frame;

  /** Entries up to here are in the journal; those after it could not be written yet. */
  private long written;

  private long lastSequence;
  private long unwrittenTicket;

  private boolean stateWanted;
  private boolean stateWritten;
  private long stateSequence;
  private long stateTerm;
  private int stateVote;
  private boolean stateRecovering;

  private long committed;
  private long flushed;
  private long flushWanted;

  Replica(int group, Replicator replicator, ReplicaStart start, ReplicaListener listener) {
    this.group = group;
    this.replicator = replicator;
    this.journal = replicator.journal();
    this.start = start;
    this.listener = listener;
    this.places = new EntryPlaces(start.recovered().baseIndex());
    RecoveredGroup recovered = start.recovered();
    boolean lostTail =
        !replicator.has(ReplicationBug.IGNORE_BOOT_ID)
            && recovered.isOfAnotherBoot(replicator.bootId())
            && !start.clean()
            && start.config().ackPolicy() == AckPolicy.APPENDED;
    stateTerm = recovered.term();
    stateVote = replicator.has(ReplicationBug.FORGET_VOTE) ? RaftCore.NO_NODE : recovered.vote();
    stateRecovering = recovered.isRecovering() || lostTail;
    // Before anything is promised under this boot id, the log says that it was this one.
    stateWanted = !recovered.hasState() || recovered.isOfAnotherBoot(replicator.bootId());
    stateSequence = journal.pendingSequence();
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

  /** Returns the term. */
  public long term() {
    return core == null ? stateTerm : core.term();
  }

  /** Returns who leads, or {@link RaftCore#NO_NODE}. */
  public int leader() {
    return core == null ? RaftCore.NO_NODE : core.leader();
  }

  /** Returns up to which index entries are committed, as far as is known here. */
  public long committedIndex() {
    return committed;
  }

  /** Returns the index of the newest entry. */
  public long lastIndex() {
    return core == null ? start.recovered().lastIndex() : core.log().lastIndex();
  }

  /** Returns the term of an entry that is not compacted. */
  public long entryTerm(long index) {
    return core.log().term(index);
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
    return core == null ? stateRecovering : core.isRecovering();
  }

  /** Returns the present members. */
  public Membership membership() {
    return core == null ? start.membership() : core.membership();
  }

  /** Returns where the payload of an entry is in the log, in blocks. */
  public long payloadPlace(long index) {
    return places.payloadPlace(index);
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
    if (!isRunning()) {
      return NOT_RUNNING;
    }
    replicator.passTime();
    long refusal = core.refusal();
    if (refusal != 0) {
      return refusal;
    }
    if (hasUnwritten()) {
      return RaftCore.BUSY;
    }
    long index = core.log().lastIndex() + 1;
    if (!journal.begin(type, flags, group, core.term(), index, firstBlock, count)) {
      return NO_ROOM;
    }
    noteWritten(index);
    long proposed = core.propose(EntryLog.NO_PLACE, EntryBody.lengthBytes(type, count));
    if (proposed != index) {
      throw new IllegalStateException("proposed as " + proposed + ", written as " + index);
    }
    replicator.schedule(this);
    return index;
  }

  /**
   * Proposes to change the membership by one node.
   *
   * @return its index, {@link #NOT_RUNNING}, or a constant of {@link RaftCore}
   */
  public long proposeChange(EntryKind change, int node) {
    if (!isRunning()) {
      return NOT_RUNNING;
    }
    replicator.passTime();
    drain();
    long index = hasUnwritten() ? RaftCore.BUSY : core.proposeChange(change, node);
    drain();
    return index;
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
    replicator.passTime();
    drain();
    long result = core.read(id);
    drain();
    return result;
  }

  /** Hands leadership to a voter; returns whether it begins. */
  public boolean transferLeadership(int target) {
    if (!isRunning()) {
      return false;
    }
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
    if (!isRunning() || core.log().lastIndex() > flushed) {
      flushWanted = lastIndex();
      journal.requestSync();
      replicator.sendSync(this, flushWanted);
      return false;
    }
    return true;
  }

  /** Forgets entries up to {@code index}, which are committed, durable and applied. */
  public void compact(long index) {
    core.compact(index);
    places.compact(core.log().baseIndex());
  }

  /** Writes the promises anew, so that the log before does not hold the only ones. */
  public void writeState() {
    stateWanted = true;
    writeStateIfWanted();
  }

  // What the replicator tells.

  /** Begins to take part once all that was found, and written since, is durable. */
  void onDurableAtStart(long sequence) {
    if (core != null || stopped || stateWanted || sequence < stateSequence) {
      return;
    }
    EntryLog log = start.recovered().entryLog(places);
    core =
        new RaftCore(
            start.config(),
            new RaftStart(
                replicator.self().node(),
                replicator.self().incarnation(),
                stateTerm,
                stateVote,
                stateRecovering,
                false,
                start.membership(),
                log,
                log.lastIndex()),
            replicator.chance());
    stateWritten = false;
    written = log.lastIndex();
    committed = log.baseIndex();
    drain();
    if (core.membership().voterCount() == 1
        && core.membership().isVoter(replicator.self().node())) {
      core.campaign();
      drain();
    }
  }

  void tick() {
    if (isRunning()) {
      drain();
      core.tick();
      drain();
      if (flushWanted > flushed && core.role() == Role.LEADER) {
        // What asked for it may have been lost.
        replicator.sendSync(this, flushWanted);
      }
    }
  }

  void onMessage(Message message) {
    if (isRunning()) {
      drain();
      core.step(message);
      drain();
    }
  }

  /** Takes entries of a peer; false when the journal has no room for them now. */
  boolean onAppend(AppendFrame newFrame) {
    if (!isRunning()) {
      return true;
    }
    drain();
    if (hasUnwritten()) {
      return false;
    }
    if (!reserve(newFrame)) {
      // Without hope it is as if it had been lost: the leader sends it again, and perhaps there is
      // room then.
      return journal.refusal() != Status.EAGAIN;
    }
    frame = newFrame;
    core.step(newFrame.message());
    drain();
    frame = null;
    return true;
  }

  /** The leader wants what it has sent to be durable. */
  void onSync(long index) {
    if (isRunning() && progress.size() > 0) {
      journal.requestSync();
    }
  }

  void onAppended(long sequence) {
    if (replicator.has(ReplicationBug.STATE_NOT_SYNCED) && isRunning() && stateWritten) {
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
    if (stateWritten && stateSequence <= sequence) {
      stateWritten = false;
      core.step(report.hardStateDurable(self, stateTerm, stateVote, stateRecovering));
      drain();
    }
  }

  /** Stops for good: nothing is promised or acknowledged any more. */
  void stop(String why) {
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
    writeStateIfWanted();
    if (core != null) {
      writeMarkers();
      drain();
    }
  }

  /** Marks it as one that has something to do; returns whether it was none. */
  boolean scheduled() {
    boolean before = scheduled;
    scheduled = true;
    return !before;
  }

  void unscheduled() {
    scheduled = false;
  }

  /** Returns whether something waits for room in the journal. */
  boolean isWaiting() {
    return !stopped && (stateWanted || (core != null && hasUnwritten()));
  }

  /** Returns whether appends are on their way to the device. */
  boolean isUnsettled() {
    return !stopped && (core == null || stateWritten || progress.size() > 0);
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
    writeStateIfWanted();
    if (isUnsettled() || isWaiting()) {
      replicator.schedule(this);
    }
  }

  private void carryOut(Action action) {
    switch (action.kind()) {
      case SEND -> replicator.send(this, action.message());
      case APPEND -> append(action);
      case PERSIST_HARD_STATE -> {
        stateWanted = true;
        stateWritten = false;
        stateTerm = action.term();
        stateVote = action.node();
        stateRecovering = action.recovering();
      }
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
        listener.onRole(this, action.role(), action.term(), action.node());
      }
      case READ_GRANTED -> listener.onReadGranted(this, action.id(), action.index());
      case READ_REFUSED -> listener.onReadRefused(this, action.id());
      case RESYNC_NEEDED -> listener.onResyncNeeded(this, action.node());
      case COMMITTED_LOST -> {
        committed = action.index() - 1;
        listener.onCommittedLost(this, action.index());
      }
      case EPOCH_RAISED -> listener.onEpochRaised(this, action.term());
      case CONTRADICTION ->
          stop("group " + group + ": its leader contradicts committed entry " + action.index());
    }
  }

  private void append(Action action) {
    if (frame != null) {
      writeFrame(action.firstIndex(), action.index());
    } else {
      unwrittenTicket = action.ticket();
      writeMarkers();
      if (hasUnwritten()) {
        return;
      }
    }
    onWritten(action.ticket(), action.index());
  }

  private void onWritten(long ticket, long index) {
    progress.add(lastSequence, ticket, index);
    if (start.config().ackPolicy() == AckPolicy.DURABLE || progress.size() > MAX_UNSYNCED) {
      journal.requestSync();
    }
  }

  private boolean hasUnwritten() {
    return written < core.log().lastIndex();
  }

  /** Writes entries of this leader that are not the caller's, as far as there is room. */
  private void writeMarkers() {
    if (!hasUnwritten()) {
      return;
    }
    EntryLog log = core.log();
    for (long index = written + 1; index <= log.lastIndex(); index++) {
      if (!writeMarker(index, log.term(index), log.kind(index), log.subject(index))) {
        return;
      }
    }
    onWritten(unwrittenTicket, written);
  }

  private boolean writeMarker(long index, long term, EntryKind kind, int subject) {
    if (!journal.begin(
        RecordHeader.MARKER, WireFormat.number(kind), group, term, index, subject, 1)) {
      return false;
    }
    noteWritten(index);
    return true;
  }

  /** The record just begun is that of an entry. */
  private void noteWritten(long index) {
    long header = journal.checksumAddress() - RecordHeader.BYTES;
    NativeMemory memory = journal.active().file().memory();
    long base = (long) journal.active().file().slot() * journal.active().file().sizeBytes();
    places.put(index, base + header - memory.address(), journal.payloadPlace());
    written = index;
    lastSequence = journal.openSequence();
  }

  /** Makes room for all of a frame in one batch: the rules may want any part of it. */
  private boolean reserve(AppendFrame newFrame) {
    int headerBytes = 0;
    int payloadBlocks = 0;
    for (newFrame.rewind(); newFrame.next(body); ) {
      int type = body.type == 0 ? RecordHeader.MARKER : body.type;
      headerBytes += RecordHeader.encodedBytes(type, Math.max(1, body.count));
      payloadBlocks += body.payloadBytes() / LogFormat.BLOCK_BYTES;
    }
    newFrame.rewind();
    return headerBytes == 0 || journal.reserve(headerBytes, payloadBlocks);
  }

  /** Writes those entries of the frame that the rules have taken. */
  private void writeFrame(long first, long last) {
    Message message = frame.message();
    written = first - 1;
    frame.rewind();
    for (long index = message.index + 1; index <= last && frame.next(body); index++) {
      if (index < first) {
        continue;
      }
      int i = (int) (index - message.index - 1);
      boolean begun =
          body.type == 0
              ? writeMarker(index, message.terms[i], message.kinds[i], message.subjects[i])
              : writeBody(index, message.terms[i]);
      if (!begun) {
        throw new IllegalStateException("the journal refuses what it had reserved");
      }
    }
  }

  private boolean writeBody(long index, long term) {
    if (!journal.begin(body.type, body.flags, group, term, index, body.firstBlock, body.count)) {
      return false;
    }
    if (body.trailerBytes() > 0 && !replicator.has(ReplicationBug.DROP_CHECKSUMS)) {
      // The checksums are those that the leader computed: what is read later is checked from end
      // to end.
      NativeMemory.copy(body.trailerAddress, journal.checksumAddress(), body.trailerBytes());
    }
    if (body.payloadBytes() > 0) {
      NativeMemory.copy(body.payloadAddress, journal.payloadAddress(), body.payloadBytes());
    }
    noteWritten(index);
    return true;
  }

  private void writeStateIfWanted() {
    if (!stateWanted || stopped) {
      return;
    }
    if (journal.begin(
        RecordHeader.STATE,
        stateRecovering ? RecordHeader.RECOVERING : 0,
        group,
        stateTerm,
        replicator.bootId(),
        stateVote,
        1)) {
      stateWanted = false;
      stateWritten = true;
      stateSequence = replicator.has(ReplicationBug.STATE_NOT_SYNCED) ? 0 : journal.openSequence();
      journal.requestSync();
    }
    replicator.schedule(this);
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

  @Override
  public boolean describe(long index, EntryBody entry) {
    long position = places.position(index);
    long block = journal.residentAddress(position / LogFormat.BLOCK_BYTES);
    if (block == 0) {
      return false;
    }
    record.wrap(block + position % LogFormat.BLOCK_BYTES, RecordHeader.BYTES);
    EntryBody _ = entry.clear();
    entry.type = record.type();
    entry.flags = record.flags();
    entry.firstBlock = record.firstBlock();
    entry.count = record.blockCount();
    entry.trailerAddress = record.checksumAddress();
    entry.place = places.payloadPlace(index);
    if (entry.payloadBytes() > 0) {
      entry.payloadAddress = journal.residentAddress(entry.place);
      entry.region = (int) (entry.place / journal.blocksPerSegment());
    }
    return entry.payloadBytes() == 0 || entry.payloadAddress != 0;
  }

  @Override
  public long pin(EntryBody entry) {
    return journal.pin(entry.place);
  }

  @Override
  public void release(long token) {
    journal.release(token);
  }
}
