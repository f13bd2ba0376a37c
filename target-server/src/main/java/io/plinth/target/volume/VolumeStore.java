package io.plinth.target.volume;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.LogStorage;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.BatchHeader;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.format.Superblock.CheckpointPlace;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.GroupBeginning;
import io.plinth.log.replication.GroupMembers;
import io.plinth.log.replication.GroupRecovery;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.Replicator;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.zip.CRC32C;
import org.agrona.collections.Int2IntHashMap;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * The volumes whose replicas share one log. What writes goes through the volume's group, see {@link
 * VolumeGroup}; replies leave after the duty cycle's seal, so no client sees data that a crash of
 * the process could take back.
 */
public final class VolumeStore implements JournalListener, CycleTask {
  private static final int READ_BUFFER_BYTES = 64 * 1024;
  // Two of the largest reads at their worst alignment, and what small reads need besides.
  private static final int READ_BUFFERS = 1280;
  private static final int NO_FAMILY = 0;

  /** The most volumes and snapshots of a log of large segments. */
  private static final int MOST_TREES = 1 << 16;

  /** What describes them may take one of so many parts of a segment, so that a record holds it. */
  private static final int TREES_PART = 2;

  /** Pages of trees that are freed in one duty cycle: some tens of microseconds. */
  private static final int FREED_PAGES_PER_CYCLE = 2;

  /** Clients' requests completed in one duty cycle from which on a scrub stands back. */
  private static final int BUSY_REQUESTS = 4;

  /** How often those are offered again who wait for others' commits or leaders. */
  private static final long OFFER_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /** How much of the log may be needed at most, so that the cleaner does not work in vain. */
  private static final double FULL = 0.93;

  private final Core core;
  private final Set<PlantedBug> plantedBugs;
  private final IndexSpace space;
  private final long blocksPerSegment;
  private final Int2ObjectHashMap<LogVolume> volumes = new Int2ObjectHashMap<>();
  private final RequestQueue undurable = new RequestQueue();
  private final StoreGroups groups;
  private final ArrayDeque<Volume.ReadyListener> waiting = new ArrayDeque<>();
  private final BufferPool readBuffers = new BufferPool(READ_BUFFER_BYTES, READ_BUFFERS);
  private final BlockReads reads;
  private final MergeBlocks merges;
  private final CRC32C crc = new CRC32C();
  private final List<DurableTask> durableTasks = new ArrayList<>();
  private final Int2IntHashMap familyByGroup = new Int2IntHashMap(NO_FAMILY);
  private final Checkpointer checkpointer;
  private final Retention retention;
  private final DeadSegments deadSegments;
  private final Cleaner cleaner;
  private final WritePace pace;
  private final Scrubber scrubber;
  private final Resyncs resyncs;
  private final Verifies verifies;
  private final Mends mends;

  private final ColdLeaves coldLeaves;

  /** Requests of groups without other members that are begun and not applied. */
  private int begunAlone;

  private int completedInCycle;
  private long lastCompletedNs;
  private int awaitedReadBuffers;
  private boolean awaitsFreeing;
  private long snapshotCount;
  private final int maxTrees;
  private int highestGroup;
  private LogPoint recoveredPoint = LogPoint.NONE;
  private Journal journal;

  /** Requests wait for a commit, and there was one. */
  private boolean awaitsProgress;

  private boolean progressed;
  private long lastOfferNs;

  private record DurableTask(long sequence, IntConsumer task) {}

