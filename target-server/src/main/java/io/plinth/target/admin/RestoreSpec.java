package io.plinth.target.admin;

import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Moment;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.Objects;
import java.util.Optional;

/**
 * What is asked for when a volume is made from what another one was; an instance is always valid.
 *
 * @param name as in {@link VolumeSpec}
 * @param source the volume that was it
 * @param moment when
 * @param flushPolicy what its acks mean; empty for the policy of the source
 */
public record RestoreSpec(
    String name, String source, Moment moment, Optional<FlushPolicy> flushPolicy) {
  /**
   * Checks everything.
   *
   * @throws IllegalArgumentException with a one-line message that quotes the bad value and says
   *     what was expected
   */
  public RestoreSpec {
    VolumeSpec.checkName(name);
    VolumeSpec.checkName(source);
    Objects.requireNonNull(moment, "moment");
    Objects.requireNonNull(flushPolicy, "flushPolicy");
  }

  /**
   * Reads a time.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static Moment time(String text) {
    try {
      return Moment.ofTime(OffsetDateTime.parse(text).toInstant().toEpochMilli());
    } catch (DateTimeException | ArithmeticException e) {
      throw new IllegalArgumentException(
          "bad time "
              + VolumeSpec.quoted(text)
              + ": expected one such as 2026-11-25T14:30:00Z or 2026-11-25T15:30:00.5+01:00",
          e);
    }
  }

  /**
   * Judges a position of a log.
   *
   * @throws IllegalArgumentException with a one-line message
   */
  public static Moment position(long position) {
    if (position < 1) {
      throw new IllegalArgumentException(
          "bad log position " + position + ": expected a number from 1 on");
    }
    return Moment.ofPosition(position);
  }
}
