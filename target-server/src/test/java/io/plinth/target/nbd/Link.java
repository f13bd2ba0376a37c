package io.plinth.target.nbd;

import java.io.ByteArrayOutputStream;

/** The client's end of a connection: what it has written and what it has been sent. */
final class Link {
  private byte[] toServer = new byte[1024];
  private int toServerStart;
  private int toServerEnd;
  private final ByteArrayOutputStream toClient = new ByteArrayOutputStream();

  final Split.Pieces pieces;

  /** The server's side; replaced when the connection moves. */
  FakeConnection connection;

  /** Set by the server's side when the socket is gone. */
  boolean closed;

  /** The client takes no more than this many bytes; reading is what frees the server's output. */
  long willRead = Long.MAX_VALUE;

  Link(Split.Pieces pieces) {
    this.pieces = pieces;
  }

  void write(byte[] bytes) {
    if (toServerEnd + bytes.length > toServer.length) {
      int left = toServerEnd - toServerStart;
      byte[] grown = new byte[Math.max(toServer.length, 2 * (left + bytes.length))];
      System.arraycopy(toServer, toServerStart, grown, 0, left);
      toServer = grown;
      toServerStart = 0;
      toServerEnd = left;
    }
    System.arraycopy(bytes, 0, toServer, toServerEnd, bytes.length);
    toServerEnd += bytes.length;
  }

  /** Takes the next piece of what the client wrote, not more than {@code limit}; empty if none. */
  byte[] nextPiece(int limit) {
    int available = Math.min(limit, toServerEnd - toServerStart);
    int size = available == 0 ? 0 : pieces.next(available);
    byte[] piece = new byte[size];
    System.arraycopy(toServer, toServerStart, piece, 0, size);
    toServerStart += size;
    return piece;
  }

  int unreceived() {
    return toServerEnd - toServerStart;
  }

  void deliverToClient(byte[] bytes) {
    toClient.writeBytes(bytes);
    willRead -= bytes.length;
  }

  /** Returns everything that the server has sent and forgets it. */
  byte[] takeReceived() {
    byte[] received = toClient.toByteArray();
    toClient.reset();
    return received;
  }
}
