package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;

/**
 * How it stands with a comparison of the replicas of a volume.
 *
 * @param volume its name
 * @param entry the index of the entry as of which they are compared; null before it is known
 * @param problem why it has failed, or null
 * @param doneBytes up to where the volume has been compared, of {@code sizeBytes}
 * @param ranges of 1.75 MiB that the leader has read, in volume and snapshots; what these share
 *     once
 * @param readBytes in them
 * @param elapsedMs since the begin, or until the end
 * @param nodes the replicas
 * @param differentRanges how many ranges differ
 * @param differences the first 256 of them
 * @param damagedBlocks how many blocks don't match their checksums, over all nodes
 * @param damages where, the first 256 ranges
 */
public record VerifyInfo(
    String volume,
    State state,
    Long entry,
    String problem,
    long doneBytes,
    long sizeBytes,
    long ranges,
    long readBytes,
    long elapsedMs,
    List<Replica> nodes,
    long differentRanges,
    List<Difference> differences,
    long damagedBlocks,
    List<Damage> damages) {
  /** How it has ended. */
  public enum State {
    /** It is at work. */
    RUNNING,
    /** All replicas hold the same. */
    EQUAL,
    /** Some hold something else, or have damaged blocks. */
    DIFFERENT,
    /** What was compared is equal, and not all is known of some replicas. */
    INCOMPLETE,
    /** It has ended before its time. */
    FAILED;

    /** Returns the word used in JSON. */
    @JsonValue
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A replica.
   *
   * @param verified whether all of it was compared
   * @param problem why it was not, or null
   */
  public record Replica(int node, boolean verified, String problem) {}

  /**
   * A range that is not the same everywhere.
   *
   * @param snapshot the oldest one in which it is so, or null for the volume
   * @param offset in bytes
   * @param length in bytes
   * @param nodes that hold something else than most, or than the leader
   */
  public record Difference(String snapshot, long offset, long length, List<Integer> nodes) {
    /** Copies the list. */
    public Difference {
      nodes = List.copyOf(nodes);
    }
  }

  /**
   * Blocks that don't match their checksums.
   *
   * @param snapshot null for the volume
   * @param offset of the first of them, in bytes
   * @param blocks how many in the same range of 1.75 MiB
   */
  public record Damage(int node, String snapshot, long offset, int blocks) {}

  /** Copies the lists. */
  public VerifyInfo {
    nodes = List.copyOf(nodes);
    differences = List.copyOf(differences);
    damages = List.copyOf(damages);
  }
}
