package io.plinth.target.nbd;

import java.util.SplittableRandom;

/** How the client's bytes are cut into what the server receives at a time. */
enum Split {
  /** As much as there is. */
  WHOLE,
  /**
   * One byte at a time; after the first 200,000 bytes larger pieces, or large payloads take
   * forever.
   */
  BYTES,
  /** Seeded random pieces, often tiny. */
  RANDOM;

  /** Decides the sizes of one connection's pieces. */
  static final class Pieces {
    private final Split split;
    private final SplittableRandom random;
    private long given;

    Pieces(Split split, long seed) {
      this.split = split;
      this.random = new SplittableRandom(seed);
    }

    int next(int available) {
      int wanted =
          switch (split) {
            case WHOLE -> available;
            case BYTES -> given < 200_000 ? 1 : 10_007;
            case RANDOM ->
                random.nextInt(4) == 0 ? random.nextInt(1, 100_000) : random.nextInt(1, 64);
          };
      int size = Math.min(available, wanted);
      given += size;
      return size;
    }
  }
}
