package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.wire.ResyncFrame;
import io.plinth.target.volume.VerifyReport.State;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compares what the members of a group say of their contents as of one entry: the leader's side.
 * Each member is asked for what follows the last range that all others have told too, so nobody is
 * ahead of the others by more than one answer. Who does not answer, or does not get to the entry,
 * is named as not verified, and the others are compared on.
 */
final class VerifyLead {
  private static final Logger LOG = LoggerFactory.getLogger(VerifyLead.class);
  private static final int LEAF_BLOCKS = IndexSpace.LEAF_BLOCKS;
  private static final int DIGEST = ResyncStep.DIGEST_BYTES;
  private static final long RANGE_BYTES = (long) LEAF_BLOCKS * Volume.BLOCK_BYTES;

  /** So many differences and damages are told; all are counted. */
  static final int MOST_TOLD = 256;

  /** A question is asked again after so long: it, or the answer, may be lost. */
  private static final long AGAIN_NS = TimeUnit.SECONDS.toNanos(1);

  /** Who has not applied the entry is asked again so soon. */
  private static final long SOON_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /** Who says nothing for so long can't be reached. */
  private static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(5);

  /** Who has not applied the entry after so long lags behind. */
  private static final long LAG_NS = TimeUnit.SECONDS.toNanos(30);

  private static final class Member {
    final int node;
    String problem = "";
    boolean verified;
    boolean hasTold;
    boolean lags;

    /** What was asked for last, and up to where it is known. */
    long askedLeaf;

    int askedTree;
    long toLeaf;
    int toTree;
    boolean isAwaited;
    long askedNs;
    long heardNs;

    // What it has told and is not compared yet.
    final byte[] digests = new byte[VerifyHash.MOST_ENTRIES * DIGEST];
    final long[] leaves = new long[VerifyHash.MOST_ENTRIES];
    final int[] trees = new int[VerifyHash.MOST_ENTRIES];
    final int[] damaged = new int[VerifyHash.MOST_ENTRIES];
    final int[] firstDamaged = new int[VerifyHash.MOST_ENTRIES];
    int count;
    int next;

    /** What it holds of the range that is being compared. */
    final byte[] present = new byte[DIGEST];

    final byte[] treesDigest = new byte[DIGEST];

    Member(int node) {
      this.node = node;
    }

    boolean isActive() {
      return problem.isEmpty();
    }

    boolean isKnownBeyond(long leaf, int tree) {
      return verified || isBefore(leaf, tree, toLeaf, toTree);
    }
  }

  private final Verifies verifies;
  private final VolumeStore store;
  private final VolumeGroup group;
  private final long term;
  private final long beganNs;
  private final long sizeBytes;
  private final List<Member> members = new ArrayList<>();
  private final List<VerifyReport.Difference> differences = new ArrayList<>();
  private final List<VerifyReport.Damage> damages = new ArrayList<>();
  private List<String> names = List.of();
  private List<Long> sizes = List.of();
  private State state = State.RUNNING;
  private String problem = "";
  private long entry;
  private long endedNs;
  private long differentRanges;
  private long damagedBlocks;
  private long readBytes;
  private long ranges;
  private long comparedLeaf = -1;
  private long differentLeaf = -1;
  private List<Integer> differentNodes = List.of();

  VerifyLead(Verifies verifies, VolumeStore store, VolumeGroup group) {
    this.verifies = verifies;
    this.store = store;
    this.group = group;
    this.term = group.replica().term();
    this.beganNs = store.core().clock().nowNs();
    this.sizeBytes = group.volume().sizeBytes();
    int[] nodes = group.replica().voters();
    Arrays.sort(nodes);
    for (int node : nodes) {
      members.add(new Member(node));
    }
  }

  private static boolean isBefore(long leaf, int tree, long otherLeaf, int otherTree) {
    return leaf < otherLeaf || (leaf == otherLeaf && tree < otherTree);
  }

  VolumeGroup group() {
    return group;
  }

  boolean isRunning() {
    return state == State.RUNNING;
  }

  /** All members freeze what they have when they get to the entry; this one has. */
  void onFrozen(int status, VerifyHash own) {
    if (state != State.RUNNING) {
      return;
    }
    if (status != Status.OK || own == null) {
      end(State.FAILED, "it can't begin: " + Status.name(status));
      return;
    }
    entry = own.entry();
    names = own.trees().stream().map(VolumeTree::name).toList();
    sizes = own.trees().stream().map(VolumeTree::sizeBytes).toList();
    long nowNs = store.core().clock().nowNs();
    for (Member member : members) {
      member.heardNs = nowNs;
      ask(member, nowNs);
    }
  }

  private void ask(Member member, long nowNs) {
    member.askedLeaf = member.toLeaf;
    member.askedTree = member.toTree;
    member.isAwaited = true;
    say(member, nowNs);
  }

  private void say(Member member, long nowNs) {
    member.askedNs = nowNs;
    ResyncFrame frame = store.resyncs().begin(ResyncStep.HASH, entry).bytes(0);
    // One that is not sent is asked again.
    boolean _ =
        verifies.send(group, member.node, frame.leaf(member.askedLeaf).tree(member.askedTree));
  }