  /**
   * Creates the store of a log that {@link #start} opens.
   *
   * @param segmentBytes size of a segment
   * @param segments how many there may be
   * @param members who has replicas of what is in it
   * @param plantedBugs empty except in tests
   */
  public VolumeStore(
      Core core,
      int segmentBytes,
      int segments,
      GroupMembers members,
      Set<PlantedBug> plantedBugs) {
    this.core = core;
    this.groups = new StoreGroups(members, plantedBugs.contains(PlantedBug.CHECKPOINT_DROPS_KEPT));
    this.plantedBugs = plantedBugs;
    this.blocksPerSegment = segmentBytes / Volume.BLOCK_BYTES;
    this.maxTrees = Math.min(MOST_TREES, segmentBytes / TREES_PART / CheckpointRoot.MAX_TREE_BYTES);
    this.space = new IndexSpace(segments, segmentBytes / Volume.BLOCK_BYTES, plantedBugs);
    this.coldLeaves = new ColdLeaves(this);
    this.reads = new BlockReads(this);
    this.merges = new MergeBlocks(this);
    this.checkpointer = new Checkpointer(this);
    this.retention = new Retention(this);
    this.deadSegments = new DeadSegments(this, segments);
    this.cleaner = new Cleaner(this);
    this.pace = new WritePace(core, cleaner::roomWanted, this::notifyReady);
    this.scrubber = new Scrubber(this, segmentBytes);
    this.resyncs = new Resyncs(this);
    this.verifies = new Verifies(this);
    this.mends = new Mends(this);
  }

  /**
   * Limits how much memory the pages of the indexes take: those that are not used lately are
   * dropped and read again. Before anything else.
   *
   * @param bytes zero for no limit
   */
  public void limitIndexMemory(long bytes) {
    if (bytes > 0) {
      coldLeaves.limit(bytes);
    }
  }

  /** Returns what the pages of the indexes take; any thread, approximately. */
  public IndexMemory indexMemory() {
    return coldLeaves.memory();
  }

  /** Returns what keeps the memory limit. */
  ColdLeaves coldLeaves() {
    return coldLeaves;
  }

  /**
   * Loads the checkpoint that a log's superblock names; before {@link #recover}.
   *
   * @return what whoever wrote the checkpoint had added to it; empty without a checkpoint
   * @throws RecoveryException when it can't be used; one line that says why and where
   */
  public byte[] load(String name, LogStorage storage, CheckpointPlace place)
      throws RecoveryException {
    CheckpointLoader loader = new CheckpointLoader(name, this, storage);
    coldLeaves.begin(loader::readPage);
    byte[] extension = place.bytes() == 0 ? new byte[0] : loader.load(place, checkpointer);
    deadSegments.loaded();
    return extension;
  }

  /** The records that follow are of this batch. Before {@link #start}. */
  public void recoverBatch(BatchHeader batch, long segmentSequence) {
    coldLeaves.shrinkAtStart();
    groups.recoverBatch(batch.sequence());
    recoveredPoint = new LogPoint(segmentSequence, batch.sequence(), 0, batch.epochMs());
  }

  /** Returns where in the log the newest batch is, for the entry with that index of a group. */
  LogPoint point(long index) {
    if (journal == null) {
      LogPoint found = recoveredPoint;
      return new LogPoint(found.segment(), found.batch(), index, found.epochMs());
    }
    return new LogPoint(
        journal.active().sequence(), journal.sealedSequence(), index, core.clock().epochMs());
  }

  /** Returns whether the checkpoint has the effect of the batch that is being recovered. */
  public boolean isBeforeCut() {
    return groups.isBeforeCut();
  }

  /**
   * Applies a record found in the log, unless the checkpoint has it. Entries of groups with several
   * members are applied when they are known to be committed. Before {@link #start}.
   */
  public void recover(RecordHeader record, long payloadPlace) throws RecoveryException {
    if (groups.isBeforeCut()) {
      return;
    }
    try {
      apply(record, payloadPlace);
    } catch (UnreadableLeafException e) {
      throw new RecoveryException("the index can't be used: " + e.getMessage());
    }
  }

  private void apply(RecordHeader record, long payloadPlace) throws RecoveryException {
    int group = record.group();
    switch (record.type()) {
      case RecordHeader.META -> {}
      case RecordHeader.JOIN -> recoverJoin(record);
      case RecordHeader.RELOCATE -> {
        for (int i = 0; i < record.blockCount(); i++) {
          space.relocate(group, record.block(i), record.place(i), payloadPlace + i);
        }
      }
      default -> {
        highestGroup = Math.max(highestGroup, group);
        LogVolume volume = volumes.get(group);
        if (!groups.isCommitted(group)) {
          return;
        }
        if (record.type() == RecordHeader.COMMAND) {
          recoverCommand(record);
        } else if (volume != null) {
          volume.recover(record, payloadPlace);
        }
      }
    }
  }

