package io.plinth.target.volume;

/** What a request asks of a volume. Ordinals index the per-volume statistics. */
public enum Operation {
  READ,
  WRITE,
  FLUSH,
  TRIM,
  WRITE_ZEROES,
  CACHE,
  BLOCK_STATUS
}
