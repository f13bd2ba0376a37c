package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.wire.ResyncFrame;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The resyncs of the volumes of one log, of both sides: members that lack entries which are kept no
 * more, and this node's replicas that do.
 */
public final class Resyncs {
  private static final Logger LOG = LoggerFactory.getLogger(Resyncs.class);

  /** How often a member is told that it lacks entries. */
  private static final long TELL_NS = TimeUnit.MILLISECONDS.toNanos(200);

  /** For so long an interrupted session can be gone on with. */
  private static final long KEEP_NS = TimeUnit.MINUTES.toNanos(10);

  /** So many members are served at a time, and so many own replicas brought up to date. */
  private static final int MOST_SESSIONS = 4;

  /** A member that a volume's leader can't bring up to date from its log. */
  private record Lagging(VolumeGroup group, int node) {}

  /** What an interrupted session leaves to the next one of the same replica. */
  private record Kept(VolumeGroup group, ResyncParts parts) {}

  /**
   * A replica that is being brought up to date, for a person.
   *
   * @param volume its volume
   * @param node the node that it is on
   * @param text how far it is, or why it is not begun
   */
  public record Progress(String volume, int node, String text) {}

  private final VolumeStore store;
  private final List<Lagging> lagging = new ArrayList<>();
  private final List<ResyncSource> sources = new ArrayList<>();
  private final List<ResyncTarget> targets = new ArrayList<>();
  private final List<Kept> kept = new ArrayList<>();
  private volatile List<Progress> progress = List.of();
  private ResyncFrame out;
  private long toldNs;
  private int switching;
  private long needed;
  private long completed;
  private long sentBytes;
  private long receivedBytes;

