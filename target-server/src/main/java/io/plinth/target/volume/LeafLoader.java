package io.plinth.target.volume;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.PlantedBug;
import java.util.BitSet;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.agrona.collections.Int2IntHashMap;
import org.agrona.collections.Long2LongHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings leaf pages back into memory that were dropped: from a segment that is in memory at once,
 * else through the ring into a buffer of its own, and from there, verified, to where the page was.
 *
 * <pre>
 *   absent --bring--> loading --read, verified--> in memory, kept a while for who asked (fresh)
 *                        |
 *                        +--not to be had--> EIO for whoever asks in the next second; then read again
 * </pre>
 *
 * The segment is pinned during the read. The place is that which the page has when the read begins:
 * a page that is not in memory is not written anywhere else meanwhile.
 */
final class LeafLoader implements Completion {
  private static final Logger LOG = LoggerFactory.getLogger(LeafLoader.class);
  private static final int BLOCK = Volume.BLOCK_BYTES;

  /** Reads that are on their way at most. */
  static final int READS = 64;

  /**
   * So many of the pages that were read last are not dropped as long as any read is under way: who
   * needs many pages at once must find the first still there when the last one comes. The largest
   * request needs 20, and whoever has waited longest is the first to start reads. With less than
   * the least limit of a server, for tests, fewer.
   */
  static final int KEPT = 1024;

  /** But not more than one of so many pages that there is room for. */
  private static final int KEPT_PART = 4;

  private static final long RETRY_NS = TimeUnit.SECONDS.toNanos(1);
  private static final long NONE = -1;

  private final VolumeStore store;
  private final IndexPages pages;
  private final NativeMemory buffers = NativeMemory.reserve((long) READS * BLOCK);
  private final CRC32C crc = new CRC32C();
  private final int[] readPages = new int[READS];
  private final int[] readChecksums = new int[READS];
  private final long[] readPlaces = new long[READS];
  private final long[] pins = new long[READS];
  private final int[] idle = new int[READS];
  private int idleCount = READS;

  /** Until when what is at a place is known not to be had. */
  private final Long2LongHashMap failedUntil = new Long2LongHashMap(NONE);

  /** Pages that are to be written anew as soon as they are in memory. */
  private final BitSet mended = new BitSet();

  private final int[] kept;
  private int keptCount;
  private int keptNext;

  /** Whether a page has come that its reader had no time to use. */
  private boolean news;

  /** Where pages were when they were first dropped; null unless a mistake is planted. */
  private final Long2LongHashMap stalePlaces;

  private final Int2IntHashMap staleChecksums;

  /** Reads pages and waits for it; null unless that is allowed. */
  private IndexSpace.PageReader reader;

  private long reread;
  private long failed;

  /**
   * Creates a loader.
   *
   * @param limitPages how many pages there is room for
   */
  LeafLoader(VolumeStore store, long limitPages) {
    this.store = store;
    this.kept = new int[Math.clamp(limitPages / KEPT_PART, READS, KEPT)];
    this.pages = store.space().pages();
    for (int i = 0; i < READS; i++) {
      idle[i] = i;
    }
    boolean stale = store.isPlanted(PlantedBug.STALE_PLACE_ON_RELOAD);
    stalePlaces = stale ? new Long2LongHashMap(NONE) : null;
    staleChecksums = stale ? new Int2IntHashMap(0) : null;
  }

  /** Returns how many pages were read again since the start. */
  long reread() {
    return reread;
  }

  /** Returns how often a page could not be read. */
  long failed() {
    return failed;
  }

  /** Lets pages be read while the caller waits, or ends that with null. */
  void readNow(IndexSpace.PageReader newReader) {
    reader = newReader;
  }

  /**
   * Reads a page while the caller waits, where that is allowed; returns whether it is.
   *
   * @throws UnreadableLeafException when it can't be read
   */
  boolean readNow(int page) {
    if (reader == null) {
      return false;
    }
    try {
      reader.read(page);
    } catch (IndexException e) {
      failed++;
      throw new UnreadableLeafException(e.getMessage());
    }
    reread++;
    return true;
  }