  private void recoverCommand(RecordHeader record) throws RecoveryException {
    LogVolume volume = volumes.get(record.group());
    if (volume == null) {
      VolumeCommand command;
      try {
        command = VolumeCommand.decode(record.command());
      } catch (IllegalArgumentException e) {
        throw new RecoveryException("group " + record.group() + ": " + e.getMessage());
      }
      volume = add(record.group(), command);
    }
    if (volume != null) {
      volume.recover(record, 0);
    }
  }

  /** Makes the volume that a command begins; null when it begins none, or its source is gone. */
  private LogVolume add(int group, VolumeCommand command) {
    highestGroup = Math.max(highestGroup, group);
    if (command.kind() == VolumeCommand.Kind.CREATE) {
      long size = command.number();
      familyByGroup.put(group, group);
      BlockIndex index =
          new BlockIndex(space, group, (size + Volume.BLOCK_BYTES - 1) / Volume.BLOCK_BYTES);
      return add(group, command.name(), size, command.flushPolicy(), index);
    }
    if (command.kind() != VolumeCommand.Kind.CLONE) {
      return null;
    }
    IndexedVolume source = source(command);
    if (source == null) {
      return null;
    }
    int family = source.index().family();
    familyByGroup.put(group, family);
    BlockIndex empty = new BlockIndex(space, family, source.index().blocks());
    return add(group, command.name(), source.sizeBytes(), command.flushPolicy(), empty);
  }

  /** Returns what a clone begins as, or null. */
  IndexedVolume source(VolumeCommand command) {
    LogVolume origin = volumes.get((int) command.number());
    return origin == null || command.snapshot().isEmpty()
        ? origin
        : origin.snapshot(command.snapshot());
  }

  private LogVolume add(
      int group, String name, long sizeBytes, FlushPolicy flushPolicy, BlockIndex index) {
    LogVolume volume = new LogVolume(this, group, name, sizeBytes, flushPolicy, index);
    volumes.put(group, volume);
    groups.start(volume.group());
    return volume;
  }

  /**
   * Makes a replica of a volume that the catalogue names, unless it is here already: empty, and
   * filled from the log of its group. It takes part once that is durable.
   *
   * @param members the nodes that have replicas: with this one among them, those that the group has
   *     begun with; without it, those that may give it the state of a group that goes on for longer
   * @param recovering whether this node may have had a replica of it that is lost
   * @return false when the log has no room now: see {@link #awaitReady}
   */
  public boolean join(
      int group,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      int[] members,
      boolean recovering) {
    if (volumes.containsKey(group)) {
      return true;
    }
    byte[] command = VolumeCommand.create(name, sizeBytes, flushPolicy).encode();
    byte[] beginning = GroupBeginning.encode(members, command);
    int flags = recovering ? RecordHeader.RECOVERING : 0;
    if (!journal.beginLocal(RecordHeader.JOIN, flags, group, beginning.length)) {
      return false;
    }
    journal.command(beginning);
    groups.recovery().begin(group, members, recovering);
    joined(group, name, sizeBytes, flushPolicy);
    return true;
  }

  private void joined(int group, String name, long sizeBytes, FlushPolicy flushPolicy) {
    familyByGroup.put(group, group);
    long blocks = (sizeBytes + Volume.BLOCK_BYTES - 1) / Volume.BLOCK_BYTES;
    LogVolume _ =
        restore(group, name, sizeBytes, flushPolicy, new BlockIndex(space, group, blocks));
  }

  private void recoverJoin(RecordHeader record) throws RecoveryException {
    int group = record.group();
    VolumeCommand command;
    try {
      command = VolumeCommand.decode(GroupBeginning.decode(record.command()).owners());
    } catch (IllegalArgumentException e) {
      throw new RecoveryException("group " + group + ": " + e.getMessage());
    }
    LogVolume before = volumes.get(group);
    if (before != null) {
      // It was given up, and is joined anew.
      remove(before);
    }
    joined(group, command.name(), command.number(), command.flushPolicy());
  }

