package io.plinth.engine.core;

import io.plinth.engine.api.Completion;

/**
 * What a core needs from the operating system's asynchronous I/O. One thread uses a driver; only
 * {@link #wakeup()} may be called from others.
 *
 * <p>Submit contract of all operations: true means accepted, and the completion is called exactly
 * once from {@link #dispatch()}; false means that all slots are in use, nothing happens, and the
 * completion is never called. Memory and descriptors stay valid until the completion. Positions and
 * lengths are bytes.
 */
public interface IoDriver extends AutoCloseable {
  /** Accepts one connection; the result is the new descriptor. */
  boolean accept(int descriptor, Completion completion, long context);

  /** Connects a socket to the {@code struct sockaddr} at an address; the result is zero. */
  boolean connect(
      int descriptor, long socketAddress, int length, Completion completion, long context);

  /**
   * Ends the pending accept or connect of a socket with ECANCELED, unless it ends by itself first;
   * a socket that listens goes on listening.
   */
  boolean cancel(int descriptor, Completion completion, long context);

  /** Receives up to {@code length} bytes; the result is the count, 0 at the end of the stream. */
  boolean receive(int descriptor, long address, int length, Completion completion, long context);

  /**
   * Sends memory; the result is the count, which is short only when the stream has failed in
   * between.
   */
  boolean send(int descriptor, long address, int length, Completion completion, long context);

  /** Sends what a {@code struct msghdr} describes; the result is the count, which may be short. */
  boolean sendMessage(int descriptor, long messageAddress, Completion completion, long context);

  /** Reads a file. */
  boolean read(
      int descriptor, long address, int length, long position, Completion completion, long context);

  /**
   * Reads a file as {@link #read} does, but on another thread even where the data is in memory: for
   * large reads that nobody waits for, whose copying would keep this thread from its duties.
   */
  default boolean readAside(
      int descriptor,
      long address,
      int length,
      long position,
      Completion completion,
      long context) {
    return read(descriptor, address, length, position, completion, context);
  }

  /** Writes a file; {@code durable} makes it wait for the disk as O_DSYNC does. */
  boolean write(
      int descriptor,
      long address,
      int length,
      long position,
      boolean durable,
      Completion completion,
      long context);

  /** Makes a file's written data durable as fdatasync(2) does. */
  boolean sync(int descriptor, Completion completion, long context);

  /**
   * Makes at least a range of a file's written data durable; the whole file where ranges are not
   * known.
   */
  default boolean syncRange(
      int descriptor, long position, int length, Completion completion, long context) {
    return sync(descriptor, completion, context);
  }

  /** Frees a range of a file's space as fallocate(2) with PUNCH_HOLE does. */
  boolean punchHole(
      int descriptor, long position, long length, Completion completion, long context);

  /** Ends both directions of a socket, which ends its pending operations. */
  boolean shutdown(int descriptor, Completion completion, long context);

  /** Tells the peer that nothing more is sent; what it still sends can be received. */
  boolean shutdownOutput(int descriptor, Completion completion, long context);

  /**
   * Returns whether the peer of a connected socket has ended or reset the stream, whatever was sent
   * before that and is not received yet. At once, outside of the order of operations.
   */
  boolean hasEnded(int descriptor);

  /** Closes a descriptor. */
  boolean close(int descriptor, Completion completion, long context);

  /** Returns how many operations have been accepted and not completed. */
  int inFlight();

  /**
   * Enters the kernel where needed: submits and collects completions.
   *
   * @param waitNs how long to wait when nothing is complete; 0 or less returns at once
   * @return how many completions wait for {@link #dispatch()}
   */
  int poll(long waitNs);

  /** Calls the completions that were collected; returns how many. */
  int dispatch();

  /** Ends a wait in {@link #poll}; from any thread. */
  void wakeup();

  /** Frees the driver; all operations must have completed. */
  @Override
  void close();
}
