package io.plinth.target.volume;

import java.util.ArrayList;
import java.util.List;

/**
 * What scrubs have found damaged, and the cleaner when it moved it: the first {@value #LIMIT} of
 * them. An entry stays until a whole pass has not found it again.
 */
final class DamageList {
  static final int LIMIT = 256;

  static final String MISMATCH = "does not match its checksum";
  static final String UNREADABLE = "can't be read";

  /** What is damaged. */
  enum Kind {
    /** A block of volumes and snapshots. */
    DATA,
    /** A page of their indexes. */
    PAGE,
    /** A block of the page table. */
    TABLE,
    /** A block of the checkpoint's description. */
    DESCRIPTION,
    /** Blocks whose batch has no good header, so that it is not known what they ought to be. */
    UNCHECKED
  }

  /** A damaged block. */
  static final class Entry {
    final Kind kind;
    final int family;

    /** Of the block in its volume, the page, or the block of the table; how many are unchecked. */
    final long number;

    final String what;
    private long place;
    private long life;
    private long pass;

    private Entry(Kind kind, long place, long life, int family, long number, String what) {
      this.kind = kind;
      this.place = place;
      this.life = life;
      this.family = family;
      this.number = number;
      this.what = what;
    }

    /** Returns where it is now: the cleaner may have moved it. */
    long place() {
      return place;
    }

    /** Returns the sequence of its segment: the place may be used anew for something good. */
    long life() {
      return life;
    }
  }

  private final List<Entry> entries = new ArrayList<>();
  private long pass;
  private boolean running;
  private long count;

  /** Returns how many blocks the pass at work, or the last one, has found. */
  long count() {
    return count;
  }

  List<Entry> entries() {
    return entries;
  }

  void beginPass() {
    pass++;
    running = true;
    count = 0;
  }

  /**
   * Ends a pass.
   *
   * @param whole whether it has looked at everything, so that what it has not found is good again
   */
  void endPass(boolean whole) {
    running = false;
    if (whole) {
      entries.removeIf(entry -> entry.pass < pass);
    }
  }

  /**
   * Adds what was found at a place.
   *
   * @param life the sequence of the segment
   * @return whether it was not in the list, and is now
   */
  boolean add(Kind kind, long place, long life, int family, long number, String what) {
    Entry known = find(place);
    if (known != null && known.kind == kind && known.life == life && known.number == number) {
      count += known.pass < pass ? weight(known) : 0;
      known.pass = pass;
      return false;
    }
    entries.remove(known);
    Entry entry = new Entry(kind, place, life, family, number, what);
    entry.pass = pass;
    count += weight(entry);
    if (entries.size() == LIMIT && !dropOld()) {
      return false;
    }
    return entries.add(entry);
  }

  private static long weight(Entry entry) {
    return entry.kind == Kind.UNCHECKED ? entry.number : 1;
  }

  private boolean dropOld() {
    for (int i = 0; i < entries.size(); i++) {
      if (entries.get(i).pass < pass) {
        entries.remove(i);
        return true;
      }
    }
    return false;
  }

  /**
   * The cleaner has moved a block, out of one life into another; returns whether it was known to be
   * damaged.
   */
  boolean moved(long from, long fromLife, long to, long toLife) {
    Entry known = find(from);
    if (known == null || known.life != fromLife) {
      return false;
    }
    known.place = to;
    known.life = toLife;
    if (running && known.pass < pass) {
      // The pass may not have been there yet, and it does not come to the new place.
      known.pass = pass;
      count++;
    }
    return true;
  }

  /** Adds a block that does not match its checksum. What is beside a pass is not of its number. */
  void addMismatch(int family, long block, long place, long life) {
    long before = count;
    boolean _ = add(Kind.DATA, place, life, family, block, MISMATCH);
    count = running ? count : before;
  }

  private Entry find(long place) {
    for (Entry entry : entries) {
      if (entry.place == place) {
        return entry;
      }
    }
    return null;
  }
}
