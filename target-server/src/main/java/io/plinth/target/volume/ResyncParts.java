package io.plinth.target.volume;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * What a resync has made before it was interrupted: trees whose leaves are as the leader has them
 * up to somewhere, and from there on as this node had them. The next session compares with these
 * instead of what this node has, so what has come once is not transferred again.
 *
 * <p>They are in memory only, as references to blocks of the log: a start forgets them.
 */
final class ResyncParts {
  private final List<VolumeTree> trees = new ArrayList<>();
  private boolean trustsStamps = true;
  private long epoch;
  private long keptNs;

  /**
   * Adds trees.
   *
   * @param ofTrust whether the stamps of all leaves are those of entries of the group's history
   * @param ofEpoch as of which they are
   */
  void keep(List<VolumeTree> more, boolean ofTrust, long ofEpoch) {
    trustsStamps &= ofTrust;
    epoch = ofEpoch;
    trees.addAll(more);
  }

  /** Returns whether leaves with the same stamp as the leader's are the same. */
  boolean trustsStamps() {
    return trustsStamps;
  }

  /** Returns the epoch of the group as of which that is so. */
  long epoch() {
    return epoch;
  }

  long keptNs() {
    return keptNs;
  }

  void keptNs(long nowNs) {
    keptNs = nowNs;
  }

  /** Returns the tree of that name, which is the caller's from now on, or null. */
  BlockIndex take(String name) {
    for (Iterator<VolumeTree> i = trees.iterator(); i.hasNext(); ) {
      VolumeTree tree = i.next();
      if (tree.name().equals(name)) {
        i.remove();
        return tree.index();
      }
    }
    return null;
  }

  void close() {
    trees.forEach(tree -> tree.index().clear());
    trees.clear();
  }
}
