package io.plinth.target.volume;

import java.util.List;

/**
 * How it stands with a comparison of the replicas of a volume.
 *
 * @param entry the index of the entry as of which they are compared; 0 before it is known
 * @param problem why it has failed; else empty
 * @param doneBytes up to where the volume has been compared
 * @param sizeBytes of the volume
 * @param ranges that the leader has read, of 1.75 MiB each; what snapshots share once
 * @param readBytes in them
 * @param elapsedNs since the begin, or until the end
 * @param members each replica, in the order of their numbers
 * @param differences the first {@link VerifyLead#MOST_TOLD} of them
 * @param differentRanges how many ranges differ
 * @param damages blocks that don't match their checksums, the first of them
 * @param damagedBlocks how many of these there are, over all members
 */
public record VerifyReport(
    State state,
    long entry,
    String problem,
    long doneBytes,
    long sizeBytes,
    long ranges,
    long readBytes,
    long elapsedNs,
    List<Member> members,
    List<Difference> differences,
    long differentRanges,
    List<Damage> damages,
    long damagedBlocks) {
  /** How it has ended. */
  public enum State {
    /** It is at work. */
    RUNNING,
    /** All replicas hold the same. */
    EQUAL,
    /** Some hold something else, or have damaged blocks. */
    DIFFERENT,
    /** What was compared is equal, and of some replicas nothing or not all is known. */
    INCOMPLETE,
    /** It has ended before its time. */
    FAILED
  }

  /**
   * A replica.
   *
   * @param verified whether all of it was compared
   * @param problem why it was not; empty while it still may be
   */
  public record Member(int node, boolean verified, String problem) {}

  /**
   * A range that is not the same everywhere.
   *
   * @param snapshot in which it is so, the oldest of them; empty for the volume
   * @param nodes that hold something else than most, or than the leader
   */
  public record Difference(String snapshot, long offset, long length, List<Integer> nodes) {}

  /**
   * Blocks of one range that don't match their checksums.
   *
   * @param offset of the first of them
   */
  public record Damage(int node, String snapshot, long offset, int blocks) {}
}
