package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.RecoveredGroup;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.ReplicaListener;
import io.plinth.log.replication.ReplicaStart;
import io.plinth.log.replication.Replicator;
import io.plinth.log.wire.ResyncFrame;
import java.util.ArrayDeque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The replica of a volume, and the writing requests that are on their way through it.
 *
 * <p>Three stages: begun in the journal's open batch (queue {@code begun}); committed, which
 * applies it to the index (same queue, from its head); and, where durability is asked for, durable
 * (queue {@code undurable}). A request that is not committed holds up nothing of other volumes.
 *
 * <p>Where there are other members, only the leader takes requests, and only when it has applied
 * what was committed before its term: others answer EREMOTE, which says that nothing has happened.
 * A request that was begun when the lead is lost is answered ESTALE: it may have had no effect yet,
 * and still get it. If so, that comes before everything that any leader begins afterwards, because
 * its entry is in the log of that leader already or never gets there; so a client that tries again
 * does not see the first try undo the second (G1). A front end has no word for that but to close
 * the connection.
 */
public final class VolumeGroup implements ReplicaListener, GroupWork {
  private static final Logger LOG = LoggerFactory.getLogger(VolumeGroup.class);

  private final VolumeStore store;
  private final LogVolume volume;
  private final int id;
  private final RequestQueue begun = new RequestQueue();
  private final RequestQueue undurable = new RequestQueue();
  private final GroupDeparture departure;
  private final boolean acksBeforeAppend;
  private final boolean acksFuaEarly;
  private Replica replica;

  /** Null without other members. */
  private GroupApplier applier;

  private GroupReads reads;

  /** See {@link #contentIndex()}. */
  private long contentIndex;

  /** Who waits to hear whether this node leads, in the order of their questions. */
  private final ArrayDeque<LeadQuestion> leadQuestions = new ArrayDeque<>();

  private long lastLeadQuestion;

  /** The newest command that changes more than blocks here, or takes this volume's content. */
  private VolumeRequest command;

  /** Told whether a node leads. */
  @FunctionalInterface
  public interface LeadListener {
    /**
     * Called once.
     *
     * @param leads nobody else had been elected when that was asked, and what had been begun by
     *     then has had its effect; if false, neither is certain
     */
    void onLeadKnown(boolean leads);
  }

  private static final class LeadQuestion {
    final long id;
    final long index;
    final LeadListener listener;
    boolean granted;

    LeadQuestion(long id, long index, LeadListener listener) {
      this.id = id;
      this.index = index;
      this.listener = listener;
    }
  }

  VolumeGroup(VolumeStore store, LogVolume volume, int id) {
    this.store = store;
    this.volume = volume;
    this.id = id;
    this.departure = new GroupDeparture(store, this);
    this.acksBeforeAppend = store.isPlanted(PlantedBug.ACK_BEFORE_APPEND);
    this.acksFuaEarly = store.isPlanted(PlantedBug.ACK_FUA_EARLY);
  }

  /** Returns the number of the group, unique on this node. */
  public int id() {
    return id;
  }

  /** Returns the volume. */
  LogVolume volume() {
    return volume;
  }

  /**
   * Goes on as a replica that has the state as of another entry, once it is released: see {@link
   * Replica#hold}. The volume has that content already.
   */
  void restart(GroupState state) {
    reads.failAll(Status.EREMOTE);
    failBegun(unknownOutcome());
    doubtLead();
    store.groups().restart(this, state);
  }

  void start(Replicator replicator, RecoveredGroup recovered, boolean clean) {
    replica = replicator.add(id, ReplicaStart.of(recovered, clean, store.segmentBytes()), this);
    if (!recovered.isAlone()) {
      if (recovered.appliedIndex() == 0) {
        // It had stopped: all that it has comes from the log of the group, from its beginning.
        volume.clear();
      }
      long applied =
          store.isPlanted(PlantedBug.REPLAY_SKIPS_KEPT)
              ? recovered.lastIndex()
              : recovered.appliedIndex();
      contentIndex = applied;
      applier = new GroupApplier(store, volume, replica, replicator.reader(), applied);
      reads = new GroupReads(store, this, volume, replica);
      if (replica.awaitsState()) {
        store.resyncs().onStopped(this);
      }
    }
  }

