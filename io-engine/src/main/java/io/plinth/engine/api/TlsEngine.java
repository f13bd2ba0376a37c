package io.plinth.engine.api;

import java.nio.ByteBuffer;
import java.security.Principal;

/**
 * The server's end of one TLS session, over records that somebody else carries. Not safe for use by
 * several threads at a time; the thread may change.
 *
 * <p>All buffers are backed by accessible arrays. Between the handshake and the end, an engine does
 * nothing that waits.
 */
public interface TlsEngine {
  /** Bytes in front of every record: type, version and length. */
  int RECORD_HEADER_BYTES = 5;

  /** The most plaintext that a record carries. */
  int MAX_PLAINTEXT_BYTES = 16 * 1024;

  /** The longest record that is legal in any version from TLS 1.2 on, with its header. */
  int MAX_RECORD_BYTES = RECORD_HEADER_BYTES + MAX_PLAINTEXT_BYTES + 2048;

  /** Room that {@link #unwrap}, {@link #wrap} and {@link #output} need in the target. */
  int MIN_ROOM_BYTES = 2 * (MAX_PLAINTEXT_BYTES + 2048);

  /** Returns whether the handshake is not over. */
  boolean isHandshaking();

  /**
   * Takes one whole record; that of a handshake costs as much as its key exchange.
   *
   * @param record from its header on; consumed
   * @param plain receives what the record carries for the application, often nothing
   * @throws TlsException when the record is not acceptable; an alert is then in {@link #output}
   */
  void unwrap(ByteBuffer record, ByteBuffer plain) throws TlsException;

  /**
   * Makes one record of as much as it holds. Only after the handshake.
   *
   * @param plain consumed in part or whole
   * @throws TlsException when the session has ended
   */
  void wrap(ByteBuffer plain, ByteBuffer record) throws TlsException;

  /** Returns whether TLS itself has something to say. */
  boolean hasOutput();

  /** Takes some of that: handshake messages, alerts, key updates, in whole or in parts. */
  void output(ByteBuffer records) throws TlsException;

  /** Returns whether the peer has said that it sends no more. */
  boolean isInputClosed();

  /** Says that nothing more is sent; {@link #output} has the message. */
  void closeOutput();

  /** Returns who the peer has proved to be; null when it has not or before it has. */
  Principal peer();

  /** Returns version and cipher suite, for messages. */
  String description();
}
