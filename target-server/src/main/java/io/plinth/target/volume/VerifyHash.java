package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.wire.ResyncFrame;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What one replica says of its contents at an entry: a SHA-256 of each range of 448 blocks (1.75
 * MiB, a leaf of the index) of the volume and its snapshots, which were frozen when the entry was
 * applied. Ranges come in ascending order; of each range the snapshots first, the oldest before the
 * others, then the volume. A range that is the same as in the tree before is not told, and not read
 * again where trees share it; one without mapped blocks has a digest of zeroes.
 *
 * <pre>
 *   0        8        16                48          48 + 48
 *  +--------+--------+-----------------+-----------+------ ... ---+
 *  | bytes  | ranges | SHA-256 of the  | 48 each:  |              |
 *  | read   | read   | list of trees   | a range   |              |
 *  +--------+--------+-----------------+-----------+------ ... ---+
 *
 *   0      8      12        14        16           48
 *  +------+------+---------+---------+------------+
 *  | leaf | tree | damaged | first   | SHA-256    |
 *  +------+------+---------+---------+------------+
 * </pre>
 *
 * {@code damaged}: blocks that don't match their CRC32C; {@code first}: the first of them. Numbers
 * are little-endian. Every question names a position, and the answer says up to which one it goes;
 * a question that comes again is answered again. Nothing is done that was not asked for.
 */
final class VerifyHash {
  private static final Logger LOG = LoggerFactory.getLogger(VerifyHash.class);
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;
  static final int HEAD_BYTES = 48;
  static final int ENTRY_BYTES = 48;

  /** Ranges of one answer. */
  static final int MOST_ENTRIES = 64;

  /** An answer comes after so long at the latest, whatever there is to be told. */
  private static final long ANSWER_NS = TimeUnit.MILLISECONDS.toNanos(250);

  /** While clients want much of the core, it is one step in so long. */
  private static final long BUSY_NS = TimeUnit.MILLISECONDS.toNanos(1);

  /** What nobody asks about for so long is given up. */
  private static final long FORGET_NS = TimeUnit.SECONDS.toNanos(15);

  /** Ranges that are looked at in one step, before one has to be read. */
  private static final int LOOKED = 64;

  private static final byte DAMAGED = 3;
  private static final byte LOST = 4;
  private static final byte[] NOTHING = new byte[ResyncStep.DIGEST_BYTES];