  /** Returns whether this node is the only member. */
  public boolean isAlone() {
    return applier == null;
  }

  /** Returns whether this node leads the group; any other one answers EREMOTE. */
  public boolean leads() {
    return replica.leads();
  }

  /**
   * Finds out whether this node leads, which it can only believe: under its lease at once, else
   * when a majority has answered. Tells so when everything that was begun by now can be read.
   */
  public void confirmLead(LeadListener listener) {
    if (!leads()) {
      listener.onLeadKnown(false);
      return;
    }
    // Reads have the positive numbers.
    LeadQuestion question = new LeadQuestion(--lastLeadQuestion, replica.lastIndex(), listener);
    question.granted = isAlone();
    leadQuestions.add(question);
    if (isAlone()) {
      answerLead();
    } else if (replica.read(question.id) != 0 && leadQuestions.remove(question)) {
      listener.onLeadKnown(false);
    }
  }

  private void onLeadConfirmed(long id) {
    for (LeadQuestion question : leadQuestions) {
      question.granted |= question.id == id;
    }
    answerLead();
  }

  /** Answers what is certain by now. */
  private void answerLead() {
    for (int i = leadQuestions.size(); i > 0; i--) {
      LeadQuestion question = leadQuestions.poll();
      if (question != null && question.granted && question.index <= appliedIndex()) {
        question.listener.onLeadKnown(true);
      } else if (question != null) {
        leadQuestions.add(question);
      }
    }
  }

  private void onLeadDoubted(long id) {
    for (LeadQuestion question : leadQuestions) {
      if (question.id == id) {
        boolean _ = leadQuestions.remove(question);
        question.listener.onLeadKnown(false);
        return;
      }
    }
  }

  private void doubtLead() {
    for (int i = leadQuestions.size(); i > 0; i--) {
      LeadQuestion question = leadQuestions.poll();
      if (question != null) {
        question.listener.onLeadKnown(false);
      }
    }
  }

  /** Returns the node that leads the group as far as is known, or {@link RaftCore#NO_NODE}. */
  public int leader() {
    return replica.isStopped() ? Replica.NO_NODE : replica.leader();
  }

  /** Returns up to which entry all are in the index. */
  public long appliedIndex() {
    return applier == null ? replica.committedIndex() : applier.applied();
  }

  /**
   * How a replica of a volume stands.
   *
   * @param members the nodes that have one
   * @param behind how many entries each of them lacks, as far as its leader knows; -1 for unknown
   * @param leader the node that leads them as far as is known here, or {@link Replica#NO_NODE}
   * @param stopped whether this one has stopped for good
   */
  @SuppressWarnings("ArrayRecordComponent") // of a snapshot that nobody else has
  public record Standing(int[] members, long[] behind, int leader, boolean stopped) {}

  /** Returns how this replica stands; any thread, approximately. */
  public Standing standing() {
    int[] members = replica.voters();
    long[] behind = new long[members.length];
    for (int i = 0; i < members.length; i++) {
      behind[i] = replica.entriesBehind(members[i]);
    }
    return new Standing(members, behind, leader(), replica.isStopped() && !replica.awaitsState());
  }

  /** Returns which replicas are being brought up to date: see {@link Resyncs#progress}. */
  public List<Resyncs.Progress> resyncs() {
    return store.resyncs().progress().stream()
        .filter(one -> one.volume().equals(volume.name()))
        .toList();
  }

  /**
   * Returns the newest entry that may have given the volume other content than its clients have
   * written: a rollback, or any up to where this start began. What was attached to the volume after
   * that entry, on any node, may stay.
   */
  public long contentIndex() {
    return contentIndex;
  }

  /** The volume was given other content by an entry. */
  void contentReplaced(long index) {
    contentIndex = index;
  }

  /** Returns whether the replica has stopped for good: the node has said why. */
  public boolean isStopped() {
    return replica.isStopped();
  }

  /**
   * Returns how a request ends that was begun when the replica stopped: an error without other
   * members; with them it may still have its effect, and they serve on.
   */
  int unknownOutcome() {
    return applier == null ? Status.EIO : Status.ESTALE;
  }

