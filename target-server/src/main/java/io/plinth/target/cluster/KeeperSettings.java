package io.plinth.target.cluster;

import java.util.concurrent.TimeUnit;

/**
 * When nodes that are not heard are given up.
 *
 * @param unreachableNs a node that is not heard for so long can't be reached
 * @param rebuildNs the replicas of one that is not heard for so long are rebuilt on other nodes
 * @param lookNs how often the leader of the catalogue looks
 */
public record KeeperSettings(long unreachableNs, long rebuildNs, long lookNs) {
  /** What is usual. */
  public static final KeeperSettings DEFAULT =
      of(TimeUnit.SECONDS.toNanos(30), TimeUnit.MINUTES.toNanos(10));

  /** Returns settings that look often enough for these times. */
  public static KeeperSettings of(long unreachableNs, long rebuildNs) {
    return new KeeperSettings(unreachableNs, rebuildNs, TimeUnit.MILLISECONDS.toNanos(500));
  }
}
