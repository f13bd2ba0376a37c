package io.plinth.log.replication;

import java.util.Arrays;

/**
 * Appends of one replica on their way to the page cache and to the device: the newest ticket and
 * index of what each sync of the journal covers, started or still to come. A ring, emptied from the
 * front as the journal makes batches durable.
 *
 * <p>A sync covers all batches that were sealed before it begins. So appends that no sync which was
 * started parts from each other become durable together, and only the newest need be known: without
 * syncs one place is enough, however much is appended.
 */
final class Progress {
  private static final int INITIAL_CAPACITY = 4;

  private int mask = INITIAL_CAPACITY - 1;
  private long[] sequences = new long[INITIAL_CAPACITY];
  private long[] tickets = new long[INITIAL_CAPACITY];
  private long[] indexes = new long[INITIAL_CAPACITY];
  // Positions grow without bound; their low bits index the arrays.
  private long head;
  private long appended;
  private long tail;
  private long ticket;
  private long index;

  /**
   * Notes that an append is in a batch of the journal, or in an earlier one.
   *
   * @param synced the newest batch that is durable, or that a sync which was started covers
   */
  void add(long sequence, long newTicket, long newIndex, long synced) {
    if (tail > head && isPassedBy(sequence, synced)) {
      tail--;
      appended = Math.min(appended, tail);
    } else if (tail - head == mask + 1) {
      grow();
    }
    int slot = (int) tail++ & mask;
    sequences[slot] = sequence;
    tickets[slot] = newTicket;
    indexes[slot] = newIndex;
  }

  /** Returns whether whoever hears of a new append need not hear of the one before it. */
  private boolean isPassedBy(long sequence, long synced) {
    long newest = sequences[(int) (tail - 1) & mask];
    return newest >= sequence || newest > synced;
  }

  /** Moves to what is appended up to a batch; returns whether there is news. */
  boolean advanceAppended(long sequence) {
    boolean news = false;
    while (appended < tail && sequences[(int) appended & mask] <= sequence) {
      take((int) appended++ & mask);
      news = true;
    }
    return news;
  }

  /** Moves to what is durable up to a batch; returns whether there is news. */
  boolean advanceDurable(long sequence) {
    boolean news = false;
    while (head < appended && sequences[(int) head & mask] <= sequence) {
      take((int) head++ & mask);
      news = true;
    }
    return news;
  }

  /** Returns whether an append waits for the end of its batch. */
  boolean hasUnappended() {
    return appended < tail;
  }

  /** Returns the ticket that was moved to. */
  long ticket() {
    return ticket;
  }

  /** Returns the index that was moved to. */
  long index() {
    return index;
  }

  /** Returns how many places are taken: zero when nothing is on its way. */
  long size() {
    return tail - head;
  }

  private void take(int slot) {
    ticket = tickets[slot];
    index = indexes[slot];
  }

  private void grow() {
    int size = mask + 1;
    int first = (int) head & mask;
    sequences = unrolled(sequences, first, size);
    tickets = unrolled(tickets, first, size);
    indexes = unrolled(indexes, first, size);
    tail -= head;
    appended -= head;
    head = 0;
    mask = 2 * size - 1;
  }

  private static long[] unrolled(long[] ring, int first, int size) {
    long[] larger = Arrays.copyOf(Arrays.copyOfRange(ring, first, size), 2 * size);
    System.arraycopy(ring, 0, larger, size - first, first);
    return larger;
  }
}
