package io.plinth.engine.api;

import org.agrona.DirectBuffer;

/**
 * A protocol session on one {@link Connection}; called on the thread of the core that owns the
 * connection.
 */
public interface ConnectionHandler {
  /**
   * Bytes have arrived. Bytes that are not consumed are presented again, in front of later ones,
   * when more have arrived or after {@link Connection#resumeReceive()}. A handler that leaves all
   * bytes of a full receive buffer unconsumed without pausing breaks its contract and is
   * disconnected.
   *
   * @return how many bytes were consumed, 0 to {@code length}
   */
  int onReceive(Connection connection, DirectBuffer buffer, int offset, int length);

  /** The memory named in {@link Connection#receiveDirect} has been filled. */
  void onDirectReceived(Connection connection);

  /** Output was refused before and there is room again. */
  void onWritable(Connection connection);

  /**
   * The connection has arrived at the core that {@link Connection#moveTo} named; {@code connection}
   * replaces the former object.
   */
  default void onMoved(Connection connection) {
    throw new IllegalStateException("this handler does not move");
  }

  /** The handshake that {@link Connection#startTls} began is over, and all is encrypted. */
  default void onSecured(Connection connection) {
    throw new IllegalStateException("this handler does not use TLS");
  }

  /**
   * TLS can't go on, or could not begin; the connection closes by itself, and {@link #onClosed}
   * follows.
   *
   * @param why in one line
   */
  default void onTlsFailure(Connection connection, String why) {}

  /**
   * The connection is gone; called exactly once, and nothing is called after it. Memory lent to the
   * connection has been released.
   *
   * @param reason {@link Status#OK} for an orderly end by the peer or by {@link
   *     Connection#close()}, otherwise the errno
   */
  void onClosed(Connection connection, int reason);
}
