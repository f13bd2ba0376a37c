package io.plinth.tools.simulator.check;

import org.agrona.UnsafeApi;

/**
 * What sectors are filled with, so that a sector tells which write it is of and that it belongs
 * where it was found: the stamp of the write, then words that depend on stamp, sector and place.
 */
public final class Pattern {
  /** Unit of the models. */
  public static final int SECTOR_BYTES = 512;

  private Pattern() {}

  /** Fills one sector in memory. */
  public static void fill(long address, long stamp, long sector) {
    UnsafeApi.putLong(address, stamp);
    for (int at = Long.BYTES; at < SECTOR_BYTES; at += Long.BYTES) {
      UnsafeApi.putLong(address + at, word(stamp, sector, at));
    }
  }

  /**
   * Returns the stamp of a sector in memory, zero for a sector of zeroes.
   *
   * @param address where it is, or zero for zeroes that are stored nowhere
   * @throws Violation when the sector holds anything but one whole write to it
   */
  public static long stamp(long address, long sector) {
    if (address == 0) {
      return 0;
    }
    long stamp = UnsafeApi.getLong(address);
    for (int at = Long.BYTES; at < SECTOR_BYTES; at += Long.BYTES) {
      long expected = stamp == 0 ? 0 : word(stamp, sector, at);
      if (UnsafeApi.getLong(address + at) != expected) {
        throw new Violation(
            Guarantee.G5, "sector " + sector + " holds what was never written to it");
      }
    }
    return stamp;
  }

  private static long word(long stamp, long sector, int at) {
    return stamp * 0x9E3779B97F4A7C15L + sector * 0xC2B2AE3D27D4EB4FL + at;
  }
}