  private final VolumeStore store;
  private final VolumeGroup group;
  private final long entry;
  private final byte[] treesDigest = new byte[ResyncStep.DIGEST_BYTES];
  private final MessageDigest sha = Resyncs.sha256();
  private final BlockGather gather;
  private final byte[] block = new byte[Volume.BLOCK_BYTES];
  private final byte[] states = new byte[LEAF_BLOCKS];
  private final short[] offsets = new short[BlockGather.BLOCKS];
  private final byte[] digest = new byte[ResyncStep.DIGEST_BYTES];
  private final byte[] before = new byte[ResyncStep.DIGEST_BYTES];
  private final ByteBuffer entries =
      ByteBuffer.allocate(MOST_ENTRIES * ENTRY_BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private List<VolumeTree> trees;
  private final long leaves;

  // The question, and up to where it was answered.
  private long fromLeaf;
  private int fromTree;
  private boolean asked;
  private boolean answered;
  private long askedNs;
  private long touchedNs;
  private long workedNs;

  // Where it is.
  private long leaf;
  private int tree;
  private long nextLeaf = Long.MAX_VALUE;
  private int page;
  private boolean reading;
  private boolean gathered;
  private int offset;
  private int damaged;
  private int firstDamaged;
  private long bytes;
  private long ranges;

  /** Freezes what the group's volume is now: the entry is being applied. */
  VerifyHash(VolumeStore store, VolumeGroup group, long entry) {
    this.store = store;
    this.group = group;
    this.entry = entry;
    this.gather = new BlockGather(store);
    this.trees = VolumeTree.freeze(group.volume());
    this.touchedNs = store.core().clock().nowNs();
    long most = 0;
    for (VolumeTree one : trees) {
      sha.update(one.name().getBytes(StandardCharsets.UTF_8));
      sha.update(
          ByteBuffer.allocate(1 + 2 * Long.BYTES)
              .put((byte) 0)
              .putLong(one.sizeBytes())
              .putLong(one.createdMs())
              .flip());
      most = Math.max(most, one.index().blocks());
    }
    Resyncs.digest(sha, treesDigest);
    leaves = (most + LEAF_BLOCKS - 1) / LEAF_BLOCKS;
  }

  boolean isOf(VolumeGroup ofGroup) {
    return group.equals(ofGroup);
  }

  VolumeGroup group() {
    return group;
  }

  long entry() {
    return entry;
  }

  /** Returns the trees, the oldest snapshot first, the volume last. */
  List<VolumeTree> trees() {
    return trees;
  }

  /** Returns whether nobody asks any more. */
  boolean isForgotten(long nowNs) {
    return nowNs - touchedNs > FORGET_NS || group.volume().isClosed();
  }

  private boolean isDone() {
    return leaf >= leaves;
  }

  /** Is asked for what follows a position. */
  void ask(long askedLeaf, int askedTree, long nowNs) {
    touchedNs = nowNs;
    if (!asked && !answered && store.isPlanted(PlantedBug.VERIFY_FREEZES_LATE)) {
      refreeze();
    }
    if (answered && askedLeaf == leaf && askedTree == tree) {
      fromLeaf = leaf;
      fromTree = tree;
      entries.clear();
      answered = false;
    } else if (askedLeaf != fromLeaf || askedTree != fromTree) {
      return;
    }
    askedNs = asked ? askedNs : nowNs;
    asked = true;
  }

  private void refreeze() {
    trees.forEach(one -> one.index().clear());
    trees = VolumeTree.freeze(group.volume());
  }

  /** Returns whether there is an answer to be sent. */
  boolean hasAnswer(long nowNs) {
    boolean due = entries.remaining() == 0 || isDone() || nowNs - askedNs >= ANSWER_NS;
    return asked && (answered || due);
  }

  /** Fills in the answer. */
  ResyncFrame answer(ResyncFrame out) {
    out.body().putLong(0, bytes, ByteOrder.LITTLE_ENDIAN);
    out.body().putLong(Long.BYTES, ranges, ByteOrder.LITTLE_ENDIAN);
    out.body().putBytes(2 * Long.BYTES, treesDigest);
    out.body().putBytes(HEAD_BYTES, entries, 0, entries.position());
    return out.bytes(HEAD_BYTES + entries.position())
        .leaf(fromLeaf)
        .tree(fromTree)
        .a(isDone() ? -1 : leaf)
        .b(tree);
  }

  /** The answer is on its way. */
  void noteAnswered() {
    asked = false;
    answered = true;
  }

  /** Does a bounded amount; returns how much. */
  int work(long nowNs, boolean busy) {
    boolean idle = !asked || answered || isDone() || entries.remaining() == 0;
    if (idle || (busy && nowNs - workedNs < BUSY_NS)) {
      return 0;
    }
    workedNs = nowNs;
    for (int i = 0; i < LOOKED && !reading && !isDone() && entries.remaining() > 0; i++) {
      look();
    }
    return reading ? readOn() : 1;
  }

  /** Looks at the range in the next tree. */
  private void look() {
    if (tree == trees.size()) {
      leaf = nextLeaf;
      nextLeaf = Long.MAX_VALUE;
      tree = 0;
      page = 0;
      Arrays.fill(before, (byte) 0);
      return;
    }
    BlockIndex index = trees.get(tree).index();
    long first = leaf * LEAF_BLOCKS;
    int found = 0;
    if (first < index.blocks()) {
      found = index.leafPage(first);
      long present = found == 0 ? index.nextPresentLeaf(first) / LEAF_BLOCKS : 0;
      nextLeaf = Math.min(nextLeaf, Math.max(leaf + 1, present));
      found = found != 0 && store.space().mappedIn(found) == 0 ? 0 : found;
    }
    boolean shared = found == page;
    page = found;
    if (shared) {
      tree++;
    } else if (found == 0) {
      settle(NOTHING);
    } else {
      reading = true;
      offset = 0;
      damaged = 0;
    }
  }

  private int readOn() {
    if (gathered) {
      if (!gather.isRead()) {
        return 0;
      }
      gathered = false;
      take();
    } else {
      int status = store.space().bring(page);
      if (status == Status.EAGAIN) {
        return 0;
      }
      if (status == Status.OK) {
        gather(store.space().leafAddress(page));
      } else {
        damaged = LEAF_BLOCKS;
        firstDamaged = 0;
        offset = LEAF_BLOCKS;
        Arrays.fill(states, LOST);
      }
    }
    if (!gathered && offset == LEAF_BLOCKS) {
      reading = false;
      ranges++;
      sha.update(states);
      Resyncs.digest(sha, digest);
      settle(digest);
    }
    return 1;
  }

  private void gather(long leafAddress) {
    gather.begin();
    for (; offset < LEAF_BLOCKS && gather.count() < BlockGather.BLOCKS; offset++) {
      long place = IndexSpace.place(leafAddress, offset);
      states[offset] = (byte) LeafMap.state(place);
      if (IndexSpace.isData(place)) {
        offsets[gather.count()] = (short) offset;
        gather.add(place, IndexSpace.checksum(leafAddress, offset));
      }
    }
    gathered = gather.count() > 0;
  }

  private void take() {
    for (int i = 0; i < gather.count(); i++) {
      if (gather.isGood(i)) {
        gather.copy(i, block);
        sha.update(block);
        bytes += block.length;
        continue;
      }
      states[offsets[i]] = DAMAGED;
      firstDamaged = damaged == 0 ? offsets[i] : firstDamaged;
      damaged++;
      LOG.error(
          "volume {} block {}: {} does not match its checksum, a verify has found",
          describe(tree),
          leaf * LEAF_BLOCKS + offsets[i],
          store.journal().describe(gather.place(i)));
      boolean _ =
          store
              .mends()
              .mend(
                  group,
                  leaf * LEAF_BLOCKS + offsets[i],
                  gather.place(i),
                  gather.checksum(i),
                  false);
    }
  }

  private String describe(int of) {
    String snapshot = trees.get(of).name();
    return group.volume().name() + (snapshot.isEmpty() ? "" : "@" + snapshot);
  }

  /** The range is known in one tree; told if it is another than in the one before. */
  private void settle(byte[] found) {
    if (damaged > 0 || !Arrays.equals(found, before)) {
      entries.putLong(leaf).putInt(tree).putShort((short) damaged).putShort((short) firstDamaged);
      entries.put(found);
    }
    damaged = 0;
    System.arraycopy(found, 0, before, 0, before.length);
    tree++;
  }

  /** Gives the trees up. */
  void close() {
    trees.forEach(one -> one.index().clear());
    gather.close();
  }
}
