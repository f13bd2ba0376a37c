package io.plinth.target.volume;

/** What a request asks of a volume. */
public enum Operation {
  READ(0),
  WRITE(1),
  FLUSH(2),
  TRIM(3),
  WRITE_ZEROES(4),
  CACHE(5),
  BLOCK_STATUS(6);

  /** How many operations there are. */
  static final int COUNT = 7;

  private final int number;

  Operation(int number) {
    this.number = number;
  }

  /** Returns the place of this operation's statistics. */
  int number() {
    return number;
  }
}
