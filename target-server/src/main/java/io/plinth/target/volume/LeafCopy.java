package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.wire.ResyncFrame;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.Arrays;

/**
 * Makes one leaf of a tree what the leader says that it is. Blocks with the same checksum on both
 * sides are the same only if a SHA-256 over all of them says so too, which both sides read them
 * for; else all of them are transferred.
 */
final class LeafCopy {
  private static final int BLOCK = Volume.BLOCK_BYTES;
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;

  /** Questions for blocks that may be on their way: 128 KiB. */
  private static final int MOST_ASKED = 4;

  /** Old place of a block that was never anywhere else in this log: no entry has it. */
  private static final long NOWHERE = -1;

  private enum Phase {
    MAP,
    AWAIT_MAP,
    COMPARE,
    OWN,
    READ_OWN,
    CHECK,
    AWAIT_CHECK,
    FETCH,
    DONE
  }

  private final Resyncs resyncs;
  private final VolumeStore store;
  private final VolumeGroup group;
  private final BlockGather gather;
  private final LeafMap map = new LeafMap();
  private final MessageDigest sha = Resyncs.sha256();
  private final byte[] check = new byte[ResyncStep.DIGEST_BYTES + ResyncStep.BITMAP_BYTES];
  private final byte[] digest = new byte[ResyncStep.DIGEST_BYTES];
  private final byte[] block = new byte[BLOCK];
  private final short[] wanted = new short[LEAF_BLOCKS];
  private final short[] own = new short[BlockGather.BLOCKS];
  private final NativeMemory arrived =
      NativeMemory.reserve((long) MOST_ASKED * ResyncStep.MOST_BLOCKS * BLOCK);
  private final boolean[] isArrived = new boolean[MOST_ASKED];
  private Phase phase = Phase.DONE;
  private BlockIndex index;
  private long session;
  private int leader;
  private int tree;
  private long leaf;
  private long stamp;
  private long ownStamp;
  private boolean changed;
  private int comparedTo;
  private int equalCount;

  /** Of {@link #wanted}: how many there are, were asked for, and are in the tree. */
  private int wantedCount;

  private int askedCount;
  private int writtenCount;
  private long compared;
  private long transferred;
  private String problem;

  LeafCopy(Resyncs resyncs, VolumeStore store, VolumeGroup group) {
    this.resyncs = resyncs;
    this.store = store;
    this.group = group;
    this.gather = new BlockGather(store);
  }

  long compared() {
    return compared;
  }

  long transferred() {
    return transferred;
  }

  /** Returns why the leaf can't be made, or null. */
  String problem() {
    return problem;
  }

  boolean isDone() {
    return phase == Phase.DONE;
  }

  /** Returns whether nothing can be done before the leader answers. */
  boolean isAwaiting() {
    int slot = writtenCount / ResyncStep.MOST_BLOCKS % MOST_ASKED;
    return phase == Phase.AWAIT_MAP
        || phase == Phase.AWAIT_CHECK
        || (phase == Phase.FETCH && askedCount > writtenCount && !isArrived[slot]);
  }

  /**
   * Begins with a leaf.
   *
   * @param ofOwnStamp of the leaf as it is here
   */
  void begin(
      BlockIndex ofIndex, long ofSession, int ofLeader, int ofTree, long ofLeaf, long ofOwnStamp) {
    ownStamp = ofOwnStamp;
    index = ofIndex;
    session = ofSession;
    leader = ofLeader;
    tree = ofTree;
    leaf = ofLeaf;
    problem = null;
    changed = false;
    comparedTo = 0;
    equalCount = 0;
    wantedCount = 0;
    askedCount = 0;
    writtenCount = 0;
    Arrays.fill(isArrived, false);
    Arrays.fill(check, (byte) 0);
    phase = Phase.MAP;
  }

  private long firstBlock() {
    return leaf * LEAF_BLOCKS;
  }

  private int blocks() {
    return (int) Math.min(LEAF_BLOCKS, index.blocks() - firstBlock());
  }

  // What the leader answers.