  /** Asks whoever may lead whether this replica is needed no more: see {@link #mayGo}. */
  public void askToGo(List<Integer> nodes) {
    departure.ask(nodes);
  }

  /** Returns whether the group can do without this replica, as it is now. */
  public boolean mayGo() {
    return departure.isAllowed();
  }

  /** Returns the replica, for whoever watches over it. */
  public Replica replica() {
    return replica;
  }

  /**
   * Returns whether requests are taken: OK; EAGAIN when what was committed before has to be applied
   * first; EREMOTE when another node leads, or will, as this replica has stopped.
   */
  int admission() {
    if (!replica.leads()) {
      return Status.EREMOTE;
    }
    return applier.applied() >= replica.firstIndexOfTerm() ? Status.OK : Status.EAGAIN;
  }

  /** Lets a request that changes nothing wait until it is certain that this node leads. */
  void ask(VolumeRequest request) {
    reads.add(request);
  }

  /** Returns whether there are committed entries to apply. */
  @Override
  public boolean isBehind() {
    return applier != null && applier.isBehind();
  }

  /**
   * Applies a bounded amount, and completes what that was waited for; returns how much was done.
   */
  @Override
  public int applySome() {
    int done = applier.advance();
    completeApplied(applier.applied());
    reads.serve();
    answerLead();
    store.noteProgress();
    return done;
  }

  /** Leaves the group: who waits is told that the volume is gone. */
  void leave(Replicator replicator) {
    replicator.remove(replica);
    if (reads != null) {
      reads.failAll(Status.ESHUTDOWN);
    }
    failBegun(Status.ESHUTDOWN);
    doubtLead();
  }

  /**
   * Proposes a record: see {@link Replica#propose}. Of the journal's refusals {@link
   * VolumeStore#journal} tells which, all others end with a commit or a change of the role.
   */
  long propose(int type, int flags, long firstBlock, int count) {
    return replica.propose(type, flags, firstBlock, count);
  }

  /** Returns what would be refused: see {@link Replica#refusal}. */
  long refusal(int entries) {
    return replica.refusal(entries);
  }

  /** Queues a request whose records have been begun, the last of them with that index. */
  void addBegun(VolumeRequest request, long index) {
    request.groupIndex = index;
    request.applied = false;
    begun.add(request);
    countBegun(1);
    if (!isAlone() && isToBeDurable(request)) {
      // The sync need not wait for the commit.
      boolean _ = replica.flush(index);
    }
    if (acksBeforeAppend && !request.fua && volume.flushPolicy() == FlushPolicy.FLUSH) {
      store.complete(request, Status.OK);
    }
  }

  private boolean isToBeDurable(VolumeRequest request) {
    return request.fua || volume.flushPolicy() == FlushPolicy.ALWAYS;
  }

  private void countBegun(int change) {
    if (isAlone()) {
      store.countBegun(change);
    }
  }

  /** Returns whether a begun request that is not yet applied touches any of these blocks. */
  boolean isBegun(long firstBlock, long lastBlock) {
    for (VolumeRequest request = begun.peek(); request != null; request = request.next) {
      if (request.offset / Volume.BLOCK_BYTES <= lastBlock
          && (request.offset + request.length - 1) / Volume.BLOCK_BYTES >= firstBlock) {
        return true;
      }
    }
    return false;
  }

  /** Lets what follows wait until a command is applied. */
  void holdFor(VolumeRequest newest) {
    command = newest;
  }

  /** Returns whether requests that write have to wait for a command. */
  boolean isHeld() {
    return command != null && !command.applied;
  }

  /**
   * Completes a request once all that was acknowledged before it is durable, and with that all
   * batches of this log up to now: a position that was told before a flush names no other batch
   * after it.
   */
  void flush(VolumeRequest request) {
    if (applier != null && !replica.leads()) {
      // The lead was lost since this was asked for.
      store.complete(request, Status.EREMOTE);
      return;
    }
    awaitDurable(request, replica.committedIndex(), store.journal().sealedSequence());
  }

