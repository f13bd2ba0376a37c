package io.plinth.engine.api;

import java.util.concurrent.Executor;
import org.agrona.MutableDirectBuffer;

/**
 * A byte stream to a client or a peer: bytes in through the {@link ConnectionHandler}, gathered
 * writes out.
 *
 * <p>Output queued in one duty cycle leaves in one gather-write at the end of that cycle. All calls
 * belong on the thread of the core that owns the connection.
 */
public interface Connection {
  /** Number of bytes that one {@link #claim(int)} may ask for at most. */
  int MAX_CLAIM_BYTES = 32 * 1024;

  /** Returns a number that no other connection of this process has or had. */
  long id();

  /** Returns who is at the other end, for messages: {@code 127.0.0.1:40312} or {@code unix}. */
  String peer();

  /** Returns the core that owns this connection now. */
  Core core();

  /** Returns the buffer that {@link #claim(int)} hands out space in. */
  MutableDirectBuffer outputBuffer();

  /**
   * Returns whether {@code claimBytes} in one claim and {@code references} loans can be queued now.
   * When not, {@link ConnectionHandler#onWritable} will be called once there is room again.
   */
  boolean canSend(int claimBytes, int references);

  /**
   * Queues {@code length} bytes which the caller writes into {@link #outputBuffer()} before the end
   * of this duty cycle.
   *
   * @return the offset to write at, or -1 when there is no room: nothing was queued, and {@link
   *     ConnectionHandler#onWritable} will be called
   */
  int claim(int length);

  /**
   * Queues memory by reference. It must stay unchanged until {@code owner} is told.
   *
   * @param owner released exactly once with {@code token} when the bytes have left or never will;
   *     may be null
   * @return true when queued; false when there is no room: nothing was queued or released, and
   *     {@link ConnectionHandler#onWritable} will be called
   */
  boolean send(long address, int length, Releasable owner, long token);

  /**
   * Receives the next {@code length} bytes of the stream straight into memory, then calls {@link
   * ConnectionHandler#onDirectReceived}. Only from within {@link ConnectionHandler#onReceive},
   * which must consume all bytes that it was given, or from {@link
   * ConnectionHandler#onDirectReceived}. The memory must stay valid until then or until {@link
   * ConnectionHandler#onClosed}.
   */
  void receiveDirect(long address, int length);

  /**
   * Stops calls of {@link ConnectionHandler#onReceive}; bytes that arrive wait in the receive
   * buffer and then in the kernel.
   */
  void pauseReceive();

  /** Presents bytes that were left and receives again. */
  void resumeReceive();

  /**
   * Returns whether the peer is known to have gone: it has closed or reset its end, also when bytes
   * that it had sent before were not presented yet, or the connection was closed here. Asks the
   * system and does not wait; what is still on its way from the peer is not known.
   */
  boolean hasEnded();

  /**
   * Moves the connection to another core once all queued output has left; bytes received and not
   * consumed move along. No call reaches the handler until {@link ConnectionHandler#onMoved} on the
   * other core. Only from within {@link ConnectionHandler#onReceive}.
   */
  void moveTo(Core target);

  /**
   * Puts TLS below this connection: whatever is queued by now leaves in the clear, whatever arrives
   * from now on, and what the current {@link ConnectionHandler#onReceive} does not consume, is
   * taken for TLS records. No call reaches the handler until {@link ConnectionHandler#onSecured} or
   * {@link ConnectionHandler#onTlsFailure}. Once for each connection.
   *
   * @param helpers run the handshake, which would keep the core for too long
   */
  void startTls(TlsEngine engine, Executor helpers);

  /** Returns the TLS session below this connection, or null. */
  TlsEngine tls();

  /**
   * Sends what is queued and closes, after the peer has closed its end or a second has passed;
   * nothing more is received. Further calls are ignored. During a TLS handshake nothing can leave.
   */
  void closeAfterFlush();

  /** Closes at once; queued output is dropped. Further calls are ignored. */
  void close();
}