  /** Takes an answer about this leaf; false when it makes no sense. */
  boolean onFrame(ResyncFrame frame) {
    switch (frame.kind()) {
      case ResyncStep.MAP_IS -> {
        if (phase == Phase.AWAIT_MAP) {
          stamp = frame.a();
          phase = Phase.COMPARE;
          return map.decode(frame.body(), frame.bytes());
        }
      }
      case ResyncStep.CHECKED -> {
        if (phase == Phase.AWAIT_CHECK) {
          onChecked(frame.a() == 1);
        }
      }
      case ResyncStep.BLOCKS -> {
        return phase != Phase.FETCH || onBlocks(frame);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private void onChecked(boolean same) {
    for (int i = 0; i < LEAF_BLOCKS && !same; i++) {
      if (isEqual(i)) {
        wanted[wantedCount++] = (short) i;
      }
    }
    phase = Phase.FETCH;
  }

  private boolean onBlocks(ResyncFrame frame) {
    int from = (int) frame.b();
    int slot = from / ResyncStep.MOST_BLOCKS % MOST_ASKED;
    boolean isAsked =
        from >= writtenCount && from < askedCount && from % ResyncStep.MOST_BLOCKS == 0;
    int count = isAsked ? Math.min(ResyncStep.MOST_BLOCKS, wantedCount - from) : 0;
    if (!isAsked || frame.bytes() != count * BLOCK) {
      return false;
    }
    if (frame.a() != (1L << count) - 1) {
      int bad = Long.numberOfTrailingZeros(~frame.a());
      problem = "block " + (firstBlock() + wanted[from + bad]) + " is damaged on node " + leader;
      return true;
    }
    NativeMemory.copy(frame.body().addressOffset(), address(slot), (long) count * BLOCK);
    isArrived[slot] = true;
    return true;
  }

  private long address(int slot) {
    return arrived.address() + (long) slot * ResyncStep.MOST_BLOCKS * BLOCK;
  }

  // What is done in a duty cycle.

  /** Does a bounded amount; returns how much. */
  int work() {
    return switch (phase) {
      case MAP -> askForMap();
      case COMPARE -> compare();
      case OWN -> gatherOwn();
      case READ_OWN -> readOwn();
      case CHECK -> askForCheck();
      case FETCH -> fetch();
      case AWAIT_MAP, AWAIT_CHECK, DONE -> 0;
    };
  }

  private ResyncFrame frame(int kind) {
    return resyncs.begin(kind, session).bytes(0).tree(tree).leaf(leaf);
  }

  private int askForMap() {
    if (!resyncs.send(group, leader, frame(ResyncStep.MAP))) {
      return 0;
    }
    phase = Phase.AWAIT_MAP;
    return 1;
  }

  /** Returns whether the leaf is in memory, or there is none. */
  private boolean isHere() {
    int status = index.bring(firstBlock(), firstBlock() + blocks() - 1);
    if (status == Status.EIO) {
      problem = "a page of this node's index can't be read";
    }
    return status == Status.OK;
  }

  private int compare() {
    if (!isHere()) {
      return 0;
    }
    for (int i = 0; i < blocks(); i++) {
      long number = firstBlock() + i;
      long place = index.place(number);
      int state = LeafMap.state(place);
      if (map.states[i] == LeafMap.DATA) {
        if (state == LeafMap.DATA && index.checksum(number) == map.checksums[i]) {
          check[ResyncStep.DIGEST_BYTES + i / Byte.SIZE] |= (byte) (1 << i % Byte.SIZE);
          equalCount++;
        } else {
          wanted[wantedCount++] = (short) i;
        }
      } else if (state != map.states[i]) {
        index.unmap(number, 1, map.states[i] == LeafMap.ZERO, partStamp());
        changed = true;
      }
    }
    sha.reset();
    boolean trusts = store.isPlanted(PlantedBug.RESYNC_TRUSTS_CHECKSUMS);
    phase = equalCount > 0 && !trusts ? Phase.OWN : Phase.FETCH;
    return 1;
  }

  /**
   * Returns the stamp of a leaf that is not complete: of no entry, as the session may end now, and
   * the next one goes on with what there is.
   */
  private long partStamp() {
    return store.isPlanted(PlantedBug.RESYNC_STAMPS_EARLY) ? stamp : ResyncTarget.NO_ENTRY;
  }

  private boolean isEqual(int i) {
    return (check[ResyncStep.DIGEST_BYTES + i / Byte.SIZE] >> (i % Byte.SIZE) & 1) != 0;
  }

  private int gatherOwn() {
    // What an earlier session has begun to read may still be on its way.
    if (!gather.isIdle() || !isHere()) {
      return 0;
    }
    gather.begin();
    for (; comparedTo < LEAF_BLOCKS && gather.count() < BlockGather.BLOCKS; comparedTo++) {
      if (isEqual(comparedTo)) {
        own[gather.count()] = (short) comparedTo;
        long number = firstBlock() + comparedTo;
        gather.add(index.place(number), index.checksum(number));
      }
    }
    phase = Phase.READ_OWN;
    return 1;
  }

  private int readOwn() {
    if (!gather.isRead()) {
      return 0;
    }
    for (int i = 0; i < gather.count(); i++) {
      int offset = own[i];
      if (gather.isGood(i)) {
        gather.copy(i, block);
        sha.update(block);
        compared++;
      } else {
        // Damaged here: the leader's takes its place.
        check[ResyncStep.DIGEST_BYTES + offset / Byte.SIZE] &= (byte) ~(1 << offset % Byte.SIZE);
        wanted[wantedCount++] = (short) offset;
        equalCount--;
      }
    }
    if (comparedTo < LEAF_BLOCKS) {
      phase = Phase.OWN;
    } else {
      Resyncs.digest(sha, digest);
      System.arraycopy(digest, 0, check, 0, digest.length);
      phase = equalCount > 0 ? Phase.CHECK : Phase.FETCH;
    }
    return 1;
  }

  private int askForCheck() {
    ResyncFrame frame = frame(ResyncStep.CHECK).bytes(check.length).tree(tree).leaf(leaf);
    frame.body().putBytes(0, check);
    if (!resyncs.send(group, leader, frame)) {
      return 0;
    }
    phase = Phase.AWAIT_CHECK;
    return 1;
  }

  /** Asks for what is wanted, and writes what has come, in this order. */
  private int fetch() {
    int done = 0;
    while (askedCount < wantedCount
        && askedCount - writtenCount < MOST_ASKED * ResyncStep.MOST_BLOCKS
        && askForBlocks()) {
      done++;
    }
    int slot = writtenCount / ResyncStep.MOST_BLOCKS % MOST_ASKED;
    if (isArrived[slot] && writtenCount < askedCount && isHere() && write(slot)) {
      isArrived[slot] = false;
      done++;
    }
    if (writtenCount == wantedCount) {
      if ((changed || ownStamp != stamp) && index.hasLeaf(firstBlock())) {
        // As new as the leader's, as it is the same now: this node may be asked about it later.
        boolean keeps = store.isPlanted(PlantedBug.RESYNC_KEEPS_STAMPS);
        index.stamp(firstBlock(), keeps ? ownStamp : stamp);
      }
      phase = Phase.DONE;
      done++;
    }
    return done;
  }

  private boolean askForBlocks() {
    int count = Math.min(ResyncStep.MOST_BLOCKS, wantedCount - askedCount);
    ResyncFrame frame = frame(ResyncStep.GET).bytes(2 * count).tree(tree).leaf(leaf).b(askedCount);
    for (int i = 0; i < count; i++) {
      frame.body().putShort(2 * i, wanted[askedCount + i], ByteOrder.LITTLE_ENDIAN);
    }
    boolean sent = resyncs.send(group, leader, frame);
    askedCount += sent ? count : 0;
    return sent;
  }

  private boolean write(int slot) {
    int count = Math.min(ResyncStep.MOST_BLOCKS, wantedCount - writtenCount);
    Journal journal = store.journal();
    int room = store.judgeRoom(count);
    if (room == Status.ENOSPC) {
      problem = "the log of this node has no room for what it lacks, beside what it has";
      return false;
    }
    // The cleaner, checkpoints and commands must always have what is left to them.
    boolean mayWrite =
        room == Status.OK && journal.availableSegments() > journal.reservedSegments();
    if (!mayWrite || !journal.beginLocal(RecordHeader.RELOCATE, 0, index.family(), count)) {
      return false;
    }
    NativeMemory.copy(address(slot), journal.payloadAddress(), (long) count * BLOCK);
    long place = journal.payloadPlace();
    for (int i = 0; i < count; i++) {
      int offset = wanted[writtenCount + i];
      long number = firstBlock() + offset;
      journal.blockAndPlace(i, number, NOWHERE);
      if (journal.checksum(i) != map.checksums[offset]) {
        problem = "block " + number + " of node " + leader + " does not match its checksum";
      }
    }
    if (problem != null) {
      return false;
    }
    for (int i = 0; i < count; i++) {
      int offset = wanted[writtenCount + i];
      index.put(firstBlock() + offset, place + i, map.checksums[offset], partStamp());
    }
    changed = true;
    writtenCount += count;
    transferred += count;
    return true;
  }

  /** Forgets the leaf that is being made. */
  void abandon() {
    gather.abandon();
    phase = Phase.DONE;
    problem = null;
  }

  void close() {
    gather.close();
    arrived.close();
  }
}
