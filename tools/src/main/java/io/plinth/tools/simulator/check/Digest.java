package io.plinth.tools.simulator.check;

import java.util.function.LongConsumer;

/** A 64-bit digest of numbers in their order (the finalizer of MurmurHash3, chained). */
public final class Digest implements LongConsumer {
  private long value;

  @Override
  public void accept(long number) {
    long mixed = (value ^ number) + 0x9E3779B97F4A7C15L;
    mixed = (mixed ^ (mixed >>> 33)) * 0xFF51AFD7ED558CCDL;
    mixed = (mixed ^ (mixed >>> 33)) * 0xC4CEB9FE1A85EC53L;
    value = mixed ^ (mixed >>> 33);
  }

  /** Returns the digest of all numbers so far. */
  public long value() {
    return value;
  }
}