  /** Takes back a volume that a checkpoint has; at start. */
  LogVolume restore(
      int group, String name, long sizeBytes, FlushPolicy flushPolicy, BlockIndex index) {
    highestGroup = Math.max(highestGroup, group);
    return add(group, name, sizeBytes, flushPolicy, index);
  }

  /** Adds a volume that is not in the log and will be in the next checkpoint. */
  LogVolume restored(
      int group, String name, long sizeBytes, FlushPolicy flushPolicy, BlockIndex index) {
    familyByGroup.put(group, index.family());
    return restore(group, name, sizeBytes, flushPolicy, index);
  }

  /** A group that is not a volume's has committed entries to apply. */
  public void behind(GroupWork group) {
    groups.behind(group);
  }

  /** The log has a group with other members that is not a volume's. */
  public void noteShared() {
    groups.noteShared();
  }

  /** Returns what the log holds of groups, from its checkpoint on; until {@link #start}. */
  public GroupRecovery recoveredGroups() {
    return groups.recovery();
  }

  StoreGroups groups() {
    return groups;
  }

  /** Returns the number of this node. */
  public int self() {
    return groups.self();
  }

  /** Returns what brings replicas up to date that lack entries which are kept no more. */
  public Resyncs resyncs() {
    return resyncs;
  }

  /** Returns what compares the replicas of volumes. */
  public Verifies verifies() {
    return verifies;
  }

  /** Returns what mends damaged blocks from other nodes. */
  public Mends mends() {
    return mends;
  }

  /** Returns how often a member was found to lack entries that are kept no more. */
  public long resyncsNeeded() {
    return resyncs.needed();
  }

  /**
   * Begins to serve on top of a journal, which this store must be the listener of.
   *
   * @param ofJournal the replicas of the log, told by this store what the journal does
   * @param closedInOrder whether nothing of the log can be lost
   */
  public void start(
      Journal openJournal,
      Replicator ofJournal,
      boolean closedInOrder,
      Checkpointer.Superblocks superblocks) {
    journal = openJournal;
    coldLeaves.readNow(false);
    groups.start(openJournal, ofJournal, closedInOrder);
    checkpointer.start(openJournal, superblocks);
    retention.look();
    deadSegments.start(openJournal);
    for (LogVolume volume : volumes()) {
      groups.start(volume.group());
    }
  }

  /** So many snapshots more, or less. */
  void countSnapshots(int change) {
    snapshotCount += change;
  }

  /** Returns how many volumes and snapshots there are. */
  long treeCount() {
    return volumes.size() + snapshotCount;
  }

  /** Returns how many volumes and snapshots there may be. */
  public int maxTrees() {
    return maxTrees;
  }

  /** Returns whether there may be one more volume or snapshot; on the core. */
  public boolean hasRoomForTree() {
    return treeCount() < maxTrees;
  }

  /** Returns the volume of a group, or null. */
  public LogVolume volume(int group) {
    return volumes.get(group);
  }

  /** Returns the volumes in no particular order. */
  public List<LogVolume> volumes() {
    List<LogVolume> result = new ArrayList<>(volumes.values());
    result.sort(Comparator.comparingInt(volume -> volume.group().id()));
    return result;
  }

  /** A group has existed, even if nothing of it is left: its number is not used again. */
  void noteGroup(int group) {
    highestGroup = Math.max(highestGroup, group);
  }

  /** Returns the highest number of a group that this log has seen. */
  public int highestGroup() {
    return highestGroup;
  }

  /**
   * Begins a volume: empty, or with the content of another volume or snapshot of this store.
   *
   * @param source null for an empty volume
   * @param done told the volume when its beginning is durable, or null and the status
   */
  public void create(
      int group,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      IndexedVolume source,
      Created done) {
    VolumeCommand command =
        switch (source) {
          case null -> VolumeCommand.create(name, sizeBytes, flushPolicy);
          case SnapshotVolume snapshot ->
              VolumeCommand.cloneOf(
                  snapshot.origin().group().id(), snapshot.snapshotName(), name, flushPolicy);
          default ->
              VolumeCommand.cloneOf(((LogVolume) source).group().id(), "", name, flushPolicy);
        };
    LogVolume volume = add(group, command);
    if (volume == null) {
      done.created(null, Status.ESHUTDOWN);
      return;
    }
    run(
        volume,
        command,
        () -> true,
        status -> {
          if (status == Status.OK) {
            done.created(volume, status);
          } else {
            remove(volume);
            done.created(null, status);
          }
        });
  }

