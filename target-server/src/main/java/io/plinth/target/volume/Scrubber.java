package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.engine.api.Timers;
import io.plinth.log.journal.Journal;
import io.plinth.log.segment.Segment;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks for what has rotted: reads every live block of the log from the disk, at a limited rate and
 * one small read at a time, and compares it with the checksum that the index has.
 *
 * <p>A pass covers what was in the log when it began, which is made durable first. What the cleaner
 * moves out of segments that are still to come is verified by the cleaner, which tells {@link
 * #moved} what does not match.
 */
public final class Scrubber {
  private static final Logger LOG = LoggerFactory.getLogger(Scrubber.class);

  /** How long a read waits for a duty cycle in which clients want little. */
  private static final long POSTPONE_NS = TimeUnit.MILLISECONDS.toNanos(50);

  /** What a pass may catch up with after it could not read for a while. */
  private static final long BURST_NS = TimeUnit.MILLISECONDS.toNanos(20);

  /**
   * How long after a start the first pass begins at the latest: nothing is kept of when the last
   * one was.
   */
  private static final long FIRST_NS = TimeUnit.HOURS.toNanos(1);

  /**
   * How scrubs are done.
   *
   * @param bytesPerSecond how fast; zero for never
   * @param intervalNs from the begin of a pass to that of the next; zero for only when asked
   */
  public record Settings(long bytesPerSecond, long intervalNs) {
    /** No scrubs. */
    public static final Settings OFF = new Settings(0, 0);
  }

  /**
   * A pass.
   *
   * @param startedMs when it began, in milliseconds since the Unix epoch
   * @param endedMs when it ended; 0 while it runs
   * @param segmentsDone of {@code segmentsTotal}
   * @param segmentsTotal in use when it began
   * @param bytesDone of {@code bytesTotal}: what was read or is dead
   * @param bytesTotal in the log when it began
   * @param bytesRead from the disk
   * @param damagedBlocks that it has found
   * @param remainingMs how long it will take from now, at the rate so far; -1 for unknown
   * @param complete whether everything was looked at
   */
  public record Pass(
      long startedMs,
      long endedMs,
      int segmentsDone,
      int segmentsTotal,
      long bytesDone,
      long bytesTotal,
      long bytesRead,
      long damagedBlocks,
      long remainingMs,
      boolean complete) {}

  /**
   * How it stands.
   *
   * @param running whether a pass is at work
   * @param pastPageCache whether the newest reads saw the disk, not the kernel's page cache
   * @param current the pass at work, or null
   * @param last the newest pass that ended, or null
   * @param nextMs when the next pass begins by itself, in milliseconds since the Unix epoch; -1 for
   *     never
   */
  public record Progress(
      Settings settings,
      boolean running,
      boolean pastPageCache,
      Pass current,
      Pass last,
      long nextMs) {}

  private enum Stage {
    IDLE,
    SYNC,
    SEGMENTS
  }

  private final VolumeStore store;
  private final DamageList damage = new DamageList();
  private final SegmentScrub segmentScrub;
  private final Timers.Task onWake = nowNs -> wakeArmed = false;
  private Settings settings = Settings.OFF;
  private Stage stage = Stage.IDLE;
  private long passNumber;
  private boolean scheduled;
  private long nextPassNs;
  private long nextReadNs;
  private boolean wakeArmed;
  private boolean pastPageCache;
  private Pass last;

  // The pass at work.
  private long startedMs;
  private long startedNs;
  private long lastSequence;
  private int lastEnd;
  private int slot;
  private int segmentsDone;
  private int segmentsTotal;
  private long bytesDone;
  private long bytesTotal;
  private long bytesRead;

  Scrubber(VolumeStore store, int segmentBytes) {
    this.store = store;
    this.segmentScrub = new SegmentScrub(store, segmentBytes, damage);
  }

  /** Sets how scrubs are done; on the core. */
  public void configure(Settings newSettings) {
    settings = newSettings;
    scheduled = settings.bytesPerSecond() > 0 && settings.intervalNs() > 0;
    nextPassNs = store.core().clock().nowNs() + Math.min(FIRST_NS, settings.intervalNs());
    if (settings.bytesPerSecond() == 0) {
      stop();
    }
  }

  /** Returns what was found; on the core. */
  DamageList damage() {
    return damage;
  }

  /** Returns how it stands; on the core. */
  public Progress progress() {
    boolean running = stage != Stage.IDLE;
    long nextMs = -1;
    if (scheduled && !running) {
      long waitNs = Math.max(0, nextPassNs - store.core().clock().nowNs());
      nextMs = store.core().clock().epochMs() + TimeUnit.NANOSECONDS.toMillis(waitNs);
    }
    return new Progress(
        settings, running, pastPageCache, running ? pass(0, false) : null, last, nextMs);
  }

  private Pass pass(long endedMs, boolean complete) {
    long done = bytesDone + (segmentScrub.isOpen() ? segmentScrub.position() : 0);
    done = complete ? bytesTotal : Math.min(done, bytesTotal);
    long elapsedNs = store.core().clock().nowNs() - startedNs;
    long remainingMs = -1;
    if (complete || done > 0) {
      double nsPerByte = done == 0 ? 0 : (double) elapsedNs / done;
      remainingMs = TimeUnit.NANOSECONDS.toMillis((long) (nsPerByte * (bytesTotal - done)));
    }
    return new Pass(
        startedMs,
        endedMs,
        complete ? segmentsTotal : segmentsDone,
        segmentsTotal,
        done,
        bytesTotal,
        bytesRead,
        damage.count(),
        remainingMs,
        complete);
  }

  /**
   * Begins a pass unless one is at work; on the core.
   *
   * @return false when that can't be: scrubs are switched off, or the log has failed
   */
  public boolean start() {
    if (settings.bytesPerSecond() == 0 || store.journal().failure() != Status.OK) {
      return false;
    }
    if (stage == Stage.IDLE) {
      begin();
    }
    return true;
  }

  /** Ends the pass at work before its time; on the core. */
  public void stop() {
    if (stage != Stage.IDLE) {
      end(false);
    }
  }

  /**
   * The cleaner has moved a block that does not match its checksum. It is asked for there: the pass
   * does not come to the new place, and who asked for it at the old one does so no more.
   */
  void moved(int family, long block, long from, long to, int checksum) {
    if (damage.moved(from, life(from), to, life(to))) {
      return;
    }
    LogVolume volume = store.volume(family);
    if (volume == null || !store.mends().mend(volume.group(), block, to, checksum, true)) {
      notMended(family, block, to);
    }
  }

  /** What a scrub or the cleaner has found damaged, nobody else has either. */
  void notMended(int family, long block, long place) {
    damage.addMismatch(family, block, place, life(place));
  }

  /** Returns the sequence of the segment that a place is in, which tells its lives apart. */
  long life(long place) {
    Segment segment = store.journal().segment((int) (place / store.blocksPerSegment()));
    return segment == null ? -1 : segment.sequence();
  }

  private void begin() {
    long now = store.core().clock().nowNs();
    startedNs = now;
    startedMs = store.core().clock().epochMs();
    nextPassNs = now + settings.intervalNs();
    nextReadNs = now;
    slot = 0;
    segmentsDone = 0;
    bytesDone = 0;
    bytesRead = 0;
    damage.beginPass();
    stage = Stage.SYNC;
    long number = ++passNumber;
    // What is not durable yet may rightly not be on the disk.
    store.journal().seal();
    measure();
    store.whenDurable(status -> onDurable(number, status));
  }

  private void measure() {
    Journal journal = store.journal();
    Segment active = journal.active();
    lastSequence = active == null ? 0 : active.sequence();
    lastEnd = active == null ? 0 : active.usedBytes();
    segmentsTotal = 0;
    bytesTotal = 0;
    for (int i = 0; i < journal.slotCount(); i++) {
      Segment segment = journal.segment(i);
      if (segment != null && segment.sequence() <= lastSequence) {
        segmentsTotal++;
        bytesTotal += segment.usedBytes();
      }
    }
  }

  private void onDurable(long number, int status) {
    if (stage != Stage.SYNC || number != passNumber) {
      return;
    }
    if (status != Status.OK) {
      end(false);
    } else {
      stage = Stage.SEGMENTS;
    }
  }

  /**
   * Does a bit.
   *
   * @param busy whether clients want much in this duty cycle
   */
  int doWork(long nowNs, boolean busy) {
    if (stage == Stage.IDLE) {
      if (scheduled && nowNs - nextPassNs >= 0 && !start()) {
        scheduled = false;
      }
      return 0;
    }
    if (store.journal().failure() != Status.OK) {
      end(false);
      return 1;
    }
    return stage == Stage.SYNC || segmentScrub.isReading() ? 0 : scrub(nowNs, busy);
  }

  private int scrub(long nowNs, boolean busy) {
    if (!segmentScrub.isOpen()) {
      return openNext();
    }
    if (segmentScrub.isDone()) {
      segmentsDone++;
      bytesDone += segmentScrub.end();
      segmentScrub.close();
      return 1;
    }
    int bytes = segmentScrub.wantedBytes();
    if (bytes == 0) {
      return segmentScrub.look();
    }
    if (!segmentScrub.isReady()) {
      return 0;
    }
    boolean early = nowNs - nextReadNs < 0;
    if (early || (busy && nowNs - nextReadNs < POSTPONE_NS)) {
      wakeAt(nextReadNs);
      return 0;
    }
    if (!segmentScrub.read()) {
      return 0;
    }
    pastPageCache = segmentScrub.readsPastCache();
    bytesRead += bytes;
    long costNs = (long) (1e9 * bytes / settings.bytesPerSecond());
    nextReadNs = Math.max(nextReadNs, nowNs - BURST_NS) + costNs;
    return 1;
  }

  /** An idle core sleeps until something happens. */
  private void wakeAt(long deadlineNs) {
    if (!wakeArmed) {
      wakeArmed = true;
      long _ = store.core().timers().schedule(deadlineNs, onWake);
    }
  }

  private int openNext() {
    Journal journal = store.journal();
    BlockReferences references = store.space().references();
    while (slot < journal.slotCount()) {
      int i = slot++;
      Segment segment = journal.segment(i);
      if (segment == null || segment.sequence() > lastSequence) {
        continue;
      }
      if (references.liveData(i) > 0 || references.liveMeta(i) > 0) {
        int end = segment.sequence() == lastSequence ? lastEnd : segment.usedBytes();
        segmentScrub.open(segment, end);
        return 1;
      }
      segmentsDone++;
      bytesDone += segment.usedBytes();
    }
    if (store.mends().isBusy()) {
      // What can't be mended is damaged.
      return 0;
    }
    end(true);
    return 1;
  }

  private void end(boolean complete) {
    damage.endPass(complete);
    last = pass(store.core().clock().epochMs(), complete);
    stage = Stage.IDLE;
    if (segmentScrub.isOpen()) {
      segmentScrub.close();
    }
    LOG.info(
        "{}: scrub {}, {} bytes read, damaged blocks: {}",
        store.journal().name(),
        complete ? "completed" : "stopped",
        bytesRead,
        last.damagedBlocks());
  }

  void close() {
    segmentScrub.free();
  }
}
