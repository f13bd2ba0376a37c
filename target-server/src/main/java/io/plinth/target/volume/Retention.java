package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.Journal;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps so much of the log that volumes can be restored as they were within a time: takes snapshots
 * of its own, which nobody sees, to begin from, and keeps the segments behind them. Clients' writes
 * come first: when space gets scarce there is less history.
 */
public final class Retention {
  private static final Logger LOG = LoggerFactory.getLogger(Retention.class);

  /** What the names of its snapshots begin with; those of others begin with a letter or digit. */
  static final String PREFIX = ".history-";

  private static final long MAX_LOOK_NS = TimeUnit.SECONDS.toNanos(1);

  /** A snapshot is taken in each of so many parts of the time. */
  private static final int PARTS = 4;

  private static final int LOOKS_PER_PART = 8;
  private static final int VOLUMES_PER_CYCLE = 16;

  /** None is taken unless one of so many segments is free. */
  private static final int TAKES = 4;

  /** The oldest is given up when not even one of so many is. */
  private static final int GIVES_WAY = 8;

  private final VolumeStore store;
  private long retentionMs;
  private long lookNs = MAX_LOOK_NS;
  private long lastLookNs;
  private long retainedFrom = Long.MAX_VALUE;

  /** Nothing is to be kept, and nothing is left of what was. */
  private boolean finished;

  private boolean busy;
  private boolean gaveWay;

  /** Volumes that have not been looked at in this round. */
  private final ArrayDeque<LogVolume> round = new ArrayDeque<>();

  Retention(VolumeStore store) {
    this.store = store;
  }

  /** Sets how long; zero keeps nothing. Before the store is started. */
  public void configure(long milliseconds) {
    retentionMs = milliseconds;
    long partNs = TimeUnit.MILLISECONDS.toNanos(milliseconds) / PARTS;
    lookNs = partNs == 0 ? MAX_LOOK_NS : Math.min(MAX_LOOK_NS, partNs / LOOKS_PER_PART);
  }

  /** Returns the sequence from which on segments are kept though they are dead. */
  long retainedFrom() {
    return retainedFrom;
  }

  /** Returns whether a command of its own is on its way. */
  boolean isBusy() {
    return busy;
  }

  /** Finds out anew from where on segments are kept. */
  void look() {
    retainedFrom = Long.MAX_VALUE;
    if (retentionMs == 0) {
      return;
    }
    long limitMs = store.core().clock().epochMs() - retentionMs;
    for (LogVolume volume : store.volumes()) {
      LogPoint base = baseAt(volume, limitMs);
      retainedFrom = base == null ? retainedFrom : Math.min(retainedFrom, base.segment());
    }
  }

  /**
   * Returns the newest point at or before a time, else the oldest after it, else null. Snapshots
   * that others may delete at any time are none.
   */
  private LogPoint baseAt(LogVolume volume, long epochMs) {
    LogPoint before = null;
    LogPoint after = null;
    for (LogPoint point : points(volume)) {
      if (point.epochMs() <= epochMs) {
        before = before == null || point.batch() > before.batch() ? point : before;
      } else {
        after = after == null || point.batch() < after.batch() ? point : after;
      }
    }
    return before == null ? after : before;
  }

  private List<LogPoint> points(LogVolume volume) {
    List<LogPoint> points = new ArrayList<>();
    points.add(volume.beginPoint());
    for (SnapshotVolume snapshot : volume.snapshots()) {
      if (snapshot.isHidden()) {
        points.add(snapshot.point());
      }
    }
    points.removeIf(point -> !isKept(point));
    return points;
  }

  private boolean isKept(LogPoint point) {
    return point.index() > 0 && point.segment() >= store.deadSegments().keptFrom();
  }

