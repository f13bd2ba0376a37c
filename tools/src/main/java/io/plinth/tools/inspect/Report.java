package io.plinth.tools.inspect;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.plinth.target.volume.CheckpointContent;
import io.plinth.target.volume.IndexWalk;
import io.plinth.target.volume.TlsMode;
import io.plinth.target.volume.VolumeSettings;
import java.util.List;
import java.util.Map;

/**
 * What was found in a data directory.
 *
 * @param dataDir its path
 * @param logs log 0 first
 * @param problem the first broken thing; null when nothing is broken
 */
public record Report(String dataDir, List<Log> logs, Problem problem) {
  /**
   * Something that is broken.
   *
   * @param log the name of the log
   * @param segment its slot; null when it is not in a segment
   * @param offset in the segment, in bytes; null as well
   * @param message one line that names the place too
   */
  public record Problem(String log, Integer segment, Long offset, String message) {}

  /**
   * One log. What could not be found out, because of a problem, is null.
   *
   * @param name {@code log-0}
   * @param segmentBytes the size of a segment; null without a superblock
   * @param superblocks both copies
   * @param segments in the order of their slots
   * @param records how many records of each type the segments hold
   * @param checkpoint the newest; null when there is none
   * @param recovery what a start would find
   * @param index the pages, own count
   * @param volumes and their snapshots, as a start would serve them
   * @param verified what was read and is good; null when that was not asked for
   */
  public record Log(
      String name,
      Integer segmentBytes,
      List<SuperblockCopy> superblocks,
      List<Segment> segments,
      Map<String, Count> records,
      Checkpoint checkpoint,
      Recovery recovery,
      IndexWalk.Pages index,
      List<Volume> volumes,
      Verified verified) {}

  /**
   * A volume or a snapshot.
   *
   * @param name {@code volume} or {@code volume@snapshot}
   * @param group of the volume
   * @param family the group of the volume that it descends from
   * @param uniqueBytes what only it refers to
   * @param levels of inner pages
   * @param settings null for a snapshot, which has those of its volume
   */
  public record Volume(
      String name,
      int group,
      int family,
      long sizeBytes,
      long mappedBytes,
      long uniqueBytes,
      int levels,
      Settings settings) {
    static Volume of(IndexWalk.Tree tree, Settings settings) {
      return new Volume(
          tree.name(),
          tree.group(),
          tree.family(),
          tree.sizeBytes(),
          tree.mappedBytes(),
          tree.uniqueBytes(),
          tree.levels(),
          settings);
    }
  }

  /**
   * Settings of a volume.
   *
   * @param description empty for none
   * @param tls {@code off}, {@code allowed} or {@code required}; null when unset
   * @param tlsAllow the clients that may attach; empty for all
   */
  public record Settings(
      String description, String tls, @JsonProperty("tls-allow") List<String> tlsAllow) {
    static Settings of(VolumeSettings settings) {
      return new Settings(
          settings.description(),
          settings.tls().map(TlsMode::word).orElse(null),
          settings.tlsAllow());
    }

    /** Returns whether nothing is set. */
    @JsonIgnore
    public boolean isEmpty() {
      return description.isEmpty() && tls == null && tlsAllow.isEmpty();
    }
  }

  /**
   * A copy of the superblock; of one that is not good only the state is told.
   *
   * @param state {@code current}, {@code older}, {@code empty}, {@code damaged}, or {@code version
   *     N}
   */
  public record SuperblockCopy(int copy, String state, Superblock values) {}

  /** The fields of a good copy. */
  public record Superblock(
      long generation,
      String logId,
      String nodeId,
      String bootId,
      long starts,
      boolean clean,
      long durableBatch,
      long firstBatch,
      long firstSegment,
      int firstOffset) {}

  /**
   * A segment's file.
   *
   * @param sequence its place in the order of segments; zero without a header
   * @param state {@code log} (replayed at a start), {@code older} (from before the checkpoint), or
   *     {@code spare} (without a header: not in use)
   * @param usedBytes how far the chain of its batches reaches
   * @param freeBytes what is behind that
   * @param liveData blocks that volumes and snapshots refer to; null when the index is not known
   * @param liveMeta blocks of the checkpoint
   */
  public record Segment(
      int slot,
      long sequence,
      String state,
      int usedBytes,
      int freeBytes,
      long batches,
      long records,
      long firstBatch,
      long lastBatch,
      Integer liveData,
      Integer liveMeta) {}

  /** Records of one type, and the blocks that they are about. */
  public record Count(long records, long blocks) {}

  /**
   * The newest checkpoint.
   *
   * @param segment where its description is
   * @param offset where in the segment, in bytes
   * @param bytes length of the description
   * @param content what it says
   */
  public record Checkpoint(int segment, long offset, int bytes, CheckpointContent content) {}

  /**
   * What recovery would do.
   *
   * @param batches replayed
   * @param records replayed
   * @param cutBytes length of an unfinished tail
   * @param damagedBlocks of the tail, which a start would report
   */
  public record Recovery(
      String summary, long batches, long records, long cutBytes, long damagedBlocks) {}

  /** How many live blocks were read. */
  public record Verified(long dataBlocks, long checkpointBlocks) {}
}