  private void awaitDurable(VolumeRequest request, long index, long position) {
    request.awaitedPosition = position;
    if (replica.isStopped()) {
      store.complete(request, unknownOutcome());
    } else if (replica.flush(index)) {
      store.completeDurable(request);
    } else {
      request.awaitedIndex = index;
      undurable.add(request);
    }
  }

  private void failBegun(int status) {
    while (!begun.isEmpty()) {
      VolumeRequest request = begun.poll();
      countBegun(-1);
      request.applied = true;
      if (!acksBeforeAppend) {
        store.complete(request, status);
      }
    }
    while (!undurable.isEmpty()) {
      store.complete(undurable.poll(), status);
    }
    store.noteProgress();
  }

  @Override
  public void onCommitted(Replica source, long from, long to) {
    if (applier != null) {
      int _ = applySome();
      if (applier.isBehind()) {
        store.groups().behind(this);
      }
      return;
    }
    while (!begun.isEmpty() && begun.peek().groupIndex <= to) {
      VolumeRequest request = begun.poll();
      countBegun(-1);
      volume.apply(request);
      complete(request);
    }
    source.applied(to);
    answerLead();
    store.noteProgress();
  }

  private void completeApplied(long index) {
    while (!begun.isEmpty() && begun.peek().groupIndex <= index) {
      complete(begun.poll());
    }
  }

  private void complete(VolumeRequest request) {
    request.applied = true;
    if (isToBeDurable(request) && !acksFuaEarly) {
      awaitDurable(request, request.groupIndex, 0);
    } else if (!acksBeforeAppend) {
      store.complete(request, Status.OK);
    }
  }

  @Override
  public void onFlushed(Replica source, long index) {
    while (!undurable.isEmpty() && undurable.peek().awaitedIndex <= index) {
      store.completeDurable(undurable.poll());
    }
  }

  @Override
  public void onRole(Replica source, boolean leads, long term, int leader) {
    if (LOG.isDebugEnabled()) {
      String who = leads ? "leads" : leader == Replica.NO_NODE ? "knows no leader" : "follows";
      LOG.debug("volume {} (group {}): {} {} in term {}", volume.name(), id, who, leader, term);
    }
    if (!leads) {
      // Whether they will be committed is not for us to say.
      if (!begun.isEmpty() || !undurable.isEmpty()) {
        LOG.warn(
            "volume {} (group {}): the lead of term {} is lost with requests begun: their clients"
                + " are disconnected",
            volume.name(),
            id,
            term);
      }
      failBegun(Status.ESTALE);
      if (reads != null) {
        reads.refuseAll(Status.EREMOTE);
      }
      doubtLead();
    }
    store.noteProgress();
  }

  @Override
  public void onReadGranted(Replica source, long readId, long index) {
    if (readId < 0) {
      onLeadConfirmed(readId);
    } else {
      reads.onGranted(readId, index);
    }
  }

  @Override
  public void onReadRefused(Replica source, long readId) {
    if (readId < 0) {
      onLeadDoubted(readId);
    } else {
      reads.onRefused(readId);
    }
  }

  @Override
  public void onCommittedLost(Replica source, long index) {
    if (applier != null) {
      applier.onCommittedLost();
    }
    volume.disconnect();
  }

  @Override
  public void onEpochRaised(Replica source, long epoch) {
    volume.disconnect();
  }

  @Override
  public void onResyncNeeded(Replica source, int node) {
    store.resyncs().onNeeded(this, node);
    LOG.warn(
        "volume {} (group {}): node {} needs a resync: it lacks entries that are kept no more",
        volume.name(),
        id,
        node);
  }

  @Override
  public void onResync(Replica source, int node, ResyncFrame frame) {
    if (applier != null && !departure.onFrame(node, frame)) {
      store.resyncs().onFrame(this, node, frame);
    }
  }

  @Override
  public void onStopped(Replica source, String why) {
    if (applier != null) {
      LOG.error("volume {}: its replica on this node stops: {}", volume.name(), why);
    }
    if (reads != null) {
      reads.failAll(Status.EREMOTE);
    }
    failBegun(unknownOutcome());
    doubtLead();
    if (applier != null) {
      store.resyncs().onStopped(this);
    }
  }
}
