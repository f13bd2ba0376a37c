package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;

/**
 * How it stands with the search for rotten blocks.
 *
 * @param state of all logs together
 * @param logs each log's part
 * @param damaged what was found and is still there, the first 256 of each log
 * @param mendedBlocks how many blocks were mended from other nodes since the start, by scrubs,
 *     reads and comparisons
 * @param mended which ones, the newest 256 of each log
 */
public record ScrubInfo(
    State state,
    List<LogScrub> logs,
    List<Damage> damaged,
    long mendedBlocks,
    List<Mended> mended) {
  /** Whether a scrub is at work. */
  public enum State {
    /** A pass is at work in one log at least. */
    RUNNING,
    /** None is. */
    IDLE,
    /** There are none, because the configuration says so. */
    OFF;

    /** Returns the word used in JSON. */
    @JsonValue
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * The scrubs of one log.
   *
   * @param log its number
   * @param bytesPerSecond how fast at most
   * @param intervalS seconds between passes; 0 for only when asked
   * @param pastPageCache whether the newest reads saw the disk, or what the kernel had cached
   * @param current the pass at work, or null
   * @param last the newest pass that ended, or null
   * @param nextMs when the next one begins by itself, in milliseconds since the Unix epoch, or null
   */
  public record LogScrub(
      int log,
      State state,
      long bytesPerSecond,
      long intervalS,
      boolean pastPageCache,
      Pass current,
      Pass last,
      Long nextMs) {}

  /**
   * A pass over a log.
   *
   * @param startedMs when it began, in milliseconds since the Unix epoch
   * @param endedMs when it ended; null while it runs
   * @param segmentsDone of {@code segmentsTotal}
   * @param bytesDone of {@code bytesTotal}: what was verified, or is dead and was passed over
   * @param percent of the bytes
   * @param bytesRead from the disk
   * @param remainingMs how long it takes from now, at the rate so far; null when that is not known
   * @param damagedBlocks that it has found
   * @param complete whether it has looked at everything
   */
  public record Pass(
      long startedMs,
      Long endedMs,
      int segmentsDone,
      int segmentsTotal,
      long bytesDone,
      long bytesTotal,
      int percent,
      long bytesRead,
      Long remainingMs,
      long damagedBlocks,
      boolean complete) {}

  /**
   * A damaged block, or several.
   *
   * @param log the number of the log
   * @param segment where it is, and so the number of the file
   * @param offset in the file, in bytes
   * @param blocks how many; more than one only where they can't be told apart
   * @param what is wrong
   * @param owners the volumes and snapshots that have lost it
   * @param role what it is when it belongs to none: a part of the checkpoint; else empty
   */
  public record Damage(
      int log,
      int segment,
      long offset,
      long blocks,
      String what,
      List<Owner> owners,
      String role) {
    /** Copies the list. */
    public Damage {
      owners = List.copyOf(owners);
    }
  }

  /**
   * A block that was mended.
   *
   * @param log the number of the log
   * @param segment where it was damaged
   * @param offset in the file, in bytes
   * @param volume whose it is
   * @param block of 4096 bytes, from the start of the volume
   * @param node that had a good copy
   */
  public record Mended(int log, int segment, long offset, String volume, long block, int node) {}

  /**
   * A block of a volume or snapshot.
   *
   * @param snapshot null for the volume itself
   * @param block of 4096 bytes, from the start of the volume
   */
  public record Owner(String volume, String snapshot, long block) {}

  /** Copies the lists. */
  public ScrubInfo {
    logs = List.copyOf(logs);
    damaged = List.copyOf(damaged);
    mended = List.copyOf(mended);
  }
}
