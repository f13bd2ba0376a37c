package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.ResyncFrame;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings a replica up to date that lacks entries which are kept no more: asks the leader for the
 * volume and its snapshots as they were at one entry, makes trees of them beside what there is, and
 * when it has all of them becomes that at once.
 *
 * <pre>
 *   ASK -> TREE -> LEAVES -> (LEAF -> MAP -> ...{@link LeafCopy})* -> ... -> SWITCH -> CHECKPOINT -> BEGUN
 * </pre>
 *
 * <p>Nothing of that is in the log but the blocks, which nothing refers to after a crash; the new
 * state begins to exist with the checkpoint that ends the work, and only then does the replica take
 * part again, with a log that begins behind that entry. If the node dies before, it has what it
 * had. What it had is kept until then, as the log may be replayed into it.
 */
final class ResyncTarget {
  private static final Logger LOG = LoggerFactory.getLogger(ResyncTarget.class);
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;

  /** Whoever leads is asked. */
  static final int ANYBODY = -1;

  private static final long ASK_NS = TimeUnit.MILLISECONDS.toNanos(300);

  /** Who does not answer for so long is given up. */
  private static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(5);

  private static final long PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(500);

  /** While clients want much of the core, it is one step in so long. */
  private static final long BUSY_NS = TimeUnit.MILLISECONDS.toNanos(1);

  /** So many leaves that the leader does not have are taken away in a duty cycle. */
  private static final int GAP_LEAVES = 64;

  private static final int PLANTED_LEAVES = 3;

  /**
   * Stamp of a leaf that this session has changed and not compared: it is as of no entry, and no
   * stamp of the leader may be taken for the same.
   */
  static final long NO_ENTRY = 0;

  private enum Phase {
    PAUSE,
    ASK,
    TREE,
    AWAIT_TREE,
    SIZE,
    LEAVES,
    AWAIT_LEAVES,
    LEAF,
    COPY,
    SWITCH,
    CHECKPOINT,
    BEGUN,
    OVER
  }

  private final Resyncs resyncs;
  private final VolumeStore store;
  private final VolumeGroup group;
  private final LogVolume volume;
  private final int asked;
  private final LeafCopy copy;

  /** Those that are complete, and the one that is being made. */
  private final List<VolumeTree> trees = new ArrayList<>();

  private final long[] leaves = new long[ResyncStep.MOST_LEAVES];
  private final long[] stamps = new long[ResyncStep.MOST_LEAVES];
  private Phase phase = Phase.ASK;
  private Replica replica;
  private boolean stopped;
  private boolean trustsStamps;
  private int leader = ANYBODY;
  private long session;
  private GroupState state;
  private int treeCount;
  private long treeBlocks;
  private boolean sharesNew;

  /** What was had of an earlier session, or null; taken from as trees are begun. */
  private ResyncParts parts;

  /** Leaves of the tree before this one are as the leader has them. */
  private long leaf;

  private int listed;
  private int listPosition;
  private long listNext;
  private long leavesTold;

  private long phaseNs;
  private long heardNs;
  private long workedNs;
  private long beganNs;
  private String problem = "";
  private boolean completed;
  private boolean closed;

  ResyncTarget(Resyncs resyncs, VolumeStore store, VolumeGroup group, int asked) {
    this.resyncs = resyncs;
    this.store = store;
    this.group = group;
    this.volume = group.volume();
    this.asked = asked;
    this.copy = new LeafCopy(resyncs, store, group);
    this.beganNs = store.core().clock().nowNs();
    this.heardNs = beganNs;
  }

  VolumeGroup group() {
    return group;
  }

  boolean isOver() {
    return phase == Phase.OVER;
  }

  boolean hasCompleted() {
    return completed;
  }

