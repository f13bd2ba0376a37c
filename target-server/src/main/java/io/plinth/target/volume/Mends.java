package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.wire.ResyncFrame;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Mends blocks that don't match their checksums, or can't be read, from other members of their
 * volumes' groups: whoever finds one asks for it here, and waits.
 *
 * <p>A peer is asked for a block of a volume with a checksum. It looks whether its volume, or a
 * snapshot, has the block with that checksum in its index, reads it, and verifies it. What comes is
 * verified once more with what the index here says: so a copy that is older or newer is never taken
 * for the lost one. It is written where the log is now, as the cleaner moves blocks: a record
 * RELOCATE, and all trees that had the old place have the new one.
 */
public final class Mends {
  private static final Logger LOG = LoggerFactory.getLogger(Mends.class);
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** So many blocks are mended at a time; what needs another one waits. */
  private static final int MOST = 64;

  /** Questions of others that wait; further ones are not answered, and come again. */
  private static final int MOST_ASKED = 64;

  private static final int MOST_TOLD = 256;

  /** Who has not answered after so long is passed over. */
  private static final long ANSWER_NS = TimeUnit.MILLISECONDS.toNanos(300);

  /** Who did not have it may have applied what it lacks by then. */
  private static final long AGAIN_NS = TimeUnit.MILLISECONDS.toNanos(50);

  /** After so long nobody has it. */
  private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(3);

  /** What nobody has is not asked for again before that. */
  private static final long FORGET_NS = TimeUnit.SECONDS.toNanos(5);

  /** Of each peer, so many times "I don't have it". */
  private static final int REFUSALS = 3;

  /**
   * A block that was mended.
   *
   * @param segment where it was damaged
   * @param offset in the segment, in bytes
   * @param block of the volume
   * @param node that had a good copy
   */
  public record Mended(int segment, long offset, String volume, long block, int node) {}

  private static final class Mend {
    final VolumeGroup group;
    final long block;
    final long place;
    final long life;
    final int checksum;
    boolean ofScrub;
    final long beganNs;
    long askedNs;
    boolean awaited;
    int asked;
    int next;
    int refusals;
    int from;
    NativeMemory copy;
    boolean failed;

    Mend(
        VolumeGroup group,
        long block,
        long place,
        long life,
        int checksum,
        boolean ofScrub,
        long nowNs) {
      this.group = group;
      this.block = block;
      this.place = place;
      this.life = life;
      this.checksum = checksum;
      this.ofScrub = ofScrub;
      this.beganNs = nowNs;
    }
  }

  /** A question of a peer. */
  private record Asked(VolumeGroup group, int node, long session, long block, int checksum) {}

  private final VolumeStore store;
  private final boolean trustsPeers;
  private final List<Mend> mends = new ArrayList<>();
  private final ArrayDeque<VolumeRequest> waiting = new ArrayDeque<>();
  private final ArrayDeque<VolumeRequest> again = new ArrayDeque<>();
  private final ArrayDeque<Asked> questions = new ArrayDeque<>();
  private final List<Mended> told = new ArrayList<>();
  private BlockGather gather;
  private int searched;
  private boolean reading;
  private long mendedBlocks;

  Mends(VolumeStore store) {
    this.store = store;
    this.trustsPeers = store.isPlanted(PlantedBug.MEND_TRUSTS_PEER);
  }

  /** Returns how many blocks have been mended since the start; on the core. */
  public long mendedBlocks() {
    return mendedBlocks;
  }

  /** Returns the newest of them; on the core. */
  public List<Mended> mended() {
    return List.copyOf(told);
  }

