package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import java.util.concurrent.TimeUnit;

/**
 * Keeps the pages of a log's indexes within a memory limit: drops leaf pages that were not used
 * lately, chosen by a hand that goes round (second chance), a bounded number in each duty cycle.
 *
 * <p>The limit is a target. Above it may be what can't be dropped: pages that were changed since
 * the last checkpoint, for which one begins when they take half of the limit; pages that somebody
 * waits for (see {@link LeafLoader#KEPT}); inner pages. Nothing is dropped between the moment when
 * a request of a group without other members is begun and that when it is applied, so that whoever
 * found the pages there finds them again.
 */
final class ColdLeaves {
  private static final int LOOKED_PER_CYCLE = 512;
  private static final int DROPPED_PER_CYCLE = 64;

  /** How long nothing is looked for after a whole round without a page to drop. */
  private static final long PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(10);

  /** A checkpoint for the sake of the limit writes as many pages at least. */
  private static final int LEAST_CHECKPOINT_PAGES = 8;

  /** At start pages are dropped once in so many batches: most were changed by then. */
  private static final int BATCHES_PER_LOOK = 64;

  private final VolumeStore store;
  private final IndexPages pages;
  private final boolean dropsChanged;

  /** Reads pages while the caller waits. */
  private IndexSpace.PageReader reader;

  /** Null without a limit. */
  private LeafLoader loader;

  private long limitPages;
  private int batches;
  private int hand;
  private int vainLooks;
  private long pausedUntilNs;
  private long dropped;

  ColdLeaves(VolumeStore store) {
    this.store = store;
    this.pages = store.space().pages();
    this.dropsChanged = store.isPlanted(PlantedBug.DROP_DIRTY_PAGE);
  }

  /** Sets a limit, which there is none without. Before the first page. */
  void limit(long bytes) {
    limitPages = bytes / IndexPages.PAGE_BYTES;
    loader = new LeafLoader(store, limitPages);
    store.space().limit(loader);
  }

  /** A log is about to be loaded: until {@link #readNow} pages are read while the caller waits. */
  void begin(IndexSpace.PageReader newReader) {
    reader = newReader;
    readNow(true);
  }

  /**
   * Lets whoever uses a dropped page wait until it is read, or not any more. At start, and for
   * tools that look at everything.
   */
  void readNow(boolean allowed) {
    if (loader != null) {
      loader.readNow(allowed ? reader : null);
    }
  }

  /** Returns what the pages take; any thread, approximately. */
  IndexMemory memory() {
    return new IndexMemory(
        (long) pages.residentPages() * IndexPages.PAGE_BYTES,
        (long) pages.absentPages() * IndexPages.PAGE_BYTES,
        dropped,
        loader == null ? 0 : loader.reread(),
        loader == null ? 0 : loader.failed());
  }

  private boolean isOverLimit() {
    return loader != null && pages.residentPages() > limitPages;
  }

  /** Drops a leaf that has just been read, at start, if there are enough in memory. */
  void limitAtStart(int page) {
    if (isOverLimit() && pages.isDroppable(page, false)) {
      pages.drop(page);
      dropped++;
    }
  }

  /** Drops what is over the limit and was not changed, at start; once for each batch. */
  void shrinkAtStart() {
    boolean looks = ++batches % BATCHES_PER_LOOK == 0;
    for (int i = 0; looks && i < LOOKED_PER_CYCLE && isOverLimit(); i++) {
      int _ = dropNext();
    }
  }

  /**
   * Drops some.
   *
   * @param begun whether requests that found their pages in memory are not applied yet
   */
  int doWork(long nowNs, boolean begun) {
    if (loader == null) {
      return 0;
    }
    loader.relax();
    if (!isOverLimit() || begun || store.journal().failure() != Status.OK) {
      return 0;
    }
    long unwritten = pages.unwrittenPages();
    if (unwritten >= Math.max(LEAST_CHECKPOINT_PAGES, limitPages / 2)
        && !store.checkpointer().isBusy()) {
      store.checkpointer().requestSoon();
    }
    if (nowNs - pausedUntilNs < 0) {
      return 0;
    }
    int done = 0;
    for (int i = 0; i < LOOKED_PER_CYCLE && done < DROPPED_PER_CYCLE && isOverLimit(); i++) {
      done += dropNext();
    }
    if (vainLooks > 2L * pages.pageLimit()) {
      vainLooks = 0;
      pausedUntilNs = nowNs + PAUSE_NS;
    }
    return done;
  }

  private int dropNext() {
    hand = hand + 1 >= pages.pageLimit() ? 1 : hand + 1;
    vainLooks++;
    if (hand >= pages.pageLimit()
        || !pages.isDroppable(hand, dropsChanged)
        || pages.takeUse(hand)
        || !store.checkpointer().isDurable(pages.place(hand))) {
      return 0;
    }
    pages.drop(hand);
    dropped++;
    vainLooks = 0;
    return 1;
  }

  void close() {
    if (loader != null) {
      loader.close();
    }
  }
}
