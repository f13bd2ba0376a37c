package io.plinth.raft.core;

import java.util.Arrays;

/**
 * The view of the log that the rules need: of each entry its term, kind, place and length. A ring
 * that doubles when it is full; {@link RaftCore#compact} makes room. Index 0 with term 0 is before
 * the first entry.
 */
public final class EntryLog {
  /** The place of an entry without payload. */
  public static final long NO_PLACE = -1;

  private static final int INITIAL_CAPACITY = 64;

  private long baseIndex;
  private long baseTerm;
  private long baseEpoch;
  private long baseBytes;
  private long lastIndex;
  private int mask = INITIAL_CAPACITY - 1;
  private long[] terms = new long[INITIAL_CAPACITY];
  private long[] places = new long[INITIAL_CAPACITY];
  // Of the log up to and including the entry: the bytes of a range are one subtraction.
  private long[] bytes = new long[INITIAL_CAPACITY];
  // Likewise: the term of the last EPOCH entry up to here.
  private long[] epochs = new long[INITIAL_CAPACITY];
  private EntryKind[] kinds = new EntryKind[INITIAL_CAPACITY];
  private int[] subjects = new int[INITIAL_CAPACITY];

  /**
   * Creates a log that begins after an entry whose content is in the caller's state already.
   *
   * @param baseIndex the index of that entry, 0 if none
   * @param baseTerm its term
   * @param baseEpoch the epoch as of that entry
   */
  public EntryLog(long baseIndex, long baseTerm, long baseEpoch) {
    this.baseIndex = baseIndex;
    this.baseTerm = baseTerm;
    this.baseEpoch = baseEpoch;
    this.lastIndex = baseIndex;
  }

  /** Returns the index before the first entry that is here. */
  public long baseIndex() {
    return baseIndex;
  }

  /** Returns the term of the entry before the first one that is here. */
  public long baseTerm() {
    return baseTerm;
  }

  /** Returns the epoch as of the entry before the first one that is here. */
  public long baseEpoch() {
    return baseEpoch;
  }

  /** Returns the index of the newest entry, {@link #baseIndex} if there is none. */
  public long lastIndex() {
    return lastIndex;
  }

  /** Returns the term of the newest entry. */
  public long lastTerm() {
    return term(lastIndex);
  }

  /** Returns the term of entry {@code index}, from the base to the last. */
  public long term(long index) {
    if (index == baseIndex) {
      return baseTerm;
    }
    return terms[slot(index)];
  }

  /** Returns the place of entry {@code index}. */
  public long place(long index) {
    return places[slot(index)];
  }

  /** Returns the kind of entry {@code index}. */
  public EntryKind kind(long index) {
    return kinds[slot(index)];
  }

  /** Returns the node that a change of membership is about, else {@link RaftCore#NO_NODE}. */
  public int subject(long index) {
    return subjects[slot(index)];
  }

  /** Returns the length of the payload of entry {@code index}. */
  public int lengthBytes(long index) {
    return (int) (bytesUpTo(index) - bytesUpTo(index - 1));
  }

  /** Returns the epoch: the term of the newest EPOCH entry, 0 if there was none. */
  public long epoch() {
    return lastIndex == baseIndex ? baseEpoch : epochs[slot(lastIndex)];
  }

  /** Returns the epoch as of entry {@code index}, from the base to the last. */
  public long epoch(long index) {
    return index == baseIndex ? baseEpoch : epochs[slot(index)];
  }

  /** Adds an entry as the newest one. */
  public void append(long term, EntryKind kind, int subject, long place, int lengthBytes) {
    if (term < lastTerm() || lengthBytes < 0) {
      throw new IllegalArgumentException("term=" + term + " lengthBytes=" + lengthBytes);
    }
    if (lastIndex - baseIndex == mask + 1) {
      grow();
    }
    long epoch = kind == EntryKind.EPOCH ? term : epoch();
    long total = bytesUpTo(lastIndex) + lengthBytes;
    lastIndex++;
    int slot = (int) lastIndex & mask;
    terms[slot] = term;
    kinds[slot] = kind;
    subjects[slot] = subject;
    places[slot] = place;
    bytes[slot] = total;
    epochs[slot] = epoch;
  }

  /** Returns the bytes of the entries after {@code from} up to {@code to}, what is here of them. */
  long bytesBetween(long from, long to) {
    return bytesUpTo(to) - bytesUpTo(Math.max(from, baseIndex));
  }

  /** Returns whether entry {@code index} is here, or the base, with that term. */
  boolean matches(long index, long term) {
    return index >= baseIndex && index <= lastIndex && term(index) == term;
  }

  /** Returns whether a log that ends so is at least as complete as this one (section 5.4.1). */
  boolean isUpToDate(long otherLastTerm, long otherLastIndex) {
    return otherLastTerm > lastTerm()
        || (otherLastTerm == lastTerm() && otherLastIndex >= lastIndex);
  }

  /** Returns the highest index up to {@code index} whose term is at most {@code term}. */
  long lastWithTermAtMost(long index, long term) {
    long candidate = Math.min(index, lastIndex);
    while (candidate > baseIndex && term(candidate) > term) {
      candidate--;
    }
    return candidate;
  }

  void truncateAfter(long index) {
    lastIndex = index;
  }

  void compact(long index) {
    long epoch = epochs[slot(index)];
    long total = bytesUpTo(index);
    baseTerm = term(index);
    baseEpoch = epoch;
    baseBytes = total;
    baseIndex = index;
  }

  private long bytesUpTo(long index) {
    return index == baseIndex ? baseBytes : bytes[slot(index)];
  }

  private int slot(long index) {
    if (index <= baseIndex || index > lastIndex) {
      throw new IndexOutOfBoundsException(
          "index=" + index + " not in (" + baseIndex + ", " + lastIndex + "]");
    }
    return (int) index & mask;
  }

  private void grow() {
    int size = (mask + 1) * 2;
    long[] newTerms = new long[size];
    long[] newPlaces = new long[size];
    long[] newBytes = new long[size];
    long[] newEpochs = new long[size];
    EntryKind[] newKinds = Arrays.copyOf(kinds, size);
    int[] newSubjects = new int[size];
    for (long index = baseIndex + 1; index <= lastIndex; index++) {
      int from = (int) index & mask;
      int to = (int) index & (size - 1);
      newTerms[to] = terms[from];
      newPlaces[to] = places[from];
      newBytes[to] = bytes[from];
      newEpochs[to] = epochs[from];
      newSubjects[to] = subjects[from];
      newKinds[to] = kind(index);
    }
    terms = newTerms;
    places = newPlaces;
    bytes = newBytes;
    epochs = newEpochs;
    kinds = newKinds;
    subjects = newSubjects;
    mask = size - 1;
  }
}
