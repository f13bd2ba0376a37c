package io.plinth.target.admin;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;

/**
 * What has changed in a volume since a snapshot, or a part of it.
 *
 * @param volume the volume
 * @param from the snapshot
 * @param to a later snapshot; null for the volume as it is now
 * @param sizeBytes the size at {@code to}; what was cut off since {@code from} is not among the
 *     extents
 * @param extents what differs, in ascending order
 * @param next the offset to ask for what follows; null when that is all
 */
public record DiffInfo(
    String volume, String from, String to, long sizeBytes, List<Extent> extents, Long next) {
  /** What a range that differs holds at {@code to}. */
  public enum Kind {
    /** Data that has to be read. */
    DATA,
    /** Zeroes. */
    ZERO;

    /** Returns the word used in JSON. */
    @JsonValue
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** A range that differs, in bytes. */
  public record Extent(long offset, long length, Kind kind) {}

  /** Copies the list. */
  public DiffInfo {
    extents = List.copyOf(extents);
  }
}
