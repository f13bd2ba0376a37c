package io.plinth.log.format;

/** Constants of the log's format. All numbers are little-endian. */
public final class LogFormat {
  /** Version of every structure; another one is refused. */
  public static final int VERSION = 3;

  /** Unit of places in the log and of volumes. */
  public static final int BLOCK_BYTES = 4096;

  /** Sequence of the first batch of a log. */
  public static final long FIRST_SEQUENCE = 1;

  /** Sequence of the first segment of a log. */
  public static final long FIRST_SEGMENT = 1;

  /** Value of the chain before the first batch. */
  public static final int CHAIN_START = 0;

  private LogFormat() {}

  /** Returns how many blocks hold {@code bytes}. */
  public static int blocks(int bytes) {
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
  }
}
