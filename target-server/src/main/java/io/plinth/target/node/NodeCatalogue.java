package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Status;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.EntryReader;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.RecoveredGroup;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.ReplicaListener;
import io.plinth.log.replication.ReplicaStart;
import io.plinth.log.replication.Replicator;
import io.plinth.log.wire.EntryBody;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.target.cluster.Catalogue;
import io.plinth.target.cluster.CatalogueBug;
import io.plinth.target.cluster.NodeRole;
import io.plinth.target.volume.GroupWork;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeSettings;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.IntConsumer;
import org.agrona.UnsafeApi;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Group 0, whose log is log 0: which volumes there are. Everything here belongs to the core of that
 * log, where each change of a volume begins and, if the catalogue has to know of it, ends.
 *
 * <p>A command is committed when it is durable on a majority, and applied on each node in the order
 * of the log: what it makes possible is not taken back by a loss of power. Only the leader
 * proposes.
 */
final class NodeCatalogue implements ReplicaListener, GroupWork {
  private static final Logger LOG = LoggerFactory.getLogger(NodeCatalogue.class);
  private static final int ENTRIES_PER_CYCLE = 64;

  /** Kinds of frames that are not of the resync. */
  private static final int OTHER_KINDS = 32;

  private final NodeLogs logs;
  private final Catalogue catalogue;
  private final ClusterBugs bugs;
  private final EntryBody body = new EntryBody();
  private final CatalogueResync resync;
  private BiConsumer<Integer, ResyncFrame> others = (node, frame) -> {};
  private Replicator replicator;
  private int self;
  private Replica replica;
  private EntryReader reader;
  private Effects effects;

  /** See {@link #isCurrent}: the newest entry that this start has found. */
  private long recoveredLast;

  private long recoveredTerm;
  private boolean isCurrent;
  private boolean isShown;

  /** Up to here all entries are applied; nothing is before the logs are open. */
  private long applied;

  /** A group number above all that were used or promised here. */
  private int nextGroup;

  /** Of volumes that are being created or changed. */
  private final Set<String> names = new TreeSet<>();

  /** Commands that are in the log and not yet in the catalogue. */
  private final ArrayDeque<Proposal> proposals = new ArrayDeque<>();

  /** What changes that are not in the catalogue yet add to the settings of all volumes. */
  private int promisedSettingsBytes;

  private record Proposal(long index, IntConsumer done) {}

  /** Told what the commands have done, before whoever proposed them. */
  interface Effects {
    /**
     * A volume is to be.
     *
     * @param isYoung whether it was created when this node was known to have come anew, if it has
     */
    void onCreated(Catalogue.Entry entry, boolean isYoung);

    void onDeleted(Catalogue.Entry entry);

    void onSet(Catalogue.Entry entry);

    /** A node has another role. */
    void onRoles();

    /** All of it came at once: what was deleted before it was known here has to be looked for. */
    void onReplaced();

    /** There are other nodes, or they are elsewhere. */
    void onNodes();

    /** See {@link #isCurrent}. */
    void onCurrent();
  }

  NodeCatalogue(NodeLogs logs, Set<PlantedBug> plantedBugs, ClusterBugs bugs) {
    this.logs = logs;
    this.bugs = bugs;
    this.catalogue = new Catalogue(plantedBugs);
    if (bugs.has(CatalogueBug.JOINED_NODES_FORGOTTEN)) {
      catalogue.forgetNodes();
    }
    this.resync = new CatalogueResync(this, logs);
  }

  // Recovery and checkpoints.