  /** Returns how far it is, for a person. */
  String describe() {
    if (leader == ANYBODY) {
      return "lacks entries that are kept no more, and asks the leader for what it lacks"
          + (problem.isEmpty() ? "" : "; the last attempt: " + problem);
    }
    if (phase.compareTo(Phase.SWITCH) >= 0) {
      return "has been brought up to date from node " + leader + ", and is about to take part";
    }
    return String.format(
        Locale.ROOT,
        "is being brought up to date from node %d: %s %d of %d, %d of %d MiB, %d blocks transferred",
        leader,
        trees.size() < treeCount ? "snapshot" : "volume",
        Math.max(1, trees.size()),
        Math.max(1, treeCount),
        mebibytes(leaf * LEAF_BLOCKS),
        mebibytes(treeBlocks),
        copy.transferred());
  }

  private static long mebibytes(long blocks) {
    return (blocks * Volume.BLOCK_BYTES) >> 20;
  }

  // What the leader says.

  void onFrame(int node, ResyncFrame frame, long nowNs) {
    boolean mine = frame.session() == session && (leader == ANYBODY || leader == node);
    if (!mine || phase == Phase.PAUSE || phase.compareTo(Phase.SWITCH) >= 0) {
      return;
    }
    heardNs = nowNs;
    switch (frame.kind()) {
      case ResyncStep.STATE -> onState(node, frame);
      case ResyncStep.TREE_IS -> onTree(frame);
      case ResyncStep.LEAVES_ARE -> onLeaves(frame);
      case ResyncStep.END ->
          fail(frame.body().getStringWithoutLengthAscii(0, Math.min(200, frame.bytes())));
      default -> {
        boolean expected =
            phase == Phase.COPY && frame.tree() == trees.size() - 1 && frame.leaf() == leaf;
        if (expected && !copy.onFrame(frame)) {
          fail("what the leader has said makes no sense");
        }
      }
    }
  }

