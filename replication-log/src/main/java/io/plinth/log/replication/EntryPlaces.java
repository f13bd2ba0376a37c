package io.plinth.log.replication;

/**
 * Where the records of a group's entries are in the log of this node. A ring by index that doubles
 * when it is full, beside {@code raft.core.EntryLog}, which knows no places here.
 */
final class EntryPlaces {
  private static final int INITIAL_CAPACITY = 64;

  private long baseIndex;
  private int mask = INITIAL_CAPACITY - 1;
  private long[] positions = new long[INITIAL_CAPACITY];
  private long[] payloads = new long[INITIAL_CAPACITY];

  /** Creates one for entries after an index. */
  EntryPlaces(long baseIndex) {
    this.baseIndex = baseIndex;
  }

  /** Notes where an entry is; one at a lower index than others replaces it and all after it. */
  void put(long index, long position, long payloadPlace) {
    while (index - baseIndex > mask + 1) {
      grow(index - 1);
    }
    positions[(int) index & mask] = position;
    payloads[(int) index & mask] = payloadPlace;
  }

  /** Returns where the header of an entry's record is, in bytes. */
  long position(long index) {
    return positions[(int) index & mask];
  }

  /** Returns where the payload of an entry is, in blocks. */
  long payloadPlace(long index) {
    return payloads[(int) index & mask];
  }

  /** Forgets entries up to an index. */
  void compact(long index) {
    baseIndex = Math.max(baseIndex, index);
  }

  private void grow(long lastIndex) {
    int size = (mask + 1) * 2;
    long[] newPositions = new long[size];
    long[] newPayloads = new long[size];
    for (long index = baseIndex + 1; index <= lastIndex; index++) {
      newPositions[(int) index & (size - 1)] = positions[(int) index & mask];
      newPayloads[(int) index & (size - 1)] = payloads[(int) index & mask];
    }
    positions = newPositions;
    payloads = newPayloads;
    mask = size - 1;
  }
}