  void onFrame(int node, ResyncFrame frame, long nowNs) {
    Member member = null;
    for (Member candidate : members) {
      member = candidate.node == node ? candidate : member;
    }
    if (state != State.RUNNING || frame.session() != entry || member == null) {
      return;
    }
    member.heardNs = nowNs;
    boolean expected =
        member.isActive()
            && member.isAwaited
            && frame.leaf() == member.askedLeaf
            && frame.tree() == member.askedTree;
    if (!expected) {
      return;
    }
    if (frame.kind() == ResyncStep.UNFROZEN) {
      member.lags = frame.a() == 1;
      if (!member.lags) {
        member.problem = "it was started or brought up to date meanwhile: verify again";
      }
      return;
    }
    member.lags = false;
    if (!take(member, frame)) {
      member.problem = "what it says makes no sense";
    }
  }

  private boolean take(Member member, ResyncFrame frame) {
    int count = (frame.bytes() - VerifyHash.HEAD_BYTES) / VerifyHash.ENTRY_BYTES;
    if (frame.bytes() < VerifyHash.HEAD_BYTES || count > VerifyHash.MOST_ENTRIES) {
      return false;
    }
    boolean isEnd = frame.a() == -1;
    long toLeaf = isEnd ? Long.MAX_VALUE : frame.a();
    int toTree = (int) frame.b();
    long leaf = member.toLeaf;
    int tree = member.toTree - 1;
    if (isBefore(toLeaf, toTree, member.toLeaf, member.toTree)) {
      return false;
    }
    for (int i = 0; i < count; i++) {
      int at = VerifyHash.HEAD_BYTES + i * VerifyHash.ENTRY_BYTES;
      member.leaves[i] = frame.body().getLong(at, ByteOrder.LITTLE_ENDIAN);
      member.trees[i] = frame.body().getInt(at + 8, ByteOrder.LITTLE_ENDIAN);
      member.damaged[i] = frame.body().getShort(at + 12, ByteOrder.LITTLE_ENDIAN);
      member.firstDamaged[i] = frame.body().getShort(at + 14, ByteOrder.LITTLE_ENDIAN);
      frame.body().getBytes(at + 16, member.digests, i * DIGEST, DIGEST);
      if (!isBefore(leaf, tree, member.leaves[i], member.trees[i])
          || !isBefore(member.leaves[i], member.trees[i], toLeaf, toTree)) {
        return false;
      }
      leaf = member.leaves[i];
      tree = member.trees[i];
    }
    member.count = count;
    member.next = 0;
    member.toLeaf = toLeaf;
    member.toTree = toTree;
    member.isAwaited = false;
    member.hasTold = true;
    member.verified = isEnd;
    frame.body().getBytes(2 * Long.BYTES, member.treesDigest);
    if (member.node == store.groups().self()) {
      readBytes = frame.body().getLong(0, ByteOrder.LITTLE_ENDIAN);
      ranges = frame.body().getLong(Long.BYTES, ByteOrder.LITTLE_ENDIAN);
    }
    return true;
  }

  /** Compares what can be compared; returns how much was done. */
  int work(long nowNs) {
    if (state != State.RUNNING) {
      return 0;
    }
    boolean leads = group.leads() && group.replica().term() == term;
    if (!leads || group.volume().isClosed()) {
      end(State.FAILED, "the lead of the volume has moved: verify again");
      return 1;
    }
    if (entry == 0) {
      if (nowNs - beganNs > LAG_NS) {
        end(State.FAILED, "it can't begin: its entry is not committed, or the log has no room");
      }
      return 0;
    }
    boolean awaitsFirst = false;
    for (Member member : members) {
      watch(member, nowNs);
      awaitsFirst |= member.isActive() && !member.hasTold;
    }
    if (awaitsFirst) {
      // Nobody is asked for more before it is known whose trees can be compared.
      return 0;
    }
    compareTrees();
    int done = 0;
    while (compareNext()) {
      done++;
    }
    boolean over = true;
    for (Member member : members) {
      boolean isTold = member.isActive() && member.next == member.count;
      if (isTold && !member.verified && !member.isAwaited) {
        ask(member, nowNs);
        done++;
      }
      over &= !member.isActive() || (isTold && member.verified);
    }
    if (over) {
      conclude();
    }
    return done;
  }

  private void watch(Member member, long nowNs) {
    if (!member.isActive() || member.verified) {
      return;
    }
    if (member.lags && nowNs - beganNs > LAG_NS) {
      member.problem = "it lags behind: it has not applied entry " + entry;
    } else if (nowNs - member.heardNs > SILENCE_NS) {
      member.problem = "it does not answer";
    } else if (nowNs - member.askedNs > (member.lags ? SOON_NS : AGAIN_NS)) {
      // Also of one that waits for the others, so that it is not forgotten.
      say(member, nowNs);
    }
  }

  private void compareTrees() {
    Member own = own();
    for (Member member : members) {
      if (member.isActive() && !Arrays.equals(member.treesDigest, own.treesDigest)) {
        member.problem = "it has other snapshots, or another size";
        differentRanges++;
      }
    }
  }