  /** Begins one command at most; those that are due follow each other without a pause. */
  int doWork(long nowNs) {
    if (busy || finished) {
      return 0;
    }
    if (round.isEmpty()) {
      if (nowNs - lastLookNs < lookNs) {
        return 0;
      }
      lastLookNs = nowNs;
      look();
      round.addAll(store.volumes());
    }
    if (hasLessThan(GIVES_WAY)) {
      round.clear();
      return giveWay() ? 1 : 0;
    }
    for (int i = 0; i < VOLUMES_PER_CYCLE && !round.isEmpty(); i++) {
      if (round.peek().isClosed() || !begins(round.peek())) {
        LogVolume _ = round.remove();
      }
      if (busy) {
        return 1;
      }
    }
    if (round.isEmpty()) {
      gaveWay = false;
      finished = retentionMs == 0;
    }
    return 1;
  }

  /** Begins what is to be done with a volume; what gives space back goes first. */
  private boolean begins(LogVolume volume) {
    long nowMs = store.core().clock().epochMs();
    SnapshotVolume needless = needless(volume, nowMs - retentionMs);
    if (needless != null) {
      delete(needless);
      return true;
    }
    // With other members this log does not tell what a volume was.
    boolean takes =
        retentionMs > 0
            && volume.group().isAlone()
            && !hasLessThan(TAKES)
            && store.treeCount() < mostTrees();
    if (takes && newest(volume).epochMs() <= nowMs - retentionMs / PARTS) {
      begun();
      store.snapshot(volume, PREFIX + nowMs, () -> isAllowed(volume), this::ended);
      return true;
    }
    return false;
  }

  /** Others need some of what a log can hold. */
  private int mostTrees() {
    return store.maxTrees() / 2;
  }

  private LogPoint newest(LogVolume volume) {
    LogPoint newest = LogPoint.NONE;
    for (LogPoint point : points(volume)) {
      newest = point.batch() > newest.batch() ? point : newest;
    }
    return newest;
  }

  /** Returns whether less than one of so many segments is free. */
  private boolean hasLessThan(int part) {
    Journal journal = store.journal();
    return journal.availableSegments()
        < journal.reservedSegments() + journal.limitSegments() / part;
  }

  /** Returns one of its snapshots from which nothing begins that is to be kept. */
  private SnapshotVolume needless(LogVolume volume, long limitMs) {
    LogPoint base = retentionMs == 0 ? null : baseAt(volume, limitMs);
    for (SnapshotVolume snapshot : volume.snapshots()) {
      boolean needed =
          base != null && snapshot.point().batch() >= base.batch() && isKept(snapshot.point());
      if (snapshot.isHidden() && !needed) {
        return snapshot;
      }
    }
    return null;
  }

  /**
   * There is no room for a client's data: gives up the oldest of its snapshots.
   *
   * @return whether room may come of it
   */
  boolean giveWay() {
    if (busy) {
      return true;
    }
    SnapshotVolume oldest = null;
    for (LogVolume volume : store.volumes()) {
      for (SnapshotVolume snapshot : volume.snapshots()) {
        boolean older = oldest == null || snapshot.point().batch() < oldest.point().batch();
        oldest = snapshot.isHidden() && older ? snapshot : oldest;
      }
    }
    if (oldest == null) {
      return false;
    }
    noteScarce();
    delete(oldest);
    return true;
  }

  /** Tells once that there is less history than was asked for. */
  void noteScarce() {
    if (!gaveWay && retentionMs > 0) {
      gaveWay = true;
      LOG.warn("the log is nearly full: history is given up before its time (log.retention)");
    }
  }

  private void delete(SnapshotVolume snapshot) {
    LogVolume volume = snapshot.origin();
    begun();
    store.deleteSnapshot(volume, snapshot.snapshotName(), () -> isAllowed(volume), this::ended);
  }

  private boolean isAllowed(LogVolume volume) {
    busy = !volume.isClosed();
    return busy;
  }

  private void begun() {
    busy = true;
  }

  private void ended(int status) {
    busy = false;
    if (status != Status.OK) {
      LOG.debug("history: {}", Status.name(status));
    }
  }
}