  /** Told how the beginning of a volume went. */
  @FunctionalInterface
  public interface Created {
    /** Called on the core. */
    void created(LogVolume volume, int status);
  }

  /**
   * Takes a snapshot.
   *
   * @param allowed asked each time when the command could go into the log, which may have to wait
   *     for room; when it says no, nothing happens and {@code done} is not told
   * @param done told a status when it is durable
   */
  public void snapshot(LogVolume volume, String name, BooleanSupplier allowed, IntConsumer done) {
    run(volume, VolumeCommand.snapshot(name, core.clock().epochMs()), allowed, done);
  }

  /** Deletes a snapshot and disconnects its readers; see {@link #snapshot}. */
  public void deleteSnapshot(
      LogVolume volume, String name, BooleanSupplier allowed, IntConsumer done) {
    run(volume, VolumeCommand.deleteSnapshot(name), allowed, done);
  }

  /**
   * Lets a volume be what it was at a snapshot; its clients are disconnected; see {@link
   * #snapshot}.
   */
  public void rollback(
      LogVolume volume, String snapshot, BooleanSupplier allowed, IntConsumer done) {
    run(volume, VolumeCommand.rollback(snapshot), allowed, done);
  }

  /** Changes the size of a volume; what lies beyond is gone; see {@link #snapshot}. */
  public void resize(LogVolume volume, long sizeBytes, BooleanSupplier allowed, IntConsumer done) {
    run(volume, VolumeCommand.resize(sizeBytes), allowed, done);
  }

  /** Lets all members freeze what they have at one entry. */
  void freeze(LogVolume volume, IntConsumer done) {
    run(volume, VolumeCommand.verify(), () -> true, done);
  }

  private void run(
      LogVolume volume, VolumeCommand command, BooleanSupplier allowed, IntConsumer done) {
    new CommandRequest(this, volume, command, allowed, done).submit();
  }

  /**
   * Forgets a volume and its snapshots; clients are disconnected, and its pages freed bit by bit.
   */
  public void remove(LogVolume volume) {
    groups.settle();
    volumes.remove(volume.group().id());
    resyncs.onGone(volume.group());
    verifies.onGone(volume.group());
    mends.onGone(volume.group());
    volume.close();
    groups.leave(volume.group());
  }

  /** Returns the family that a group's blocks belong to, or zero when nothing refers to them. */
  int family(int group) {
    return familyByGroup.get(group);
  }

  Int2IntHashMap families() {
    return familyByGroup;
  }

  /**
   * Returns whether blocks may be added: OK; ENOSPC because the log is full; or EAGAIN, because it
   * is not certain before what was trimmed, deleted or kept as history is freed.
   */
  int judgeRoom(int blocks) {
    int kept = journal.reservedSegments() + groups.keptSegments();
    long usable = (journal.limitSegments() - kept) * blocksPerSegment;
    if (space.references().liveBlocks() + blocks <= usable * FULL) {
      return Status.OK;
    }
    boolean mayCome = space.isFreeing() || retention.giveWay();
    awaitsFreeing |= mayCome;
    return mayCome ? Status.EAGAIN : Status.ENOSPC;
  }

  /** Returns when the newest request of a client was completed. */
  long lastCompletedNs() {
    return lastCompletedNs;
  }

  /** Returns the journal; null before {@link #start}. */
  public Journal journal() {
    return journal;
  }

  /**
   * Returns how many blocks of the log are needed, data and checkpoint; any thread, approximately.
   */
  public long liveBlocks() {
    return space.references().liveBlocks();
  }