  private Member own() {
    for (Member member : members) {
      if (member.node == store.groups().self()) {
        return member;
      }
    }
    throw new IllegalStateException("the leader is no member");
  }

  /** Compares the first range that anybody has told, if all have got there. */
  private boolean compareNext() {
    long leaf = Long.MAX_VALUE;
    int tree = 0;
    for (Member member : members) {
      if (member.isActive()
          && member.next < member.count
          && isBefore(member.leaves[member.next], member.trees[member.next], leaf, tree)) {
        leaf = member.leaves[member.next];
        tree = member.trees[member.next];
      }
    }
    if (leaf == Long.MAX_VALUE) {
      return false;
    }
    for (Member member : members) {
      if (member.isActive() && !member.isKnownBeyond(leaf, tree)) {
        return false;
      }
    }
    for (Member member : members) {
      advance(member, leaf, tree);
    }
    comparedLeaf = leaf;
    List<Integer> others = others();
    boolean isNew = leaf != differentLeaf || !others.equals(differentNodes);
    if (!others.isEmpty() && isNew) {
      addDifference(leaf, tree, others);
    }
    return true;
  }

  private void advance(Member member, long leaf, int tree) {
    if (!member.isActive()) {
      return;
    }
    if (leaf != comparedLeaf) {
      Arrays.fill(member.present, (byte) 0);
    }
    int i = member.next;
    if (i == member.count || member.leaves[i] != leaf || member.trees[i] != tree) {
      return;
    }
    member.next++;
    System.arraycopy(member.digests, i * DIGEST, member.present, 0, DIGEST);
    if (member.damaged[i] > 0) {
      damagedBlocks += member.damaged[i];
      if (damages.size() < MOST_TOLD) {
        long offset = leaf * RANGE_BYTES + (long) member.firstDamaged[i] * Volume.BLOCK_BYTES;
        damages.add(new VerifyReport.Damage(member.node, name(tree), offset, member.damaged[i]));
      }
    }
  }

  private String name(int tree) {
    return tree < names.size() ? names.get(tree) : "";
  }

  /** Returns who holds something else than most do, or than the leader if there are no most. */
  private List<Integer> others() {
    Member most = own();
    int mostCount = 0;
    for (Member member : members) {
      int count = 0;
      for (Member other : members) {
        boolean same = other.isActive() && Arrays.equals(other.present, member.present);
        count += same ? 1 : 0;
      }
      if (member.isActive() && count > mostCount) {
        most = member;
        mostCount = count;
      }
    }
    if (mostCount == 1) {
      most = own();
    }
    List<Integer> others = new ArrayList<>();
    for (Member member : members) {
      if (member.isActive() && !Arrays.equals(member.present, most.present)) {
        others.add(member.node);
      }
    }
    return others;
  }

  private void addDifference(long leaf, int tree, List<Integer> nodes) {
    differentRanges++;
    differentLeaf = leaf;
    differentNodes = nodes;
    if (differences.size() < MOST_TOLD) {
      long offset = leaf * RANGE_BYTES;
      long size = tree < sizes.size() ? sizes.get(tree) : sizeBytes;
      long length = Math.max(0, Math.min(RANGE_BYTES, size - offset));
      differences.add(new VerifyReport.Difference(name(tree), offset, length, nodes));
    }
  }

  private void conclude() {
    boolean complete = members.stream().allMatch(member -> member.verified && member.isActive());
    State equal = complete ? State.EQUAL : State.INCOMPLETE;
    end(differentRanges + damagedBlocks > 0 ? State.DIFFERENT : equal, "");
  }

  private void end(State newState, String why) {
    state = newState;
    problem = why;
    endedNs = store.core().clock().nowNs();
    for (Member member : members) {
      if (entry > 0) {
        ResyncFrame frame = store.resyncs().begin(ResyncStep.VERIFIED, entry).bytes(0);
        boolean _ = verifies.send(group, member.node, frame);
      }
    }
    LOG.info(
        "volume {} (group {}): verify as of entry {}: {}{}, {} ranges, {} bytes, {} ms",
        group.volume().name(),
        group.id(),
        entry,
        state,
        problem.isEmpty() ? "" : " (" + problem + ")",
        ranges,
        readBytes,
        (endedNs - beganNs) / 1_000_000);
  }

  /** Returns how it stands. */
  VerifyReport report() {
    long nowNs = state == State.RUNNING ? store.core().clock().nowNs() : endedNs;
    boolean over = state != State.RUNNING && state != State.FAILED;
    long done = over ? sizeBytes : Math.min(sizeBytes, Math.max(0, comparedLeaf) * RANGE_BYTES);
    List<VerifyReport.Member> told = new ArrayList<>();
    for (Member member : members) {
      boolean verified = member.verified && member.isActive() && over;
      told.add(new VerifyReport.Member(member.node, verified, member.problem));
    }
    return new VerifyReport(
        state,
        entry,
        problem,
        done,
        sizeBytes,
        ranges,
        readBytes,
        nowNs - beganNs,
        told,
        List.copyOf(differences),
        differentRanges,
        List.copyOf(damages),
        damagedBlocks);
  }
}