  private void onState(int node, ResyncFrame frame) {
    if (phase != Phase.ASK) {
      return;
    }
    byte[] bytes = new byte[frame.bytes()];
    frame.body().getBytes(0, bytes);
    try {
      state = GroupState.decode(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      fail("the leader's state of the group makes no sense");
      return;
    }
    leader = node;
    treeCount = frame.tree();
    replica = group.replica();
    stopped = replica.isStopped();
    // Where entries were lost by the group, the same number names different ones.
    trustsStamps = !stopped && replica.epoch() == state.epoch();
    parts = resyncs.takeParts(group);
    if (parts != null) {
      trustsStamps &= parts.trustsStamps() && parts.epoch() == state.epoch();
    }
    if (!isAsBegun() || treeCount < 1) {
      fail("the lead has changed");
      return;
    }
    LOG.info(
        "volume {} (group {}): it is brought up to date from node {}, as of entry {}: {} snapshots{}",
        volume.name(),
        group.id(),
        leader,
        state.index(),
        treeCount - 1,
        stopped ? "; its replica had stopped" : "");
    next(Phase.TREE);
  }

  /** Returns whether what the session relies on is still so. */
  private boolean isAsBegun() {
    // Who has stopped acknowledges nothing meanwhile, and leads nobody.
    boolean follows =
        replica.isRunning()
            && !replica.leads()
            && replica.leader() == leader
            && replica.term() == state.term();
    return group.replica().equals(replica) && (stopped ? replica.isStopped() : follows);
  }

  private void onTree(ResyncFrame frame) {
    if (phase != Phase.AWAIT_TREE || frame.tree() != trees.size()) {
      return;
    }
    String name = "";
    long createdMs = 0;
    if (frame.bytes() > 0) {
      byte[] bytes = new byte[frame.bytes()];
      frame.body().getBytes(0, bytes);
      try {
        VolumeCommand command = VolumeCommand.decode(bytes);
        name = command.name();
        createdMs = command.number();
      } catch (IllegalArgumentException e) {
        fail("a snapshot of the leader makes no sense");
        return;
      }
    }
    treeBlocks = frame.b();
    long needed = (frame.a() + Volume.BLOCK_BYTES - 1) / Volume.BLOCK_BYTES;
    if (name.isEmpty() != (trees.size() == treeCount - 1)
        || frame.a() < 0
        || needed != treeBlocks) {
      fail("a tree of the leader makes no sense");
      return;
    }
    trees.add(new VolumeTree(name, frame.a(), createdMs, base(name)));
    next(Phase.SIZE);
  }

  /** Returns a copy of the tree of this node that has most in common with one of the leader. */
  private BlockIndex base(String name) {
    BlockIndex part = parts == null ? null : parts.take(name);
    if (part != null) {
      sharesNew |= !name.isEmpty() && volume.snapshot(name) == null;
      return part;
    }
    SnapshotVolume same = name.isEmpty() ? null : volume.snapshot(name);
    if (same != null) {
      return same.index().snapshot();
    }
    if (sharesNew) {
      return trees.getLast().index().snapshot();
    }
    // What follows was made by later entries.
    sharesNew = !name.isEmpty();
    return volume.index().snapshot();
  }

  private void onLeaves(ResyncFrame frame) {
    if (phase != Phase.AWAIT_LEAVES
        || frame.tree() != trees.size() - 1
        || frame.leaf() != listNext) {
      return;
    }
    listed = frame.bytes() / 16;
    listPosition = 0;
    listNext = frame.a();
    long before = leaf - 1;
    long end = (treeBlocks + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
    for (int i = 0; i < listed && i < leaves.length; i++) {
      leaves[i] = frame.body().getLong(16 * i, ByteOrder.LITTLE_ENDIAN);
      stamps[i] = frame.body().getLong(16 * i + 8, ByteOrder.LITTLE_ENDIAN);
      if (leaves[i] <= before || leaves[i] >= end) {
        fail("leaves of the leader are not in order");
        return;
      }
      before = leaves[i];
    }
    if (listed > leaves.length || (listNext >= 0 && listNext <= frame.leaf())) {
      fail("leaves of the leader are too many");
      return;
    }
    next(Phase.LEAF);
  }

  // What is done in a duty cycle.

  /** Does a bounded amount; returns how much. */
  int work(long nowNs, boolean busy) {
    if (volume.isClosed()) {
      phase = Phase.OVER;
      return 1;
    }
    if (busy && nowNs - workedNs < BUSY_NS) {
      return 0;
    }
    workedNs = nowNs;
    boolean awaits =
        phase == Phase.AWAIT_TREE
            || phase == Phase.AWAIT_LEAVES
            || (phase == Phase.COPY && copy.isAwaiting())
            || phase == Phase.ASK;
    heardNs = awaits ? heardNs : nowNs;
    boolean inSession = leader != ANYBODY && phase.compareTo(Phase.SWITCH) < 0;
    if (inSession && !isAsBegun()) {
      fail("the lead has changed");
    } else if (inSession && nowNs - heardNs > SILENCE_NS) {
      fail("node " + leader + " does not answer");
    }
    return switch (phase) {
      case PAUSE -> pause(nowNs);
      case ASK -> ask(nowNs);
      case TREE -> say(ResyncStep.TREE, trees.size(), 0, Phase.AWAIT_TREE);
      case SIZE -> resize();
      case LEAVES -> say(ResyncStep.LEAVES, trees.size() - 1, listNext, Phase.AWAIT_LEAVES);
      case LEAF -> nextLeaf();
      case COPY -> copyLeaf();
      case SWITCH -> switchOver();
      case BEGUN -> begun();
      case AWAIT_TREE, AWAIT_LEAVES, CHECKPOINT, OVER -> 0;
    };
  }

  private void next(Phase newPhase) {
    phase = newPhase;
  }

  private int say(int kind, int tree, long from, Phase then) {
    ResyncFrame frame = resyncs.begin(kind, session).bytes(0).tree(tree).leaf(from);
    if (!resyncs.send(group, leader, frame)) {
      return 0;
    }
    next(then);
    return 1;
  }

  private int pause(long nowNs) {
    if (nowNs - phaseNs < PAUSE_NS) {
      return 0;
    }
    // Who runs is told by the leader, if it is still so.
    next(group.isStopped() ? Phase.ASK : Phase.OVER);
    heardNs = nowNs;
    phaseNs = 0;
    return 1;
  }

  private int ask(long nowNs) {
    boolean isStopped = group.isStopped();
    if (!isStopped && nowNs - heardNs > SILENCE_NS) {
      next(Phase.OVER);
      return 1;
    }
    if (nowNs - phaseNs < ASK_NS || !(isStopped || group.replica().isRunning())) {
      return 0;
    }
    phaseNs = nowNs;
    // A name of its own for each attempt: what an earlier one is answered is not about this one.
    session = nowNs;
    return sayBegin() ? 1 : 0;
  }

  /** Says how this replica stands, which begins a session or ends the need for one. */
  private boolean sayBegin() {
    Replica present = group.replica();
    boolean isStopped = present.isStopped();
    long base = isStopped ? 0 : present.baseIndex();
    ResyncFrame frame = resyncs.begin(ResyncStep.BEGIN, session).bytes(0).leaf(base);
    int flags = isStopped ? ResyncStep.STOPPED : 0;
    flags |= present.isRecovering() ? ResyncStep.RECOVERING : 0;
    ResyncFrame _ = frame.a(isStopped ? 0 : present.entryTerm(base)).b(flags);
    int target = leader == ANYBODY ? asked : leader;
    if (target != ANYBODY) {
      return resyncs.send(group, target, frame);
    }
    boolean sent = false;
    // Who has begun from nothing does not know who the members are by now.
    for (int member : present.awaitsState() ? present.peers() : present.voters()) {
      sent |= member != store.groups().self() && resyncs.send(group, member, frame);
    }
    return sent;
  }

  private int resize() {
    BlockIndex index = trees.getLast().index();
    if (index.blocks() > treeBlocks) {
      int status = index.bringEdges(treeBlocks, index.blocks() - treeBlocks);
      if (status != Status.OK) {
        return awaitPage(status);
      }
    }
    if (index.blocks() != treeBlocks) {
      index.resize(treeBlocks, NO_ENTRY);
    }
    leaf = 0;
    listNext = 0;
    next(Phase.LEAVES);
    return 1;
  }

  private int awaitPage(int status) {
    if (status != Status.EAGAIN) {
      fail("a page of this node's index can't be read");
    }
    return 0;
  }

  /** Goes on to the next leaf that the leader has; what is between is unmapped there. */
  private int nextLeaf() {
    BlockIndex index = trees.getLast().index();
    long end = (treeBlocks + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
    boolean exhausted = listPosition == listed;
    long upTo = exhausted ? (listNext < 0 ? end : listNext) : leaves[listPosition];
    if (leaf < upTo) {
      long first = leaf * LEAF_BLOCKS;
      long present = Math.min(upTo, index.nextPresentLeaf(first) / LEAF_BLOCKS);
      if (present > leaf) {
        leaf = present;
        return 1;
      }
      long count = Math.min(upTo - leaf, GAP_LEAVES);
      index.unmap(first, Math.min(count * LEAF_BLOCKS, treeBlocks - first), false, NO_ENTRY);
      leaf += count;
      return 1;
    }
    if (!exhausted) {
      return beginLeaf(index);
    }
    if (listNext >= 0) {
      next(Phase.LEAVES);
    } else {
      next(trees.size() < treeCount ? Phase.TREE : Phase.SWITCH);
    }
    return 1;
  }

  private int beginLeaf(BlockIndex index) {
    long first = leaf * LEAF_BLOCKS;
    int page = index.leafPage(first);
    int status = page == 0 ? Status.OK : store.space().bring(page);
    if (status == Status.EAGAIN) {
      return 0;
    }
    if (status != Status.OK) {
      // All of it is had from the leader then.
      index.unmap(first, Math.min(LEAF_BLOCKS, treeBlocks - first), false, NO_ENTRY);
      page = 0;
    }
    long stamp = page == 0 ? NO_ENTRY : IndexSpace.newestIndex(store.space().leafAddress(page));
    boolean missed =
        store.isPlanted(PlantedBug.RESYNC_MISSES_LEAF) && ++leavesTold % PLANTED_LEAVES == 0;
    if (missed || (trustsStamps && stamp != NO_ENTRY && stamp == stamps[listPosition])) {
      // As of the same entry it is the same.
      endLeaf();
      return 1;
    }
    copy.begin(index, session, leader, trees.size() - 1, leaf, stamp);
    next(Phase.COPY);
    return 1;
  }

  private void endLeaf() {
    leaf++;
    listPosition++;
    next(Phase.LEAF);
  }

  private int copyLeaf() {
    int done = copy.work();
    if (copy.problem() != null) {
      fail(copy.problem());
    } else if (copy.isDone()) {
      endLeaf();
    }
    return done;
  }

  /**
   * Becomes what the leader was. What this node had is kept until a checkpoint has the new state.
   */
  private int switchOver() {
    if (!isAsBegun()) {
      fail("the lead has changed");
      return 1;
    }
    GroupState begins =
        replica.resyncedTo(state.index(), state.entryTerm(), state.epoch(), state.membership());
    List<BlockIndex> before = volume.replaceContent(List.copyOf(trees), state.index());
    trees.clear();
    dropParts();
    group.restart(begins);
    resyncs.countSwitching(1);
    if (store.isPlanted(PlantedBug.RESYNC_BEGINS_EARLY)) {
      group.replica().release();
      next(Phase.BEGUN);
      return 1;
    }
    next(Phase.CHECKPOINT);
    store.checkpointer().request(status -> onCheckpoint(status, before));
    return 1;
  }

  private void onCheckpoint(int status, List<BlockIndex> before) {
    resyncs.countSwitching(-1);
    before.forEach(BlockIndex::clear);
    if (status != Status.OK || closed || volume.isClosed()) {
      next(Phase.OVER);
    } else {
      group.replica().release();
      next(Phase.BEGUN);
    }
  }

  private int begun() {
    if (group.isStopped()) {
      next(Phase.OVER);
      return 1;
    }
    if (!group.replica().isRunning()) {
      return 0;
    }
    LOG.info(
        "volume {} (group {}): it has been brought up to date from node {}, as of entry {}, in {} ms:"
            + " {} blocks compared, {} transferred",
        volume.name(),
        group.id(),
        leader,
        state.index(),
        (store.core().clock().nowNs() - beganNs) / 1_000_000,
        copy.compared(),
        copy.transferred());
    // If this is lost, the leader tells again that entries are lacking, and is told that they are
    // not.
    session = store.core().clock().nowNs();
    boolean _ = sayBegin();
    completed = true;
    next(Phase.OVER);
    return 1;
  }

  private void fail(String why) {
    if (!why.equals(problem)) {
      LOG.warn(
          "volume {} (group {}): bringing it up to date fails, and is tried again: {}",
          volume.name(),
          group.id(),
          why);
    }
    problem = why;
    leader = ANYBODY;
    keepTrees();
    phaseNs = store.core().clock().nowNs();
    next(Phase.PAUSE);
  }

  /** Keeps what was made, for the next session to go on with. */
  private void keepTrees() {
    if (!trees.isEmpty()) {
      parts = parts == null ? new ResyncParts() : parts;
      parts.keep(trees, trustsStamps, state.epoch());
      trees.clear();
    }
    if (parts != null) {
      resyncs.keepParts(group, parts);
      parts = null;
    }
    copy.abandon();
    sharesNew = false;
  }

  private void dropParts() {
    if (parts != null) {
      parts.close();
      parts = null;
    }
  }

  /** Gives up what was made. */
  void close() {
    closed = true;
    trees.forEach(tree -> tree.index().clear());
    trees.clear();
    dropParts();
    copy.close();
  }
}