  /**
   * Returns how much memory the indexes take, in bytes: pages, and a byte for each block of a
   * segment in use; any thread, approximately.
   */
  public long indexBytes() {
    return indexMemory().pageBytes() + journal.segmentsInUse() * blocksPerSegment;
  }

  /**
   * Runs a task when everything appended up to now is durable, with OK, or when that can't be any
   * more, with an errno.
   */
  public void whenDurable(IntConsumer task) {
    if (journal.failure() != Status.OK) {
      task.accept(journal.failure());
      return;
    }
    journal.seal();
    durableTasks.add(new DurableTask(journal.sealedSequence(), task));
    journal.requestSync();
  }

  /** Moves the background work on, and tells who waits for read buffers. */
  @Override
  public int doWork(long nowNs) {
    journal.needBlocks(checkpointer.neededBlocks());
    int work = coldLeaves.doWork(nowNs, begunAlone > 0);
    work += checkpointer.doWork() + cleaner.doWork(nowNs);
    boolean busy = completedInCycle > BUSY_REQUESTS;
    work += scrubber.doWork(nowNs, busy) + resyncs.doWork(nowNs, busy);
    work += verifies.doWork(nowNs, busy) + mends.doWork(nowNs);
    completedInCycle = 0;
    work += groups.applySome();
    work += offerAgain(nowNs);
    work += freeSome() + retention.doWork(nowNs);
    if (awaitedReadBuffers > 0 && readBuffers.available() >= awaitedReadBuffers) {
      awaitedReadBuffers = 0;
      notifyReady();
      work++;
    }
    return work;
  }

  private int offerAgain(long nowNs) {
    // A lead that was to be handed over, and is not after all, is told to nobody.
    boolean overdue = awaitsProgress && groups.isShared() && nowNs - lastOfferNs >= OFFER_NS;
    if (!progressed && !overdue) {
      return 0;
    }
    lastOfferNs = nowNs;
    progressed = false;
    awaitsProgress = false;
    notifyReady();
    return 1;
  }

  /** Lets a request wait for a commit or a page; returns false for the caller's sake. */
  boolean later() {
    awaitsProgress = true;
    return false;
  }

  /** The same for callers that return a status. */
  int laterStatus() {
    awaitsProgress = true;
    return Status.EAGAIN;
  }

  /** So many requests of groups without other members are begun, or applied if negative. */
  void countBegun(int change) {
    begunAlone += change;
  }

  /** What was refused because of what is under way may be taken now. */
  void noteProgress() {
    progressed |= awaitsProgress;
  }

  /**
   * Returns whether nothing that was begun touches these blocks any more. If it takes time until
   * that is so, the waiting are told then.
   */
  boolean isApplied(LogVolume volume, long firstBlock, long lastBlock) {
    if (!volume.group().isBegun(firstBlock, lastBlock)) {
      return true;
    }
    groups.settle();
    return !volume.group().isBegun(firstBlock, lastBlock) || later();
  }

  /** Returns whether nothing is begun; see the other one. */
  boolean isApplied(LogVolume volume) {
    return isApplied(volume, 0, Long.MAX_VALUE);
  }

  /** Seals and commits what can be committed at once. */
  void settle() {
    groups.settle();
  }

  /** See {@link StoreGroups#beginCut}. */
  boolean beginCheckpointCut() {
    return groups.beginCut();
  }

  void endCheckpointCut() {
    groups.endCut();
    noteProgress();
  }

  boolean isHoldingBack() {
    return groups.isHoldingBack();
  }

  /** Returns the replicas of all groups of this log. */
  List<Replica> replicas() {
    return groups.replicas();
  }

  private int freeSome() {
    int freed = space.isFreeing() ? space.freeSome(FREED_PAGES_PER_CYCLE) : 0;
    if (awaitsFreeing && !space.isFreeing() && !retention.isBusy()) {
      awaitsFreeing = false;
      notifyReady();
    }
    return freed;
  }

  /** Asks that the waiting are told when {@code count} read buffers are free. */
  void awaitReadBuffers(int count) {
    awaitedReadBuffers = awaitedReadBuffers == 0 ? count : Math.min(count, awaitedReadBuffers);
  }

