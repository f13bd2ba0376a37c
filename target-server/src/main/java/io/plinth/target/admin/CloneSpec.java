package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;
import java.util.Objects;
import java.util.Optional;

/**
 * What is asked for when a volume is created from another one; an instance is always valid.
 *
 * @param name as in {@link VolumeSpec}
 * @param source {@code volume}, or {@code volume@snapshot}
 * @param flushPolicy what its acks mean; empty for the policy of the source
 */
public record CloneSpec(String name, String source, Optional<FlushPolicy> flushPolicy) {
  private static final char SEPARATOR = '@';

  /**
   * Checks everything.
   *
   * @throws IllegalArgumentException with a one-line message that quotes the bad value and says
   *     what was expected
   */
  public CloneSpec {
    VolumeSpec.checkName(name);
    Objects.requireNonNull(flushPolicy, "flushPolicy");
    int at = source.indexOf(SEPARATOR);
    VolumeSpec.checkName(at < 0 ? source : source.substring(0, at));
    if (at >= 0) {
      VolumeSpec.checkSnapshotName(source.substring(at + 1));
    }
  }

  /** Returns the volume that the source is, or that it is a snapshot of. */
  public String sourceVolume() {
    int at = source.indexOf(SEPARATOR);
    return at < 0 ? source : source.substring(0, at);
  }
}
