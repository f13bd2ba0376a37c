package io.plinth.target.volume;

import java.util.List;

/**
 * What BLOCK_STATUS can be asked about a volume.
 *
 * @param id how the client refers to it
 * @param name as the client knows it
 * @param since the snapshot that the volume is compared with; null for the allocation
 */
public record StatusContext(int id, String name, Volume since) {
  /** What has space of its own, and what reads as zeroes: see {@link ExtentList}. */
  public static final StatusContext ALLOCATION = new StatusContext(1, "base:allocation", null);

  /** Nothing but the allocation. */
  public static final List<StatusContext> ALLOCATION_ONLY = List.of(ALLOCATION);
}
