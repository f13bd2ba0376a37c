package io.plinth.log.wire;

import io.plinth.engine.api.Releasable;

/** Where the entries of an APPEND are taken from. */
public interface EntrySource extends Releasable {
  /**
   * Describes an entry's record.
   *
   * @param index the entry's index
   * @param body to be filled; its memory stays valid until the end of the duty cycle
   * @return false when the entry is not in memory: only its places are told
   */
  boolean describe(long index, EntryBody body);

  /** Keeps the payload of an entry where it is; returns the token to release it with. */
  long pin(EntryBody body);
}
