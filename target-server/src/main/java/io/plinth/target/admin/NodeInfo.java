package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;

/**
 * The node as a person sees it.
 *
 * @param version the version of the software
 * @param nodeId the identity of the data directory
 * @param state whether it serves
 * @param dataDir the absolute path of the data directory
 * @param processId of the operating system
 * @param cores engine threads
 * @param uptimeMs milliseconds since the start
 * @param listeners where clients connect
 * @param logCapacityBytes what the log may use, over all cores
 * @param logUsedBytes what its segments use now
 * @param logs each log's figures
 * @param recovery one line: what recovery found at the last start
 * @param dutyCycles how long the cores' duty cycles took, in the order of the cores
 */
public record NodeInfo(
    String version,
    String nodeId,
    State state,
    String dataDir,
    long processId,
    int cores,
    long uptimeMs,
    List<Listener> listeners,
    long logCapacityBytes,
    long logUsedBytes,
    List<LogInfo> logs,
    String recovery,
    List<DutyCycle> dutyCycles) {

  /** Whether a node serves. */
  public enum State {
    /** Recovery runs; volumes are not there yet. */
    STARTING,
    /** Serves. */
    RUNNING,
    /** Finishes what is in flight. */
    STOPPING,
    /** A log stopped acknowledging after an error of its device. */
    FAILED;

    /** Returns the word used in JSON. */
    @JsonValue
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A place where clients connect.
   *
   * @param protocol {@code nbd} or {@code admin}
   * @param address {@code 127.0.0.1:10809} or {@code unix:/run/plinth.sock}
   */
  public record Listener(String protocol, String address) {}

  /**
   * What the duty cycles of a core were like since clients can attach; waiting for work is no part
   * of them.
   *
   * @param core its number
   * @param stalls cycles that took more than 10 ms
   * @param longestUs microseconds of the longest
   */
  public record DutyCycle(int core, long stalls, long longestUs) {}

  /**
   * How full a log is, and what was done about it since the start.
   *
   * @param log its number
   * @param core the core that owns it
   * @param segmentBytes the size of a segment
   * @param segmentsInUse segments that hold records
   * @param segmentsSpare segments that have a file and hold none
   * @param segmentsAvailable segments that could be begun after the one being written, spare ones
   *     among them
   * @param liveBytes what is needed of the segments in use: data that an index refers to, and the
   *     checkpoint
   * @param writtenBytes clients' data that was appended
   * @param appendedBytes all that was appended: headers, checkpoints and what the cleaner moved
   *     too; divided by {@code writtenBytes} it is the write amplification
   * @param checkpoints how many became durable
   * @param cleanedSegments how many segments the cleaner has emptied
   * @param movedBlocks how many blocks it has moved for that
   * @param memoryWaits how often appends had to wait for memory of the segment that is written
   * @param segmentWaits how often they had to wait for the next segment
   * @param indexBytes memory that the index takes: pages, and a byte for each block of segments in
   *     use
   * @param indexDroppedBytes pages of the index that are not in memory now, see {@code
   *     log.index-memory}
   * @param indexDrops how often a page was dropped
   * @param indexReads how often a page was read again
   * @param indexReadFailures how often that failed
   */
  public record LogInfo(
      int log,
      int core,
      int segmentBytes,
      int segmentsInUse,
      int segmentsSpare,
      int segmentsAvailable,
      long liveBytes,
      long writtenBytes,
      long appendedBytes,
      long checkpoints,
      long cleanedSegments,
      long movedBlocks,
      long memoryWaits,
      long segmentWaits,
      long indexBytes,
      long indexDroppedBytes,
      long indexDrops,
      long indexReads,
      long indexReadFailures) {}

  /** Copies the lists. */
  public NodeInfo {
    logs = List.copyOf(logs);
    listeners = List.copyOf(listeners);
    dutyCycles = List.copyOf(dutyCycles);
  }
}