  /** See {@link IndexSpace#bring}; for a page that is not in memory. */
  int bring(int page) {
    if (reader != null) {
      return readNow(page) ? Status.OK : Status.EIO;
    }
    if (pages.isLoading(page)) {
      return store.laterStatus();
    }
    long place = pages.place(page);
    long until = failedUntil.get(place);
    if (until != NONE && until - store.core().clock().nowNs() > 0) {
      return Status.EIO;
    }
    int checksum = pages.checksum(page);
    if (stalePlaces != null) {
      place = stalePlaces.putIfAbsent(page, place) == NONE ? place : stalePlaces.get(page);
      checksum = staleChecksums.computeIfAbsent(page, pages::checksum);
    }
    Journal journal = store.journal();
    long address = journal.residentAddress(place);
    if (address == 0) {
      return start(page, place, checksum);
    }
    if (!journal.isResidentGood(place, address, checksum)) {
      fail(page, place, "does not match its checksum");
      return Status.EIO;
    }
    install(page, address);
    return Status.OK;
  }

  private int start(int page, long place, int checksum) {
    if (idleCount == 0) {
      return store.laterStatus();
    }
    int slot = idle[idleCount - 1];
    long pin = store.journal().pin(place);
    long address = buffers.address() + (long) slot * BLOCK;
    if (!store.journal().read(place, 1, address, this, slot)) {
      store.journal().release(pin);
      // The ring has no slot: as soon as anything ends.
      int later = store.laterStatus();
      store.noteProgress();
      return later;
    }
    idleCount--;
    readPages[slot] = page;
    readPlaces[slot] = place;
    readChecksums[slot] = checksum;
    pins[slot] = pin;
    pages.setLoading(page, true);
    return store.laterStatus();
  }

  @Override
  public void onComplete(long context, int result) {
    int slot = (int) context;
    int page = readPages[slot];
    long place = readPlaces[slot];
    store.journal().release(pins[slot]);
    idle[idleCount++] = slot;
    // The cleaner may have put it back meanwhile, and then it may be another page by now.
    boolean awaited = pages.isLoading(page) && (pages.place(page) == place || stalePlaces != null);
    if (awaited) {
      pages.setLoading(page, false);
      long address = buffers.address() + (long) slot * BLOCK;
      if (result != BLOCK) {
        fail(page, place, result < 0 ? "can't be read: " + Status.name(result) : "is cut short");
      } else if (buffers.crc32c(crc, address, BLOCK) != readChecksums[slot]) {
        fail(page, place, "does not match its checksum");
      } else {
        install(page, address);
      }
    }
    store.noteProgress();
  }

  /**
   * Puts a dropped page back that the caller has found a copy of; returns whether it is the right
   * one.
   */
  boolean putBack(int page, NativeMemory region, long address) {
    if (region.crc32c(crc, address, BLOCK) != pages.checksum(page)) {
      return false;
    }
    install(page, address);
    return true;
  }

  private void install(int page, long address) {
    NativeMemory.copy(address, pages.address(page), BLOCK);
    pages.restored(page);
    reread++;
    news = true;
    long _ = failedUntil.remove(pages.place(page));
    keep(page);
    if (mended.get(page)) {
      mended.clear(page);
      pages.touch(page);
      store.checkpointer().requestSoon();
    }
  }

  private void keep(int page) {
    if (keptCount == kept.length) {
      pages.keep(kept[keptNext], IndexPages.FRESH, false);
    } else {
      keptCount++;
    }
    kept[keptNext] = page;
    keptNext = (keptNext + 1) % kept.length;
    pages.keep(page, IndexPages.FRESH, true);
  }

  /** Once in each duty cycle, before pages are dropped. */
  void relax() {
    if (news || idleCount < READS) {
      news = false;
      return;
    }
    for (; keptCount > 0; keptCount--) {
      keptNext = (keptNext + kept.length - 1) % kept.length;
      pages.keep(kept[keptNext], IndexPages.FRESH, false);
    }
  }

  private void fail(int page, long place, String what) {
    boolean known = failedUntil.containsKey(place);
    failedUntil.put(place, store.core().clock().nowNs() + RETRY_NS);
    failed++;
    if (!known) {
      LOG.error(
          "{}: index page {} {}; reads and writes of what is below it fail",
          store.journal().describe(place),
          page,
          what);
    }
  }

  /** Lets a dropped page be written anew when it is in memory again, and reads it. */
  void mend(int page) {
    mended.set(page);
    int _ = bring(page);
  }

  void close() {
    buffers.close();
  }
}