  /** Takes back what {@link #encode} gave to a checkpoint. */
  void restore(byte[] extension) throws RecoveryException {
    try {
      catalogue.restore(extension);
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** Applies a command that recovery has found. */
  void recover(RecordHeader record) throws RecoveryException {
    if (record.type() != RecordHeader.COMMAND) {
      return;
    }
    try {
      Catalogue.Applied _ = catalogue.apply(record.command());
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("log-0: " + e.getMessage());
    }
  }

  /** Log 0 is open. */
  void start(Replicator ofLog, RecoveredGroup recovered, boolean clean) {
    replicator = ofLog;
    self = logs.first().store().self();
    reader = replicator.reader();
    // Of a group of one recovery has applied everything.
    applied = recovered.appliedIndex();
    isCurrent = recovered.isAlone() || bugs.has(CatalogueBug.BEGUN_BY_OLD_CATALOGUE);
    recoveredLast = recovered.lastIndex();
    recoveredTerm = recovered.lastTerm();
    if (!recovered.isAlone()) {
      logs.first().store().noteShared();
    }
    ReplicaStart start =
        bugs.has(CatalogueBug.CATALOGUE_NOT_DURABLE)
            ? ReplicaStart.of(recovered, clean, segmentBytes())
            : ReplicaStart.durable(recovered, clean, segmentBytes());
    replica = replicator.add(Catalogue.GROUP, start, this);
  }

  private int segmentBytes() {
    return logs.first().store().journal().blocksPerSegment() * Volume.BLOCK_BYTES;
  }

  /**
   * All logs are open: commands can follow.
   *
   * @param told what they do
   */
  void lead(Effects told) throws RecoveryException {
    for (Catalogue.Entry entry : catalogue.entries()) {
      if (entry.log() >= logs.count()) {
        throw new RecoveryException(
            "volume " + entry.name() + " is in log-" + entry.log() + ", which is missing");
      }
    }
    nextGroup = catalogue.nextGroup();
    for (NodeLog log : logs.all()) {
      nextGroup = Math.max(nextGroup, log.store().highestGroup() + 1);
    }
    effects = told;
    if (replica.awaitsState()) {
      resync.onStopped();
    }
    if (isBehind()) {
      logs.first().store().behind(this);
    }
  }

  /** What recovery has found is shown: from here on {@link Effects#onCurrent} may be told. */
  void watch() {
    isShown = true;
    look();
  }

  /** Returns whether {@link #encode} has the effect of all commands that were appended. */
  boolean isSettled() {
    return !replica.isAlone() || applied == replica.lastIndex();
  }

  /**
   * Returns whether the catalogue has all that this node has acted on before its start: then the
   * node may begin replicas. An older one may name it for a group that does without it by now, and
   * of which it has forgotten what it promised. Either all that the log held then is applied, or
   * something of a leader that was elected since.
   */
  boolean isCurrent() {
    look();
    return isCurrent;
  }

  /** Returns what a node is to be. */
  NodeRole role(int node) {
    return catalogue.role(node);
  }

  /** Returns whether a node may get replicas. */
  boolean takesReplicas(int node) {
    NodeRole role = catalogue.role(node);
    boolean early = role.equals(NodeRole.JOINING) && bugs.has(CatalogueBug.JOINING_NODE_PLACED);
    return role.takesReplicas() || early;
  }

  /** Returns the nodes; none as long as no node has joined. */
  Collection<Catalogue.Node> nodes() {
    return catalogue.nodes();
  }

  /** Returns whether this node has all that was committed when its present leader was elected. */
  boolean isComplete() {
    return effects != null
        && replica.isRunning()
        && !replica.isRecovering()
        && replica.leader() != Replica.NO_NODE
        && applied == replica.lastIndex();
  }

  /** Returns whether this node may have lost what it promised. */
  boolean isRecovering() {
    return replica.isRecovering();
  }

  /** Returns the node that leads the catalogue, or {@link Replica#NO_NODE}. */
  int leader() {
    return replica == null || replica.isStopped() ? Replica.NO_NODE : replica.leader();
  }

  /** Makes sure that this node may change the catalogue, and knows all that was changed before. */
  void requireLead() throws NodeException {
    if (replica.awaitsState()) {
      throw new NodeException(
          NodeException.Reason.UNAVAILABLE,
          "this node joins the cluster, and has not been given the catalogue yet");
    }
    if (replica.isStopped()) {
      throw new NodeException(
          NodeException.Reason.UNAVAILABLE, "this node's replica of the catalogue has stopped");
    }
    if (!replica.leads()) {
      throw NodeException.elsewhere("the catalogue", replica.leader());
    }
    if (!replica.isAlone() && applied < replica.firstIndexOfTerm()) {
      throw NodeException.elsewhere("the catalogue", Replica.NO_NODE);
    }
  }

  /** Encodes the state for a checkpoint. */
  byte[] encode() {
    return catalogue.encode();
  }

  // Volumes.

  Collection<Catalogue.Entry> entries() {
    return catalogue.entries();
  }

  /** Returns the volume of a group, or null. */
  Catalogue.Entry find(int volumeGroup) {
    return catalogue.find(volumeGroup);
  }

  /** Returns the volume of that name, or null. */
  Catalogue.Entry find(String name) {
    return catalogue.find(name);
  }

  /** Returns whether a group may have been deleted: it is not in the catalogue, and was before. */
  boolean isBefore(int volumeGroup) {
    return volumeGroup < catalogue.nextGroup();
  }

  /** Returns the number of the log that a volume is in. */
  int logOf(LogVolume volume) {
    return catalogue.find(volume.group().id()).log();
  }

  /** Returns a group number that was never used. */
  int takeGroup() {
    nextGroup = Math.max(nextGroup, catalogue.nextGroup());
    return nextGroup++;
  }

  /** Returns the log with the fewest volumes. */
  int leastUsedLog() {
    int best = 0;
    long bestCount = Long.MAX_VALUE;
    for (int i = 0; i < logs.count(); i++) {
      int log = i;
      long count = catalogue.entries().stream().filter(entry -> entry.log() == log).count();
      if (count < bestCount) {
        best = i;
        bestCount = count;
      }
    }
    return best;
  }

  /** Returns how many bytes of {@link #encode} are settings of volumes. */
  int settingsBytes() {
    return catalogue.settingsBytes();
  }

  // Changes.

  /** Runs a task on log 0's core, at once when we are there. */
  void onCore(Runnable task) {
    Core core = logs.first().core();
    if (core.inCore()) {
      task.run();
    } else if (!core.execute(task)) {
      throw new IllegalStateException("core " + core.id() + " takes no more work");
    }
  }

  /** Does something for a caller; any thread. */
  <T> CompletableFuture<T> onCore(CoreWork<T> work) {
    return CoreWork.on(logs.first().core(), work);
  }

  /** Takes the name of a volume, if it is free, until the result is there. */
  boolean reserve(String name, CompletableFuture<?> result) {
    if (!names.add(name)) {
      return false;
    }
    CompletableFuture<?> _ =
        result.whenComplete((done, failure) -> onCore(() -> names.remove(name)));
    return true;
  }

  /** Takes the name of a volume that is to be changed: one change of it at a time. */
  void reserveForChange(String name, CompletableFuture<?> result) throws NodeException {
    if (!reserve(name, result)) {
      throw new NodeException(
          NodeException.Reason.IN_USE, "volume " + name + " is being changed already");
    }
  }

  /** Returns room for settings that grow, none so far; it is held until the result is there. */
  Room room(CompletableFuture<?> result) {
    Room room = new Room();
    CompletableFuture<?> _ =
        result.whenComplete((done, failure) -> onCore(() -> promisedSettingsBytes -= room.bytes));
    return room;
  }

  /** What a change that is under way adds to the settings of all volumes. */
  final class Room {
    private int bytes;

    private Room() {}

    /** Takes as much as is missing for a change of settings. */
    void require(VolumeSettings before, VolumeSettings after) throws NodeException {
      int more = Catalogue.settingsBytes(after) - Catalogue.settingsBytes(before) - bytes;
      if (more <= 0) {
        return;
      }
      long all = (long) catalogue.settingsBytes() + promisedSettingsBytes + more;
      if (all > Catalogue.MAXIMUM_SETTINGS_BYTES) {
        throw new NodeException(
            NodeException.Reason.NO_SPACE,
            "the settings of all volumes together would take more than "
                + Catalogue.MAXIMUM_SETTINGS_BYTES
                + " bytes");
      }
      bytes += more;
      promisedSettingsBytes += more;
    }
  }

  /**
   * Proposes a command.
   *
   * @param done told OK when it is applied here; EREMOTE when this node does not lead, or does not
   *     any more, and what becomes of the command is not known; or another errno
   */
  void propose(byte[] command, IntConsumer done) {
    NodeLog log = logs.first();
    Journal journal = log.store().journal();
    // A short one fits what is always left to commands, so that deletions work in a full log.
    boolean hasRoom =
        command.length <= Volume.BLOCK_BYTES
            || journal.reserve(RecordHeader.encodedBytes(RecordHeader.COMMAND, command.length), 0);
    long index =
        hasRoom ? replica.propose(RecordHeader.COMMAND, 0, 0, command.length) : Replica.NO_ROOM;
    if (index > 0) {
      journal.command(command);
      proposals.add(new Proposal(index, done));
      if (bugs.has(CatalogueBug.COMMAND_ANSWERED_EARLY)) {
        done.accept(Status.OK);
      }
    } else if (replica.isStopped()) {
      done.accept(Status.EIO);
    } else if (!replica.leads()) {
      done.accept(Status.EREMOTE);
    } else if (index == Replica.NO_ROOM && journal.refusal() != Status.EAGAIN) {
      done.accept(journal.refusal());
    } else {
      log.store().awaitReady(() -> propose(command, done));
    }
  }

  // Applying.

  @Override
  public boolean isBehind() {
    return effects != null && !replica.isStopped() && applied < replica.committedIndex();
  }

  @Override
  public int applySome() {
    int entries = 0;
    while (entries < ENTRIES_PER_CYCLE && isBehind()) {
      long index = applied + 1;
      if (replica.isPayload(index)) {
        EntryReader.Found found = reader.find(replica, index, replica.committedIndex(), body);
        if (found == EntryReader.Found.LATER) {
          break;
        }
        if (found == EntryReader.Found.DAMAGED) {
          replica.stop("entry " + index + " of the catalogue can't be read");
          break;
        }
        apply(bodyBytes());
      }
      applied = index;
      replica.applied(index);
      entries++;
      while (!proposals.isEmpty() && proposals.peek().index <= index) {
        proposals.remove().done.accept(Status.OK);
      }
    }
    look();
    return entries;
  }

  /** Finds out whether the catalogue is current; that it is not any more can't be. */
  private void look() {
    if (isCurrent || !isShown || replica.isStopped() || replica.isRecovering()) {
      return;
    }
    boolean caughtUp = applied >= recoveredLast;
    boolean newer = replica.hasBegun() && replica.entryTerm(applied) > recoveredTerm;
    if (caughtUp || newer) {
      isCurrent = true;
      effects.onCurrent();
    }
  }

  private byte[] bodyBytes() {
    byte[] bytes = new byte[body.count];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = UnsafeApi.getByte(body.trailerAddress + i);
    }
    return bytes;
  }

  private void apply(byte[] command) {
    Catalogue.Applied done;
    try {
      done = catalogue.apply(command);
    } catch (IllegalArgumentException e) {
      replica.stop(
          "entry " + (applied + 1) + " of the catalogue makes no sense: " + e.getMessage());
      return;
    }
    if (done == null) {
      return;
    }
    switch (done.change()) {
      case CREATED -> effects.onCreated(done.entry(), applied + 1 > replica.recoveredTo());
      case DELETED -> effects.onDeleted(done.entry());
      case SET -> effects.onSet(done.entry());
      case NODE -> effects.onRoles();
      case NODES -> {
        effects.onNodes();
        effects.onRoles();
      }
    }
  }

  // What the replica tells.

  @Override
  public void onCommitted(Replica source, long from, long to) {
    // Within the call that adds the replica, it is not known here yet.
    if (replica != null && isBehind()) {
      int _ = applySome();
      if (isBehind()) {
        logs.first().store().behind(this);
      }
    }
  }

  @Override
  public void onFlushed(Replica source, long index) {
    // What is committed is durable.
  }

  @Override
  public void onRole(Replica source, boolean leads, long term, int leader) {
    if (!leads) {
      fail(Status.EREMOTE);
    }
  }

  @Override
  public void onStopped(Replica source, String why) {
    LOG.error("the catalogue on this node stops: {}", why);
    fail(Status.EIO);
    resync.onStopped();
  }

  private void fail(int status) {
    while (!proposals.isEmpty()) {
      proposals.remove().done.accept(status);
    }
  }

  @Override
  public void onReadGranted(Replica source, long id, long index) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onReadRefused(Replica source, long id) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onCommittedLost(Replica source, long index) {
    source.stop("entry " + index + " of the catalogue was applied here and is lost by the others");
  }

  @Override
  public void onEpochRaised(Replica source, long epoch) {
    // Nobody reads the catalogue but the nodes, each its own.
  }

  @Override
  public void onResyncNeeded(Replica source, int node) {
    LOG.warn("the catalogue: node {} lacks entries that are kept no more", node);
    resync.onNeeded(node);
  }

  @Override
  public void onResync(Replica source, int node, ResyncFrame frame) {
    boolean takes = !replica.isStopped() || replica.awaitsState();
    if (takes && frame.kind() >= OTHER_KINDS) {
      others.accept(node, frame);
    } else {
      resync.onFrame(node, frame);
    }
  }

  /** Says who takes what nodes tell each other besides, on the way of the catalogue's group. */
  void listen(BiConsumer<Integer, ResyncFrame> listener) {
    others = listener;
  }

  /** Lets another node learn from this one, which leads; returns whether that was proposed. */
  boolean addLearner(int node) {
    boolean wasAlone = replica.isAlone();
    boolean done = replica.addLearner(node);
    if (wasAlone && !replica.isAlone() && !bugs.has(CatalogueBug.FIRST_LEARNER_UNNOTED)) {
      // From here on entries are kept for others, also by checkpoints.
      logs.first().store().noteShared();
    }
    return done;
  }

  // Brought up to date beside the log.

  Replica replica() {
    return replica;
  }

  long appliedIndex() {
    return applied;
  }

  /** Returns whether what commands do can be done. */
  boolean isOpen() {
    return effects != null;
  }

  /**
   * Becomes what another node's catalogue is as of an entry; the replica takes part again, behind
   * that entry, when a checkpoint has it.
   */
  void replaceBy(byte[] content, GroupState begins) {
    Map<Integer, Catalogue.Entry> before = new TreeMap<>();
    catalogue.entries().forEach(entry -> before.put(entry.group(), entry));
    try {
      catalogue.replaceBy(content);
    } catch (IllegalArgumentException e) {
      replica.stop("the catalogue that another node has sent makes no sense: " + e.getMessage());
      return;
    }
    replicator.remove(replica);
    fail(Status.EREMOTE);
    applied = begins.index();
    RecoveredGroup recovered = new RecoveredGroup(begins, self);
    replica =
        replicator.add(
            Catalogue.GROUP, ReplicaStart.durable(recovered, true, segmentBytes()), this);
    replica.hold();
    Replica held = replica;
    effects.onNodes();
    before.values().stream()
        .filter(entry -> catalogue.find(entry.group()) == null)
        .forEach(effects::onDeleted);
    for (Catalogue.Entry entry : List.copyOf(catalogue.entries())) {
      if (!before.containsKey(entry.group())) {
        effects.onCreated(entry, false);
      } else if (!entry.equals(before.get(entry.group()))) {
        effects.onSet(entry);
      }
    }
    effects.onRoles();
    effects.onReplaced();
    logs.first()
        .store()
        .checkpointer()
        .request(status -> {
          if (status == Status.OK) {
            held.release();
          }
        });
  }
}