  @Override
  public void onAppended(long sequence) {
    groups.onAppended(sequence);
  }

  @Override
  public void onDurable(long sequence) {
    groups.onDurable(sequence);
    while (!undurable.isEmpty() && undurable.peek().awaitedPosition <= sequence) {
      complete(undurable.poll(), Status.OK);
    }
    if (!durableTasks.isEmpty()) {
      List<DurableTask> due =
          durableTasks.stream().filter(task -> task.sequence <= sequence).toList();
      durableTasks.removeAll(due);
      due.forEach(task -> task.task.accept(Status.OK));
    }
  }

  @Override
  public boolean mayFreeSegments() {
    return space.isFreeing() || cleaner.mayFreeSegments();
  }

  @Override
  public void onReady() {
    notifyReady();
  }

  @Override
  public void onFailed(int status, long sequence) {
    groups.onFailed(journal.name() + ": " + Status.name(status));
    while (!undurable.isEmpty()) {
      VolumeRequest request = undurable.poll();
      complete(request, ((LogVolume) request.volume).group().unknownOutcome());
    }
    List<DurableTask> failed = List.copyOf(durableTasks);
    durableTasks.clear();
    failed.forEach(task -> task.task.accept(status));
    notifyReady();
  }

  /** Frees memory; the log is closed and nothing is in flight. */
  public void close() {
    verifies.close();
    mends.close();
    resyncs.close();
    coldLeaves.close();
    space.close();
    cleaner.close();
    scrubber.close();
    readBuffers.close();
    merges.close();
  }

  Core core() {
    return core;
  }

  boolean isPlanted(PlantedBug bug) {
    return plantedBugs.contains(bug);
  }

  IndexSpace space() {
    return space;
  }

  int segmentBytes() {
    return (int) blocksPerSegment * Volume.BLOCK_BYTES;
  }

  long blocksPerSegment() {
    return blocksPerSegment;
  }

  /** Returns the checkpoints of this log. */
  public Checkpointer checkpointer() {
    return checkpointer;
  }

  /** Returns the cleaner of this log. */
  public Cleaner cleaner() {
    return cleaner;
  }

  /** Returns what keeps the history of this log. */
  public Retention retention() {
    return retention;
  }

  WritePace pace() {
    return pace;
  }

  DeadSegments deadSegments() {
    return deadSegments;
  }

  /** Returns the scrubs of this log. */
  public Scrubber scrubber() {
    return scrubber;
  }

  BufferPool readBuffers() {
    return readBuffers;
  }

  BlockReads reads() {
    return reads;
  }

  MergeBlocks merges() {
    return merges;
  }

  /** Returns the checksum of a block in a region. */
  int checksum(NativeMemory region, long address) {
    return region.crc32c(crc, address, Volume.BLOCK_BYTES);
  }

  /** Completes a request whose entries are durable, once the batch that it names is so too. */
  void completeDurable(VolumeRequest request) {
    if (journal.durableSequence() >= request.awaitedPosition) {
      complete(request, Status.OK);
    } else {
      undurable.add(request);
      journal.requestSync();
    }
  }

  void complete(VolumeRequest request, int status) {
    if (request.command != null) {
      request.complete(status);
      return;
    }
    lastCompletedNs = core.clock().nowNs();
    completedInCycle++;
    IndexedVolume volume = request.volume;
    long latencyNs = core.clock().preciseNs() - request.receivedNs;
    volume
        .statistics()
        .record(request.operation.number(), latencyNs, request.length, Status.isError(status));
    request.complete(status);
  }

  /** Registers to be told once when a refused record may be accepted. */
  public void awaitReady(Volume.ReadyListener listener) {
    waiting.add(listener);
  }

  void cancelReady(Volume.ReadyListener listener) {
    waiting.removeIf(listener::equals);
  }

  /**
   * Lets all who were refused try again; who is refused again comes back to the end of the queue.
   */
  void notifyReady() {
    for (int i = waiting.size(); i > 0; i--) {
      Volume.ReadyListener listener = waiting.poll();
      if (listener != null) {
        listener.onVolumeReady();
      }
    }
  }
}
