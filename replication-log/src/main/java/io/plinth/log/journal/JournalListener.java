package io.plinth.log.journal;

/** Told of the progress of a journal, on its core. */
public interface JournalListener {
  /** All records begun before this call are appended: they survive the death of this process. */
  void onAppended(long sequence);

  /** All batches up to {@code sequence} are durable: they survive the loss of power. */
  void onDurable(long sequence);

  /** A refused record may be accepted now. */
  void onReady();

  /**
   * Returns whether segments will be freed without anybody asking: then data that finds no room
   * waits for them, else it is refused for want of space.
   */
  boolean mayFreeSegments();

  /**
   * The log has failed for good: nothing was or will be acknowledged after {@code sequence}.
   *
   * @param status the negated errno of the device
   */
  void onFailed(int status, long sequence);
}