  /** Returns whether any block is being mended. */
  boolean isBusy() {
    for (Mend mend : mends) {
      if (!mend.failed) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether what is at a place is being mended. */
  boolean isMending(long place) {
    Mend mend = mends.isEmpty() ? null : find(place);
    return mend != null && !mend.failed;
  }

  /**
   * Begins to mend a block unless that is under way.
   *
   * @param ofScrub whether a scrub has found it, which reports it if nobody has it
   * @return false when nobody can mend it, now
   */
  boolean mend(VolumeGroup group, long block, long place, int checksum, boolean ofScrub) {
    if (group.isAlone() || store.journal().failure() != Status.OK) {
      return false;
    }
    Mend known = find(place);
    if (known != null) {
      known.ofScrub |= ofScrub;
      return !known.failed;
    }
    if (mends.size() < MOST) {
      long nowNs = store.core().clock().nowNs();
      long life = store.scrubber().life(place);
      mends.add(new Mend(group, block, place, life, checksum, ofScrub, nowNs));
      LOG.warn(
          "volume {} block {}: {} is damaged, and is to be mended from another node",
          group.volume().name(),
          block,
          store.journal().describe(place));
    }
    return true;
  }

  private Mend find(long place) {
    for (Mend mend : mends) {
      if (mend.place == place && mend.life == store.scrubber().life(place)) {
        return mend;
      }
    }
    return null;
  }

  /** Lets a request be read again when something was mended. */
  void await(VolumeRequest request) {
    waiting.add(request);
  }

  // What other nodes say.

  void onFrame(VolumeGroup group, int node, ResyncFrame frame) {
    if (frame.kind() == ResyncStep.MEND) {
      if (questions.size() < MOST_ASKED && frame.leaf() >= 0) {
        questions.add(new Asked(group, node, frame.session(), frame.leaf(), (int) frame.a()));
      }
      return;
    }
    for (Mend mend : mends) {
      boolean isAnswer =
          frame.kind() == ResyncStep.MEND_IS
              && mend.awaited
              && mend.asked == node
              && mend.group.equals(group)
              && mend.place == frame.session()
              && mend.block == frame.leaf();
      if (isAnswer) {
        mend.awaited = false;
        onAnswer(mend, node, frame);
      }
    }
  }

  private void onAnswer(Mend mend, int node, ResyncFrame frame) {
    if (frame.a() != 1 || frame.bytes() != BLOCK) {
      mend.refusals++;
      return;
    }
    mend.from = node;
    mend.copy = NativeMemory.reserve(BLOCK);
    NativeMemory.copy(frame.body().addressOffset(), mend.copy.address(), BLOCK);
    boolean good = store.checksum(mend.copy, mend.copy.address()) == mend.checksum;
    if (!good && !trustsPeers) {
      free(mend);
      mend.refusals++;
    }
  }

  // What is done in a duty cycle.

  /** Does a bounded amount; returns how much. */
  int doWork(long nowNs) {
    int done = questions.isEmpty() ? 0 : answer(questions.peek());
    if (!waiting.isEmpty() && !isBusy()) {
      // What these wait for has ended before they have begun to wait.
      wake();
    }
    for (int i = mends.size() - 1; i >= 0; i--) {
      Mend mend = mends.get(i);
      if (mend.failed ? nowNs - mend.beganNs > FORGET_NS : isOver(mend, nowNs)) {
        mends.remove(i);
        free(mend);
        wake();
        done++;
      }
    }
    for (int i = again.size(); i > 0; i--) {
      VolumeRequest request = again.poll();
      if (!request.volume.readAgain(request)) {
        again.add(request);
      }
      done++;
    }
    return done;
  }

  private void wake() {
    again.addAll(waiting);
    waiting.clear();
    store.notifyReady();
  }

  private static void free(Mend mend) {
    if (mend.copy != null) {
      mend.copy.close();
      mend.copy = null;
    }
  }

  /** Moves a mend on; returns whether the block is mended, or nobody needs it any more. */
  private boolean isOver(Mend mend, long nowNs) {
    int family = mend.group.id();
    boolean isGone =
        mend.group.volume().isClosed() || mend.life != store.scrubber().life(mend.place);
    int pages = isGone ? Status.EIO : store.space().bringRing(family, mend.block, null);
    if (pages == Status.EAGAIN) {
      return false;
    }
    if (pages != Status.OK || store.space().findLeaf(family, mend.block, mend.place) == 0) {
      return true;
    }
    if (mend.copy != null && write(mend)) {
      return true;
    }
    int[] members = mend.group.replica().voters();
    boolean refused = mend.refusals >= REFUSALS * (members.length - 1);
    if (mend.copy == null && (refused || nowNs - mend.beganNs > PATIENCE_NS)) {
      fail(mend);
    } else if (mend.copy == null && nowNs - mend.askedNs > (mend.awaited ? ANSWER_NS : AGAIN_NS)) {
      ask(mend, members, nowNs);
    } else if (nowNs - mend.beganNs > PATIENCE_NS) {
      // There is a copy, and no room for it.
      fail(mend);
    }
    return false;
  }

  private void ask(Mend mend, int[] members, long nowNs) {
    for (int tries = 0; tries < members.length; tries++) {
      int member = members[mend.next++ % members.length];
      if (member == store.groups().self()) {
        continue;
      }
      ResyncFrame frame = store.resyncs().begin(ResyncStep.MEND, mend.place).bytes(0);
      if (mend.group.replica().sendResync(member, frame.leaf(mend.block).a(mend.checksum))) {
        mend.awaited = true;
        mend.asked = member;
        mend.askedNs = nowNs;
        return;
      }
    }
  }

  private void fail(Mend mend) {
    mend.failed = true;
    free(mend);
    String what = store.journal().describe(mend.place);
    LOG.error(
        "volume {} block {}: {} is damaged, and no other node has a good copy: reads of it fail"
            + " until it is written again",
        mend.group.volume().name(),
        mend.block,
        what);
    if (mend.ofScrub) {
      store.scrubber().notMended(mend.group.id(), mend.block, mend.place);
    }
    wake();
  }

  /** Writes the copy that has come; false when the log can't take it now. */
  private boolean write(Mend mend) {
    Journal journal = store.journal();
    boolean mayWrite =
        store.judgeRoom(1) == Status.OK
            && journal.availableSegments() > journal.reservedSegments()
            && journal.beginLocal(RecordHeader.RELOCATE, 0, mend.group.id(), 1);
    if (!mayWrite) {
      return false;
    }
    NativeMemory.copy(mend.copy.address(), journal.payloadAddress(), BLOCK);
    journal.blockAndPlace(0, mend.block, mend.place);
    journal.storeChecksum(0, mend.checksum);
    int _ = store.space().relocate(mend.group.id(), mend.block, mend.place, journal.payloadPlace());
    mendedBlocks++;
    long perSegment = store.blocksPerSegment();
    if (told.size() == MOST_TOLD) {
      told.removeFirst();
    }
    String volume = mend.group.volume().name();
    told.add(
        new Mended(
            (int) (mend.place / perSegment),
            mend.place % perSegment * BLOCK,
            volume,
            mend.block,
            mend.from));
    LOG.info(
        "volume {} block {}: {} was mended from node {}",
        volume,
        mend.block,
        journal.describe(mend.place),
        mend.from);
    return true;
  }

  // What others ask.

  /** Looks on for a block that a peer lacks; returns how much was done. */
  private int answer(Asked asked) {
    if (gather == null) {
      gather = new BlockGather(store);
    }
    if (reading) {
      if (!gather.isRead()) {
        return 0;
      }
      reading = false;
      if (gather.isGood(0) || trustsPeers) {
        return send(asked, true);
      }
      searched++;
    }
    LogVolume volume = asked.group.volume();
    List<SnapshotVolume> snapshots = volume.snapshots();
    if (volume.isClosed() || searched > snapshots.size()) {
      return send(asked, false);
    }
    // The volume first, then the snapshots, the newest first.
    BlockIndex index =
        searched == 0 ? volume.index() : snapshots.get(snapshots.size() - searched).index();
    int found = asked.block < index.blocks() ? index.bring(asked.block, asked.block) : Status.EIO;
    if (found == Status.EAGAIN || !gather.isIdle()) {
      return 0;
    }
    boolean has =
        found == Status.OK
            && IndexSpace.isData(index.place(asked.block))
            && (index.checksum(asked.block) == asked.checksum || trustsPeers);
    if (has) {
      gather.begin();
      gather.add(index.place(asked.block), index.checksum(asked.block));
      reading = true;
    } else {
      searched++;
    }
    return 1;
  }

  private int send(Asked asked, boolean has) {
    ResyncFrame out = store.resyncs().begin(ResyncStep.MEND_IS, asked.session);
    if (has) {
      NativeMemory.copy(gather.address(0), out.body().addressOffset(), BLOCK);
    }
    // One that is not sent is asked again.
    boolean _ =
        asked
            .group
            .replica()
            .sendResync(
                asked.node,
                out.bytes(has ? BLOCK : 0).leaf(asked.block).a(has ? 1 : 0).b(asked.checksum));
    searched = 0;
    Asked _ = questions.poll();
    return 1;
  }

  /** A volume is gone: who waits for its blocks is told so. */
  void onGone(VolumeGroup group) {
    if (questions.removeIf(asked -> asked.group.equals(group))) {
      searched = 0;
      reading = false;
      if (gather != null) {
        gather.abandon();
      }
    }
    wake();
  }

  void close() {
    mends.forEach(Mends::free);
    mends.clear();
    if (gather != null) {
      gather.close();
    }
  }
}