  Resyncs(VolumeStore store) {
    this.store = store;
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  static void digest(MessageDigest sha, byte[] result) {
    try {
      int _ = sha.digest(result, 0, result.length);
    } catch (DigestException e) {
      throw new IllegalStateException("a digest has " + result.length + " bytes", e);
    }
  }

  /** Returns how often a member was found to lack entries that are kept no more. */
  long needed() {
    return needed;
  }

  /** Returns how many replicas of this log have been brought up to date since the start. */
  public long completed() {
    return completed;
  }

  /** Returns whether a replica has all that it lacked, and a checkpoint does not have it yet. */
  public boolean isSwitching() {
    return switching > 0;
  }

  /** So many replicas more wait for a checkpoint, or less. */
  void countSwitching(int change) {
    switching += change;
  }

  /** Returns how many bytes were sent for resyncs since the start. */
  public long sentBytes() {
    return sentBytes;
  }

  /** Returns how many bytes have come for resyncs since the start. */
  public long receivedBytes() {
    return receivedBytes;
  }

  /**
   * Returns which replicas are being brought up to date, as far as this node has to do with it; any
   * thread, a moment late.
   */
  public List<Progress> progress() {
    return progress;
  }

  private void describe() {
    List<Progress> result = new ArrayList<>();
    for (Lagging member : lagging) {
      result.add(
          new Progress(
              member.group.volume().name(),
              member.node,
              "lacks entries that are kept no more, and is being brought up to date from here"));
    }
    for (ResyncTarget target : targets) {
      result.add(
          new Progress(target.group().volume().name(), store.groups().self(), target.describe()));
    }
    progress = List.copyOf(result);
  }

  /** A member lacks entries: it is told until it has them. */
  void onNeeded(VolumeGroup group, int node) {
    needed++;
    Lagging member = new Lagging(group, node);
    if (!lagging.contains(member)) {
      lagging.add(member);
      toldNs = 0;
    }
  }

  /** A replica has stopped for good: it asks the others by itself. */
  void onStopped(VolumeGroup group) {
    if (store.journal().failure() == Status.OK) {
      ask(group, ResyncTarget.ANYBODY);
    }
  }

  /** A session has ended before its time. */
  void keepParts(VolumeGroup group, ResyncParts parts) {
    parts.keptNs(store.core().clock().nowNs());
    kept.add(new Kept(group, parts));
  }

  /** Returns what an earlier session has left, which is the caller's from now on, or null. */
  ResyncParts takeParts(VolumeGroup group) {
    for (int i = 0; i < kept.size(); i++) {
      if (kept.get(i).group.equals(group)) {
        return kept.remove(i).parts;
      }
    }
    return null;
  }

  /** What nobody goes on with for long is given up, and all of it when the log needs the room. */
  private void dropParts(long nowNs) {
    for (int i = kept.size() - 1; i >= 0; i--) {
      ResyncParts parts = kept.get(i).parts;
      if (nowNs - parts.keptNs() > KEEP_NS || store.judgeRoom(1) != Status.OK) {
        kept.remove(i);
        parts.close();
      }
    }
  }

  /** A group is gone, with all that concerns it. */
  void onGone(VolumeGroup group) {
    ResyncParts parts = takeParts(group);
    if (parts != null) {
      parts.close();
    }
    lagging.removeIf(member -> member.group.equals(group));
    for (int i = targets.size() - 1; i >= 0; i--) {
      if (targets.get(i).group().equals(group)) {
        targets.remove(i).close();
      }
    }
  }

  private void ask(VolumeGroup group, int node) {
    for (ResyncTarget target : targets) {
      if (target.group().equals(group)) {
        return;
      }
    }
    targets.add(new ResyncTarget(this, store, group, node));
  }

  void onFrame(VolumeGroup group, int node, ResyncFrame frame) {
    if (frame.kind() >= ResyncStep.MEND) {
      store.mends().onFrame(group, node, frame);
      return;
    }
    if (frame.kind() >= ResyncStep.HASH) {
      store.verifies().onFrame(group, node, frame);
      return;
    }
    receivedBytes += frame.bytes();
    long nowNs = store.core().clock().nowNs();
    switch (frame.kind()) {
      case ResyncStep.NEEDED -> ask(group, node);
      case ResyncStep.BEGIN -> onBegin(group, node, frame, nowNs);
      case ResyncStep.STATE,
          ResyncStep.TREE_IS,
          ResyncStep.LEAVES_ARE,
          ResyncStep.MAP_IS,
          ResyncStep.CHECKED,
          ResyncStep.BLOCKS,
          ResyncStep.END -> {
        for (int i = 0; i < targets.size(); i++) {
          if (targets.get(i).group().equals(group)) {
            targets.get(i).onFrame(node, frame, nowNs);
          }
        }
      }
      default -> {
        for (int i = 0; i < sources.size(); i++) {
          if (sources.get(i).isOf(group, node)) {
            sources.get(i).onFrame(frame, nowNs);
          }
        }
      }
    }
  }

  private void onBegin(VolumeGroup group, int node, ResyncFrame frame, long nowNs) {
    // What it has applied is committed, even if it has not committed anything in its term: perhaps
    // it can't, as all others lack what it keeps no more.
    if (!group.leads()
        || group.volume().isClosed()
        || group.appliedIndex() < group.replica().baseIndex()) {
      return;
    }
    end(group, node);
    boolean stopped = (frame.b() & ResyncStep.STOPPED) != 0;
    long base = frame.leaf();
    boolean has =
        base > 0
            && group.replica().canSendAfter(node, base)
            && base <= group.appliedIndex()
            && group.replica().entryTerm(base) == frame.a();
    if (!stopped && has) {
      group.replica().resynced(node, base, (frame.b() & ResyncStep.RECOVERING) != 0);
    } else if (stopped || group.replica().needsResync(node)) {
      if (sources.size() < MOST_SESSIONS) {
        sources.add(new ResyncSource(this, store, group, node, frame.session(), nowNs));
      }
    }
  }

  private void end(VolumeGroup group, int node) {
    for (int i = sources.size() - 1; i >= 0; i--) {
      if (sources.get(i).isOf(group, node)) {
        sources.remove(i).close();
      }
    }
  }

  /** Tells a bounded part of what is to be told; returns how much was done. */
  int doWork(long nowNs, boolean busy) {
    boolean none = lagging.isEmpty() && sources.isEmpty() && targets.isEmpty() && kept.isEmpty();
    if (none && progress.isEmpty()) {
      return 0;
    }
    int work = 0;
    if (nowNs - toldNs >= TELL_NS) {
      toldNs = nowNs;
      tell();
      describe();
      dropParts(nowNs);
    }
    for (int i = sources.size() - 1; i >= 0; i--) {
      ResyncSource source = sources.get(i);
      if (source.isOver(nowNs)) {
        sources.remove(i).close();
      } else {
        work += source.work(nowNs, busy);
      }
    }
    for (int i = Math.min(MOST_SESSIONS, targets.size()) - 1; i >= 0; i--) {
      ResyncTarget target = targets.get(i);
      work += target.work(nowNs, busy);
      if (target.isOver()) {
        completed += target.hasCompleted() ? 1 : 0;
        targets.remove(i).close();
      }
    }
    return work;
  }

  private void tell() {
    for (int i = lagging.size() - 1; i >= 0; i--) {
      Lagging member = lagging.get(i);
      VolumeGroup group = member.group;
      if (group.volume().isClosed() || !group.replica().needsResync(member.node)) {
        lagging.remove(i);
      } else {
        boolean _ = send(group, member.node, begin(ResyncStep.NEEDED, 0).bytes(0));
      }
    }
  }

  /** Begins the one frame that is filled in and sent at a time. */
  public ResyncFrame begin(int kind, long session) {
    if (out == null) {
      out = ResyncFrame.toSend();
    }
    return out.begin(kind, session);
  }

  boolean send(VolumeGroup group, int node, ResyncFrame frame) {
    boolean sent = group.replica().sendResync(node, frame);
    sentBytes += sent ? frame.bytes() : 0;
    return sent;
  }

  /** Tells the other side that a session is over. */
  void end(VolumeGroup group, int node, long session, String why) {
    LOG.warn(
        "volume {} (group {}): the resync of node {} ends: {}",
        group.volume().name(),
        group.id(),
        node,
        why);
    ResyncFrame frame = begin(ResyncStep.END, session);
    int length = frame.body().putStringWithoutLengthAscii(0, why);
    boolean _ = send(group, node, frame.bytes(length));
  }

  /**
   * A block can't be told to a member, because the disk holds something else: it is mended from
   * another one, if that is possible.
   */
  void reportDamaged(VolumeGroup group, long block, long place, int checksum) {
    if (!store.mends().mend(group, block, place, checksum, false)) {
      LOG.error(
          "volume {} (group {}): {} does not match its checksum, and a member that lacks it waits"
              + " for it",
          group.volume().name(),
          group.id(),
          store.journal().describe(place));
    }
  }

  void close() {
    sources.forEach(ResyncSource::close);
    targets.forEach(ResyncTarget::close);
    kept.forEach(one -> one.parts.close());
    sources.clear();
    targets.clear();
    if (out != null) {
      out.close();
      out = null;
    }
  }
}
