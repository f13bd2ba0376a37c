package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.GroupState;
import io.plinth.log.replication.Replica;
import io.plinth.log.wire.ResyncFrame;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The leader's side of a resync: answers what one member asks about the volume and its snapshots as
 * they were at one entry. The trees are frozen like snapshots for as long as the session lasts, so
 * what is told is exact, whatever is written meanwhile. At most one question is worked on in a duty
 * cycle, a bounded part of it; the others wait.
 */
final class ResyncSource {
  private static final int BLOCK = Volume.BLOCK_BYTES;
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;

  /** A member that asks nothing for so long is given up. */
  private static final long IDLE_NS = TimeUnit.SECONDS.toNanos(5);

  /** While clients want much of the core, it is one step in so long. */
  private static final long BUSY_NS = TimeUnit.MILLISECONDS.toNanos(1);

  private static final long PLANTED_DELAY_NS = TimeUnit.MILLISECONDS.toNanos(5);
  private static final int MAX_ASKED = 8;

  /** Of a question for blocks. */
  private enum Stage {
    GATHER,
    READ,
    SEND
  }

  /** A question that waits. */
  private static final class Asked {
    int kind;
    int tree;
    long leaf;
    long number;
    int bytes;
    final byte[] body = new byte[ResyncStep.DIGEST_BYTES + ResyncStep.BITMAP_BYTES];
  }

  private final Resyncs resyncs;
  private final VolumeStore store;
  private final VolumeGroup group;
  private final int node;
  private final long session;
  private final long term;
  private final long beganNs;
  private final List<VolumeTree> trees;
  private final GroupState state;
  private final BlockGather gather;
  private final MessageDigest sha = Resyncs.sha256();
  private final byte[] digest = new byte[ResyncStep.DIGEST_BYTES];
  private final byte[] block = new byte[BLOCK];
  private final Asked[] asked = new Asked[MAX_ASKED];
  private int first;
  private int count;
  private long heardNs;
  private long workedNs;

  // Of the question at the front.
  private Stage stage = Stage.GATHER;
  private int checkedTo;
  private boolean allGood = true;
  private boolean same;

  private boolean stateSent;

  /** Freezes what there is now; the volume's replica leads. */
  ResyncSource(
      Resyncs resyncs, VolumeStore store, VolumeGroup group, int node, long session, long nowNs) {
    this.resyncs = resyncs;
    this.store = store;
    this.group = group;
    this.node = node;
    this.session = session;
    this.heardNs = nowNs;
    this.beganNs = nowNs;
    this.term = group.replica().term();
    this.gather = new BlockGather(store);
    for (int i = 0; i < MAX_ASKED; i++) {
      asked[i] = new Asked();
    }
    trees = VolumeTree.freeze(group.volume());
    state = stateNow();
  }

  private GroupState stateNow() {
    Replica replica = group.replica();
    long index = group.appliedIndex();
    return new GroupState(
        group.id(),
        index,
        index,
        replica.entryTerm(index),
        replica.epochAt(index),
        replica.membershipAt(index),
        term,
        Replica.NO_NODE,
        false,
        false,
        0);
  }

  VolumeGroup group() {
    return group;
  }

  int node() {
    return node;
  }

  boolean isOf(VolumeGroup ofGroup, int ofNode) {
    return group.equals(ofGroup) && node == ofNode;
  }

  /** Returns whether the session is over: nobody asks, or this node does not lead any more. */
  boolean isOver(long nowNs) {
    boolean leads = group.leads() && group.replica().term() == term;
    return nowNs - heardNs > IDLE_NS || group.volume().isClosed() || !leads;
  }

  void onFrame(ResyncFrame frame, long nowNs) {
    if (frame.session() != session) {
      return;
    }
    heardNs = nowNs;
    Asked next = asked[(first + count) % MAX_ASKED];
    boolean possible =
        frame.tree() >= 0
            && frame.tree() < trees.size()
            && frame.leaf() >= 0
            && frame.bytes() <= next.body.length;
    if (!possible || count == MAX_ASKED) {
      // What is not answered ends the session of who has asked.
      return;
    }
    next.kind = frame.kind();
    next.tree = frame.tree();
    next.leaf = frame.leaf();
    next.number = frame.b();
    next.bytes = frame.bytes();
    frame.body().getBytes(0, next.body, 0, next.bytes);
    count++;
  }

