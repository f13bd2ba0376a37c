package io.plinth.tools.simulator.check;

import java.util.Arrays;

/**
 * The versions that one sector may still have after a crash, oldest first. The oldest one is
 * certainly durable; the acknowledged one and what follows it may be read.
 *
 * <p>A version is the number of a change: positive when the sector then holds that number as its
 * stamp, negative when it holds zeroes; 0 for what was never written.
 */
final class SectorHistory {
  private long[] versions = new long[4];
  private int count = 1;
  private int acknowledged;

  SectorHistory copy() {
    SectorHistory copy = new SectorHistory();
    copy.versions = Arrays.copyOf(versions, Math.max(count, 2));
    copy.count = count;
    copy.acknowledged = acknowledged;
    return copy;
  }

  static long contentOf(long version) {
    return Math.max(0, version);
  }

  void add(long version) {
    if (count == versions.length) {
      versions = Arrays.copyOf(versions, count * 2);
    }
    versions[count++] = version;
  }

  /** Takes back a version that never came to be. */
  void remove(long version) {
    int i = indexOf(version);
    System.arraycopy(versions, i + 1, versions, i, count - i - 1);
    count--;
    if (acknowledged > i) {
      acknowledged--;
    }
  }

  void acknowledge(long version) {
    acknowledged = indexOf(version);
  }

  long acknowledged() {
    return versions[acknowledged];
  }

  /** Forgets what is older than a version, when that is still known. */
  void dropOlderThan(long version) {
    int i = indexOf(version);
    if (i > 0) {
      drop(i);
    }
  }

  /** Forgets what is older than what was acknowledged last. */
  void dropSuperseded() {
    drop(acknowledged);
  }

  /** Allows reads of every version: which one the sector has is not known. */
  void forgetAcknowledged() {
    acknowledged = 0;
  }

  boolean mayBeRead(long content) {
    return newestOf(content) >= acknowledged;
  }

  boolean mayBeFound(long content) {
    return newestOf(content) >= 0;
  }

  /** Tells which content was found after a crash: newer versions are gone for good. */
  void found(long content, boolean durable) {
    acknowledged = newestOf(content);
    count = acknowledged + 1;
    if (durable) {
      drop(acknowledged);
    }
  }

  /** Returns whether the only version is one that is certainly durable. */
  boolean isDurable() {
    return count == 1;
  }

  int readableCount() {
    return count - acknowledged;
  }

  long readable(int i) {
    return contentOf(versions[acknowledged + i]);
  }

  /** Returns whether content proves that a version is there. */
  boolean proves(long content, long version) {
    int i = indexOf(version);
    return i >= 0
        && contentOf(version) == content
        && oldestOf(content) == i
        && newestOf(content) == i;
  }

  /** Returns whether content proves that neither a version nor one after it is there. */
  boolean refutes(long content, long version) {
    int i = indexOf(version);
    return i >= 0 && mayBeFound(content) && newestOf(content) < i;
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(versions, count)) + " acknowledged " + acknowledged();
  }

  private void drop(int older) {
    System.arraycopy(versions, older, versions, 0, count - older);
    count -= older;
    acknowledged = Math.max(0, acknowledged - older);
  }

  private int indexOf(long version) {
    for (int i = count - 1; i >= 0; i--) {
      if (versions[i] == version) {
        return i;
      }
    }
    return -1;
  }

  private int newestOf(long content) {
    for (int i = count - 1; i >= 0; i--) {
      if (contentOf(versions[i]) == content) {
        return i;
      }
    }
    return -1;
  }

  private int oldestOf(long content) {
    for (int i = 0; i < count; i++) {
      if (contentOf(versions[i]) == content) {
        return i;
      }
    }
    return -1;
  }
}
