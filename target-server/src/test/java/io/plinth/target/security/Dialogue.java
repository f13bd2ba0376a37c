package io.plinth.target.security;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** A server's engine and a client, with no network between them. */
final class Dialogue {
  /** A client, which does what it does at once. */
  interface Client {
    /** Takes bytes from the server. */
    void receive(byte[] records) throws IOException;

    /** Returns what it wants to be sent, perhaps nothing. */
    byte[] takeRecords() throws IOException;

    boolean isHandshaking();

    /** Queues plaintext. */
    void send(byte[] plain) throws IOException;

    /** Returns what was decrypted. */
    byte[] takePlain();

    /** Says that nothing follows. */
    void close() throws IOException;

    /** Returns whether the server has said so. */
    boolean isInputClosed();

    /** Returns the alert that the server has sent, or what else the client found wrong, or null. */
    String complaint();
  }

  static final byte[] HELLO = "hello".getBytes(StandardCharsets.US_ASCII);

  final TlsEngine server;
  final Client client;
  private final ByteArrayOutputStream plain = new ByteArrayOutputStream();

  /** What is done to each record from the client on its way. */
  Consumer<byte[]> onTheWay = record -> {};

  Dialogue(TlsEngine server, Client client) {
    this.server = server;
    this.client = client;
  }

  /**
   * Carries bytes both ways until nobody has anything to say.
   *
   * @throws TlsException from the server, after its alert has reached the client
   */
  void run() throws TlsException, IOException {
    boolean moved = true;
    while (moved) {
      byte[] records = client.takeRecords();
      byte[] answers;
      try {
        offer(records);
        answers = takeOutput();
      } catch (TlsException e) {
        client.receive(takeOutput());
        throw e;
      }
      client.receive(answers);
      moved = records.length + answers.length > 0;
    }
  }

  private void offer(byte[] records) throws TlsException {
    int position = 0;
    while (position < records.length && !server.isInputClosed()) {
      int length =
          TlsEngine.RECORD_HEADER_BYTES
              + ((records[position + 3] & 0xff) << 8)
              + (records[position + 4] & 0xff);
      byte[] record = new byte[length];
      System.arraycopy(records, position, record, 0, length);
      position += length;
      onTheWay.accept(record);
      ByteBuffer room = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
      server.unwrap(ByteBuffer.wrap(record), room);
      plain.write(room.array(), 0, room.position());
    }
  }

  private byte[] takeOutput() throws TlsException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    while (server.hasOutput()) {
      ByteBuffer room = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
      server.output(room);
      all.write(room.array(), 0, room.position());
    }
    return all.toByteArray();
  }

  /** The handshake is over, and both hear what the other one says. */
  void assertEcho() throws TlsException, IOException {
    assertThat(client.complaint()).isNull();
    assertThat(server.isHandshaking()).isFalse();
    assertThat(client.isHandshaking()).isFalse();
    client.send(HELLO);
    run();
    assertThat(takePlain()).isEqualTo(HELLO);
    serverSends(HELLO);
    assertThat(client.takePlain()).isEqualTo(HELLO);
  }

  /** Returns what reached the server in the clear. */
  byte[] takePlain() {
    byte[] bytes = plain.toByteArray();
    plain.reset();
    return bytes;
  }

  void serverSends(byte[] bytes) throws TlsException, IOException {
    ByteBuffer rest = ByteBuffer.wrap(bytes);
    while (rest.hasRemaining()) {
      ByteBuffer piece = ByteBuffer.wrap(new byte[Math.min(16_256, rest.remaining())]);
      rest.get(piece.array());
      ByteBuffer room = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
      server.wrap(piece, room);
      byte[] record = new byte[room.position()];
      room.flip().get(record);
      client.receive(record);
    }
  }
}