  /** Answers a bounded part of what was asked; returns how much was done. */
  int work(long nowNs, boolean busy) {
    if (busy && nowNs - workedNs < BUSY_NS) {
      return 0;
    }
    workedNs = nowNs;
    if (!stateSent) {
      stateSent = sendState(nowNs);
      return stateSent ? 1 : 0;
    }
    return count > 0 && answer(asked[first]) ? 1 : 0;
  }

  private boolean sendState(long nowNs) {
    GroupState told = state;
    if (store.isPlanted(PlantedBug.RESYNC_BASE_TOO_NEW)) {
      if (nowNs - beganNs < PLANTED_DELAY_NS) {
        return false;
      }
      told = stateNow();
    }
    ByteBuffer bytes = ByteBuffer.allocate(told.encodedBytes()).order(ByteOrder.LITTLE_ENDIAN);
    told.encode(bytes);
    bytes.flip();
    ResyncFrame out = resyncs.begin(ResyncStep.STATE, session).tree(trees.size());
    out.body().putBytes(0, bytes, bytes.limit());
    return send(out.bytes(bytes.limit()));
  }

  private boolean send(ResyncFrame out) {
    return resyncs.send(group, node, out);
  }

  /** Returns whether anything was done: the question is answered, or a part of the way gone. */
  private boolean answer(Asked question) {
    boolean done =
        switch (question.kind) {
          case ResyncStep.TREE -> sendTree(question.tree);
          case ResyncStep.LEAVES -> sendLeaves(question.tree, question.leaf);
          case ResyncStep.MAP -> sendMap(question.tree, question.leaf);
          case ResyncStep.CHECK -> check(question);
          case ResyncStep.GET -> sendBlocks(question);
          default -> true;
        };
    if (done) {
      stage = Stage.GATHER;
      checkedTo = 0;
      allGood = true;
      sha.reset();
      first = (first + 1) % MAX_ASKED;
      count--;
    }
    return done;
  }

  private boolean sendTree(int number) {
    VolumeTree tree = trees.get(number);
    byte[] bytes =
        tree.name().isEmpty()
            ? new byte[0]
            : VolumeCommand.snapshot(tree.name(), tree.createdMs()).encode();
    ResyncFrame out = resyncs.begin(ResyncStep.TREE_IS, session);
    out.body().putBytes(0, bytes);
    return send(out.bytes(bytes.length).tree(number).a(tree.sizeBytes()).b(tree.index().blocks()));
  }

  private boolean sendLeaves(int number, long from) {
    BlockIndex index = trees.get(number).index();
    ResyncFrame out = resyncs.begin(ResyncStep.LEAVES_ARE, session);
    int found = 0;
    long at = from * LEAF_BLOCKS;
    long next = -1;
    // Absent subtrees are passed over one at a time.
    for (int looked = 0; at < index.blocks(); looked++) {
      if (found == ResyncStep.MOST_LEAVES || looked == 4 * ResyncStep.MOST_LEAVES) {
        next = at / LEAF_BLOCKS;
        break;
      }
      int page = index.leafPage(at);
      if (page == 0) {
        long present = index.nextPresentLeaf(at);
        at = present > at ? present : at + LEAF_BLOCKS;
        continue;
      }
      int status = store.space().bring(page);
      if (status == Status.EAGAIN) {
        if (found == 0) {
          return false;
        }
        next = at / LEAF_BLOCKS;
        break;
      }
      if (status != Status.OK) {
        return fail("a page of the leader's index can't be read");
      }
      out.body().putLong(16 * found, at / LEAF_BLOCKS, ByteOrder.LITTLE_ENDIAN);
      long stamp = IndexSpace.newestIndex(store.space().leafAddress(page));
      out.body().putLong(16 * found + 8, stamp, ByteOrder.LITTLE_ENDIAN);
      found++;
      at += LEAF_BLOCKS;
    }
    return send(out.bytes(16 * found).tree(number).leaf(from).a(next));
  }

  private boolean sendMap(int number, long leaf) {
    BlockIndex index = trees.get(number).index();
    int page = leafPage(index, leaf);
    int status = page == 0 ? Status.EIO : store.space().bring(page);
    if (status == Status.EAGAIN) {
      return false;
    }
    if (status != Status.OK) {
      return fail("leaf " + leaf + " of the leader's index can't be read");
    }
    long address = store.space().leafAddress(page);
    ResyncFrame out = resyncs.begin(ResyncStep.MAP_IS, session);
    LeafMap.encode(address, out.body());
    long stamp = IndexSpace.newestIndex(address);
    return send(out.bytes(LeafMap.BYTES).tree(number).leaf(leaf).a(stamp));
  }

