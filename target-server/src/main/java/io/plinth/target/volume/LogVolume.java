package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.log.replication.Replica;
import java.util.ArrayList;
import java.util.List;
import org.agrona.UnsafeApi;

/** A volume whose blocks live in the log of its core. */
public final class LogVolume extends IndexedVolume {
  private static final int BLOCK = BLOCK_BYTES;

  private final VolumeGroup group;
  private final String name;
  private final FlushPolicy flushPolicy;
  private final Unmapping unmapping;
  private volatile LogPoint beginPoint = LogPoint.NONE;
  private volatile long sizeBytes;
  private volatile VolumeSettings settings = VolumeSettings.DEFAULT;
  private volatile List<SnapshotVolume> snapshots = List.of();

  LogVolume(
      VolumeStore store,
      int group,
      String name,
      long sizeBytes,
      FlushPolicy flushPolicy,
      BlockIndex index) {
    super(store, index);
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.flushPolicy = flushPolicy;
    this.group = new VolumeGroup(store, this, group);
    this.unmapping = new Unmapping(store, this);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public VolumeSettings settings() {
    return settings;
  }

  /** The catalogue has other settings for this volume; on the core of the catalogue. */
  public void settings(VolumeSettings changed) {
    settings = changed;
  }

  /** Returns the group whose log this volume's records are; on the core. */
  public VolumeGroup group() {
    return group;
  }

  @Override
  VolumeGroup owner() {
    return group;
  }

  /** Returns when writes are acknowledged; any thread. */
  public FlushPolicy flushPolicy() {
    return flushPolicy;
  }

  @Override
  public boolean submit(VolumeRequest request) {
    request.volume = this;
    if (isClosed()) {
      store.complete(request, Status.ESHUTDOWN);
      return true;
    }
    if (request.length == 0 && request.operation != Operation.FLUSH) {
      store.complete(request, Status.OK);
      return true;
    }
    if (!group.isAlone()) {
      int admission = group.admission();
      if (admission == Status.EAGAIN) {
        return store.later();
      }
      if (admission != Status.OK) {
        store.complete(request, admission);
        return true;
      }
    }
    boolean changes =
        request.operation == Operation.WRITE
            || request.operation == Operation.WRITE_ZEROES
            || request.operation == Operation.TRIM;
    if (changes && (group.isHeld() || store.isHoldingBack())) {
      return store.later();
    }
    if (request.offset + request.length > sizeBytes) {
      // The volume has shrunk since the client attached.
      boolean writes =
          request.operation == Operation.WRITE || request.operation == Operation.WRITE_ZEROES;
      store.complete(request, writes ? Status.ENOSPC : Status.EINVAL);
      return true;
    }
    boolean looks =
        request.operation == Operation.READ || request.operation == Operation.BLOCK_STATUS;
    if (looks && !group.isAlone()) {
      group.ask(request);
      return true;
    }
    return switch (request.operation) {
      case READ -> read(request);
      case WRITE -> write(request, false);
      case FLUSH -> flush(request);
      case TRIM -> unmapping.trim(request);
      case WRITE_ZEROES -> unmapping.writeZeroes(request);
      case CACHE -> {
        store.complete(request, Status.OK);
        yield true;
      }
      case BLOCK_STATUS -> blockStatus(request);
    };
  }

  /**
   * Answers what has been found to be asked of the right node: a read, or a request that has
   * nothing to do but to be durable.
   *
   * @return false when it must be tried again when told
   */
  boolean serve(VolumeRequest request) {
    if (isClosed()) {
      store.complete(request, Status.ESHUTDOWN);
      return true;
    }
    return switch (request.operation) {
      case READ -> read(request);
      case BLOCK_STATUS -> blockStatus(request);
      default -> {
        group.flush(request);
        yield true;
      }
    };
  }

  /** Returns all snapshots, the oldest first; any thread. */
  public List<SnapshotVolume> snapshots() {
    return snapshots;
  }

  /** Returns the snapshots that somebody asked for, the oldest first; any thread. */
  public List<SnapshotVolume> visibleSnapshots() {
    return snapshots.stream().filter(snapshot -> !snapshot.isHidden()).toList();
  }

  /** Returns a snapshot by its name within the volume, or null; any thread. */
  public SnapshotVolume snapshot(String snapshotName) {
    for (SnapshotVolume snapshot : snapshots) {
      if (snapshot.snapshotName().equals(snapshotName)) {
        return snapshot;
      }
    }
    return null;
  }

  void recover(RecordHeader record, long payloadPlace) throws RecoveryException {
    if (record.type() == RecordHeader.MARKER || record.type() == RecordHeader.STATE) {
      return;
    }
    if (record.type() == RecordHeader.COMMAND) {
      try {
        applyCommand(VolumeCommand.decode(record.command()), record.index());
      } catch (IllegalArgumentException e) {
        throw new RecoveryException("volume " + name + ": " + e.getMessage());
      }
      return;
    }
    long first = record.firstBlock();
    if (first < 0 || first >= index.blocks() || record.blockCount() > index.blocks() - first) {
      throw new RecoveryException(
          "volume "
              + name
              + ": a record names block "
              + first
              + ", which lies outside of the volume");
    }
    if (record.type() == RecordHeader.WRITE) {
      for (int i = 0; i < record.blockCount(); i++) {
        index.put(first + i, payloadPlace + i, record.checksum(i), record.index());
      }
    } else if (record.type() == RecordHeader.UNMAP
        && !store.isPlanted(PlantedBug.FORGET_UNMAP_ON_REPLAY)) {
      index.unmap(
          first,
          record.blockCount(),
          (record.flags() & RecordHeader.ALLOCATED) != 0,
          record.index());
    }
  }

  /**
   * Takes back a snapshot that a checkpoint has; at start.
   *
   * @param tree takes over one reference
   */
  void restoreSnapshot(
      String snapshotName, long snapshotBytes, long createdMs, BlockIndex tree, LogPoint point) {
    addSnapshot(new SnapshotVolume(this, snapshotName, snapshotBytes, createdMs, tree, point));
  }

  /**
   * Returns where in the log this volume began to exist empty; {@link LogPoint#NONE} for one that
   * began with the content of another.
   */
  LogPoint beginPoint() {
    return beginPoint;
  }

  void beginPoint(LogPoint point) {
    beginPoint = point;
  }

  /**
   * Returns the oldest moment for which the log still tells what this volume was, or null; any
   * thread, approximately. Where there are other members the log of this node does not tell: what
   * it holds may have been replaced.
   */
  public LogPoint restorableFrom() {
    if (!group.isAlone()) {
      return null;
    }
    long kept = store.deadSegments().keptFrom();
    LogPoint oldest = beginPoint.index() > 0 && beginPoint.segment() >= kept ? beginPoint : null;
    for (SnapshotVolume snapshot : snapshots) {
      LogPoint point = snapshot.point();
      if (point.segment() >= kept && (oldest == null || point.batch() < oldest.batch())) {
        oldest = point;
      }
    }
    return oldest;
  }

  private void addSnapshot(SnapshotVolume snapshot) {
    List<SnapshotVolume> changed = new ArrayList<>(snapshots);
    changed.add(snapshot);
    snapshots = List.copyOf(changed);
    store.countSnapshots(1);
  }

  /** Applies a command of a group with several members; returns whether it makes sense there. */
  boolean applyReplicated(VolumeCommand command, long raftIndex) {
    if (command.kind() == VolumeCommand.Kind.CLONE) {
      return false;
    }
    if (command.kind() == VolumeCommand.Kind.ROLLBACK) {
      group.contentReplaced(raftIndex);
      disconnect();
    }
    if (command.kind() == VolumeCommand.Kind.VERIFY) {
      store.verifies().freeze(group, raftIndex);
    }
    applyCommand(command, raftIndex);
    return true;
  }

  private void applyCommand(VolumeCommand command, long raftIndex) {
    switch (command.kind()) {
      case SNAPSHOT ->
          addSnapshot(
              new SnapshotVolume(
                  this,
                  command.name(),
                  sizeBytes,
                  command.number(),
                  index.snapshot(),
                  store.point(raftIndex)));
      case DELETE_SNAPSHOT -> {
        SnapshotVolume snapshot = snapshot(command.name());
        if (snapshot != null) {
          List<SnapshotVolume> changed = new ArrayList<>(snapshots);
          changed.remove(snapshot);
          snapshots = List.copyOf(changed);
          store.countSnapshots(-1);
          snapshot.close();
        }
      }
      case ROLLBACK -> {
        SnapshotVolume snapshot = snapshot(command.name());
        if (snapshot != null) {
          index.replaceBy(snapshot.index());
          sizeBytes = snapshot.sizeBytes();
        }
      }
      case RESIZE -> resize(command.number(), raftIndex);
      case CLONE -> {
        IndexedVolume source = store.source(command);
        if (source != null) {
          index.replaceBy(source.index());
          sizeBytes = source.sizeBytes();
        }
      }
      case CREATE -> beginPoint = store.point(raftIndex);
      case VERIFY -> {}
    }
  }

  private void resize(long newBytes, long raftIndex) {
    index.resize((newBytes + BLOCK - 1) / BLOCK, raftIndex);
    sizeBytes = newBytes;
  }

  /** Brings what {@link #isMappedBeyond} and a resize look at. */
  int bringForSize(long bytes) {
    long first = (bytes + BLOCK - 1) / BLOCK;
    return index.bringEdges(first, Math.max(0, index.blocks() - first));
  }

  /**
   * Returns whether anything beyond a size is mapped; on the core, asked by who judges a resize:
   * the pages of the index are in memory then.
   */
  public boolean isMappedBeyond(long bytes) {
    long first = (bytes + BLOCK - 1) / BLOCK;
    return first < index.blocks() && index.anyMapped(first, index.blocks() - first);
  }

  /** Begins a command; false when it must be tried again when told. */
  boolean begin(VolumeRequest request) {
    request.volume = this;
    // Whoever looks for begun requests that touch its blocks must wait for this one.
    request.offset = 0;
    request.length = Long.MAX_VALUE / 2;
    request.unmapCount = 0;
    request.pieceCount = 0;
    if (!group.isAlone()) {
      // A source is in another group, whose entries other members apply sooner or later than here.
      boolean isClone = request.command.kind() == VolumeCommand.Kind.CLONE;
      int admission = isClone ? Status.ENOTSUP : group.admission();
      if (admission != Status.OK && admission != Status.EAGAIN) {
        store.complete(request, admission);
        return true;
      }
      if (admission == Status.EAGAIN) {
        return store.later();
      }
    }
    if (group.isHeld() || store.isHoldingBack()) {
      return store.later();
    }
    LogVolume origin = null;
    if (request.command.kind() == VolumeCommand.Kind.CLONE) {
      origin = store.volume((int) request.command.number());
      if (store.source(request.command) == null) {
        // Deleted while this waited for room in the log.
        store.complete(request, Status.ENOENT);
        return true;
      }
      if (!origin.group.isAlone()) {
        store.complete(request, Status.ENOTSUP);
        return true;
      }
      // What the log has of the source before this is part of the clone, and nothing else.
      if (origin.group.isHeld() || !store.isApplied(origin)) {
        return store.later();
      }
    }
    byte[] bytes = request.command.encode();
    long proposed = group.propose(RecordHeader.COMMAND, 0, 0, bytes.length);
    if (proposed <= 0) {
      return refused(request, proposed);
    }
    store.journal().command(bytes);
    group.addBegun(request, proposed);
    // Applied before anything that follows is judged: a write to what is cut off, or a clone of
    // what is deleted, would be in the log behind the command, and replay could not make sense of
    // it.
    group.holdFor(request);
    if (origin != null) {
      origin.group.holdFor(request);
    }
    store.settle();
    return true;
  }

  /** Forgets all content. */
  void clear() {
    dropSnapshots();
    index.clear();
  }

  /**
   * Becomes what another member was at an entry.
   *
   * @param trees the snapshots, the oldest first, and then the volume; taken over
   * @return the trees that it was before, to be given up when nothing needs them any more
   */
  List<BlockIndex> replaceContent(List<VolumeTree> trees, long raftIndex) {
    List<BlockIndex> before = new ArrayList<>();
    List<SnapshotVolume> unused = new ArrayList<>(snapshots);
    List<SnapshotVolume> changed = new ArrayList<>();
    for (VolumeTree tree : trees.subList(0, trees.size() - 1)) {
      SnapshotVolume same = snapshot(tree.name());
      boolean isSame =
          same != null
              && same.sizeBytes() == tree.sizeBytes()
              && same.createdMs() == tree.createdMs()
              && same.index().state().equals(tree.index().state());
      if (isSame && unused.remove(same)) {
        // Who reads it goes on.
        changed.add(same);
        tree.index().clear();
      } else {
        changed.add(
            new SnapshotVolume(
                this,
                tree.name(),
                tree.sizeBytes(),
                tree.createdMs(),
                tree.index(),
                store.point(raftIndex)));
      }
    }
    store.countSnapshots(changed.size() - snapshots.size());
    snapshots = List.copyOf(changed);
    for (SnapshotVolume snapshot : unused) {
      before.add(snapshot.index().snapshot());
      snapshot.close();
    }
    VolumeTree live = trees.getLast();
    before.add(index.snapshot());
    index.replaceBy(live.index());
    live.index().clear();
    sizeBytes = live.sizeBytes();
    return before;
  }

  private void dropSnapshots() {
    snapshots.forEach(SnapshotVolume::close);
    store.countSnapshots(-snapshots.size());
    snapshots = List.of();
  }

  @Override
  void close() {
    dropSnapshots();
    super.close();
  }

  /** Puts a committed request's effect into the index. */
  void apply(VolumeRequest request) {
    if (isClosed()) {
      return;
    }
    if (request.command != null) {
      applyCommand(request.command, request.groupIndex);
      return;
    }
    if (request.unmapCount > 0) {
      index.unmap(request.unmapFirst, request.unmapCount, request.noHole, request.groupIndex);
    }
    for (int piece = 0; piece < request.pieceCount; piece++) {
      long first = request.pieceFirst[piece];
      long place = request.piecePlace[piece];
      long checksums = request.pieceChecksums[piece];
      int count = request.pieceBlocks[piece];
      for (int i = 0; i < count; i++) {
        index.put(first + i, place + i, UnsafeApi.getInt(checksums + 4L * i), request.groupIndex);
      }
    }
  }

  boolean flush(VolumeRequest request) {
    if (group.isAlone()) {
      group.flush(request);
    } else {
      group.ask(request);
    }
    return true;
  }

  boolean write(VolumeRequest request, boolean zeroes) {
    long first = request.offset / BLOCK;
    long end = request.offset + request.length;
    long last = (end - 1) / BLOCK;
    int head = (int) (request.offset % BLOCK);
    // The end of a volume whose size is no multiple of a block counts as whole.
    int tail = end == sizeBytes ? 0 : (int) (end % BLOCK);
    boolean mergeHead = head != 0 || (first == last && tail != 0);
    boolean mergeTail = tail != 0 && last != first;
    int pages = bringForWrite(first, last, mergeHead, mergeTail);
    if (pages != Status.OK) {
      return withoutPages(request, pages);
    }
    if ((mergeHead || mergeTail) && !store.isApplied(this, first, last)) {
      return false;
    }
    long headBase = mergeHead ? base(first) : 0;
    long tailBase = mergeTail ? base(last) : 0;
    // A failure first: it is told once, and asked for again the block would be read again.
    if (headBase == MergeBlocks.FAILED || tailBase == MergeBlocks.FAILED) {
      store.complete(request, Status.EIO);
      return true;
    }
    if ((mergeHead && headBase == MergeBlocks.PENDING)
        || (mergeTail && tailBase == MergeBlocks.PENDING)) {
      return false;
    }
    Journal journal = store.journal();
    int count = (int) (last - first + 1);
    int room = store.judgeRoom(count);
    if (room == Status.EAGAIN) {
      return false;
    }
    if (room != Status.OK) {
      store.complete(request, room);
      return true;
    }
    if (!store.pace().admit(count)) {
      return false;
    }
    if (group.isAlone()) {
      // It is applied in this duty cycle.
      index.touch(first);
    }
    long proposed = group.propose(RecordHeader.WRITE, 0, first, count);
    if (proposed <= 0) {
      return refused(request, proposed);
    }
    long target = journal.payloadAddress();
    if (mergeHead) {
      NativeMemory.copy(headBase, target, BLOCK);
    }
    if (mergeTail) {
      NativeMemory.copy(tailBase, target + (long) (count - 1) * BLOCK, BLOCK);
    }
    if (zeroes) {
      NativeMemory.zero(target + head, request.length);
    } else {
      copyPayload(request, target + head);
    }
    NativeMemory.zero(target + head + request.length, tail == 0 ? -end & (BLOCK - 1) : 0);
    addPiece(request, first, count);
    request.unmapCount = 0;
    group.addBegun(request, proposed);
    return true;
  }

  /**
   * Brings what a write looks at and, without other members, changes when it is committed: with
   * others it is applied later, and that brings what it needs.
   */
  private int bringForWrite(long first, long last, boolean mergeHead, boolean mergeTail) {
    if (group.isAlone()) {
      return index.bring(first, last);
    }
    int head = mergeHead ? index.bring(first, first) : Status.OK;
    return mergeTail ? IndexSpace.worse(head, index.bring(last, last)) : head;
  }

  /** Notes the WRITE just begun as a piece of the request's effect. */
  private void addPiece(VolumeRequest request, long first, int count) {
    addPiece(request, 0, first, count);
    request.pieceCount = 1;
  }

  void addPiece(VolumeRequest request, int piece, long first, int count) {
    Journal journal = store.journal();
    for (int i = 0; i < count; i++) {
      journal.checksum(i);
    }
    request.pieceFirst[piece] = first;
    request.pieceBlocks[piece] = count;
    request.piecePlace[piece] = journal.payloadPlace();
    request.pieceChecksums[piece] = journal.checksumAddress();
  }

  private static void copyPayload(VolumeRequest request, long target) {
    long to = target;
    IoVector payload = request.payload;
    for (int i = 0; i < payload.count(); i++) {
      NativeMemory.copy(payload.address(i), to, payload.length(i));
      to += payload.length(i);
    }
  }

  /** Returns whether the request is done with: completed with an error, or to be tried again. */
  boolean refused(VolumeRequest request, long proposed) {
    if (proposed == Replica.NOT_LEADER && !group.isStopped()) {
      // The lead was lost in this duty cycle, and nothing has been proposed.
      store.complete(request, Status.EREMOTE);
      return true;
    }
    if (proposed != Replica.NO_ROOM && !group.isStopped()) {
      // Others wait for their commits, or the lead is being handed over.
      return store.later();
    }
    int refusal = store.journal().refusal();
    if (group.isStopped()) {
      refusal = group.isAlone() ? Status.EIO : Status.EREMOTE;
    }
    if (refusal == Status.EAGAIN) {
      return false;
    }
    store.complete(request, refusal);
    return true;
  }

  /**
   * Returns the address of what a block holds now, for a write of a part of it; valid in this call
   * only. {@link MergeBlocks#PENDING} when it has to be read first, {@link MergeBlocks#FAILED} when
   * it can't be.
   */
  long base(long block) {
    long place = index.place(block);
    if (place == IndexSpace.UNMAPPED || place == IndexSpace.ALLOCATED_ZERO) {
      return ZeroBlock.ADDRESS;
    }
    Journal journal = store.journal();
    if (store.mends().isMending(place)) {
      return MergeBlocks.PENDING;
    }
    long address = journal.residentAddress(place);
    if (address == 0) {
      return store.merges().find(this, block, place);
    }
    if (!journal.isResidentGood(place, address, index.checksum(block))) {
      String what = "does not match its checksum";
      int status = store.reads().damaged(this, block, place, index.checksum(block), what);
      return status == Status.EAGAIN ? MergeBlocks.PENDING : MergeBlocks.FAILED;
    }
    return address;
  }
}