  private static int leafPage(BlockIndex index, long leaf) {
    return leaf >= (index.blocks() + LEAF_BLOCKS - 1) / LEAF_BLOCKS
        ? 0
        : index.leafPage(leaf * LEAF_BLOCKS);
  }

  /** Begins to read the blocks of the question at the front; a part of them, from one on. */
  private int gather(Asked question, int from) {
    BlockIndex index = trees.get(question.tree).index();
    int page = leafPage(index, question.leaf);
    int status = page == 0 ? Status.EIO : store.space().bring(page);
    if (status != Status.OK) {
      return status;
    }
    long address = store.space().leafAddress(page);
    gather.begin();
    if (question.kind == ResyncStep.GET) {
      for (int i = 0; i + 1 < question.bytes && i < 2 * ResyncStep.MOST_BLOCKS; i += 2) {
        if (!add(address, offset(question, i / 2))) {
          gather.abandon();
          return Status.EINVAL;
        }
      }
      return Status.OK;
    }
    int offset = from;
    for (; offset < LEAF_BLOCKS && gather.count() < BlockGather.BLOCKS; offset++) {
      int bits = question.body[ResyncStep.DIGEST_BYTES + offset / Byte.SIZE];
      if ((bits >> (offset % Byte.SIZE) & 1) != 0 && !add(address, offset)) {
        gather.abandon();
        return Status.EINVAL;
      }
    }
    checkedTo = offset;
    return Status.OK;
  }

  /** Returns which block of the leaf a question for blocks names. */
  private static int offset(Asked question, int i) {
    return (question.body[2 * i] & 0xFF) | (question.body[2 * i + 1] & 0xFF) << 8;
  }

  private boolean add(long leafAddress, int offset) {
    boolean isData =
        offset < LEAF_BLOCKS && IndexSpace.isData(IndexSpace.place(leafAddress, offset));
    if (isData) {
      gather.add(IndexSpace.place(leafAddress, offset), IndexSpace.checksum(leafAddress, offset));
    }
    return isData;
  }

  private boolean sendBlocks(Asked question) {
    if (stage == Stage.GATHER) {
      int status = gather(question, 0);
      if (status != Status.OK) {
        return status != Status.EAGAIN && fail("blocks were asked for that are not there");
      }
      stage = Stage.READ;
    }
    if (!gather.isRead()) {
      return false;
    }
    ResyncFrame out = resyncs.begin(ResyncStep.BLOCKS, session);
    long good = 0;
    for (int i = 0; i < gather.count(); i++) {
      NativeMemory.copy(gather.address(i), out.body().addressOffset() + (long) i * BLOCK, BLOCK);
      if (gather.isGood(i)) {
        good |= 1L << i;
      } else if (stage == Stage.READ) {
        long damaged = question.leaf * LEAF_BLOCKS + offset(question, i);
        resyncs.reportDamaged(group, damaged, gather.place(i), gather.checksum(i));
      }
    }
    // Reported once, however often it has to wait for room on its way.
    stage = Stage.SEND;
    return send(
        out.bytes(gather.count() * BLOCK)
            .tree(question.tree)
            .leaf(question.leaf)
            .a(good)
            .b(question.number));
  }

  /** Compares blocks whose checksums are the same on both sides, some at a time. */
  private boolean check(Asked question) {
    if (stage == Stage.GATHER) {
      int status = gather(question, checkedTo);
      if (status != Status.OK) {
        return status != Status.EAGAIN && fail("blocks were compared that are not there");
      }
      stage = Stage.READ;
    }
    if (stage == Stage.READ) {
      if (!gather.isRead()) {
        return false;
      }
      for (int i = 0; i < gather.count(); i++) {
        allGood &= gather.isGood(i);
        gather.copy(i, block);
        sha.update(block);
      }
      if (checkedTo < LEAF_BLOCKS) {
        stage = Stage.GATHER;
        return false;
      }
      Resyncs.digest(sha, digest);
      same =
          allGood
              && Arrays.equals(digest, 0, digest.length, question.body, 0, ResyncStep.DIGEST_BYTES);
      stage = Stage.SEND;
    }
    ResyncFrame out = resyncs.begin(ResyncStep.CHECKED, session).bytes(0);
    return send(out.tree(question.tree).leaf(question.leaf).a(same ? 1 : 0));
  }

  /** Says why there is no answer; returns that the question is done with. */
  private boolean fail(String why) {
    resyncs.end(group, node, session, why);
    return true;
  }

  /** Gives the trees up. */
  void close() {
    trees.forEach(tree -> tree.index().clear());
    gather.close();
  }
}
