package io.plinth.target.security;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;

/** A client of the Java runtime's. */
final class JsseClient implements Dialogue.Client {
  private static final int ROOM = 64 << 10;

  private final SSLEngine engine;
  private final ByteArrayOutputStream plain = new ByteArrayOutputStream();
  private final ByteArrayOutputStream toSend = new ByteArrayOutputStream();
  private byte[] unread = {};
  private String complaint;

  JsseClient(SSLContext context, String version) throws SSLException {
    engine = context.createSSLEngine();
    engine.setUseClientMode(true);
    engine.setEnabledProtocols(new String[] {version});
    engine.beginHandshake();
  }

  SSLEngine engine() {
    return engine;
  }

  @Override
  public void receive(byte[] records) {
    byte[] all = Arrays.copyOf(unread, unread.length + records.length);
    System.arraycopy(records, 0, all, unread.length, records.length);
    ByteBuffer in = ByteBuffer.wrap(all);
    try {
      boolean goesOn = true;
      while (goesOn && in.hasRemaining() && !engine.isInboundDone()) {
        goesOn = takeOne(in);
      }
    } catch (SSLException e) {
      complaint = complaint == null ? e.getMessage() : complaint;
      in.position(in.limit());
    }
    unread = Arrays.copyOfRange(all, in.position(), all.length);
  }

  private boolean takeOne(ByteBuffer in) throws SSLException {
    collect();
    ByteBuffer room = ByteBuffer.allocate(ROOM);
    SSLEngineResult result = engine.unwrap(in, room);
    plain.write(room.array(), 0, room.position());
    tasks();
    return result.bytesConsumed() > 0;
  }

  private void tasks() {
    while (engine.getHandshakeStatus() == HandshakeStatus.NEED_TASK) {
      engine.getDelegatedTask().run();
    }
  }

  /** Has the engine write what it must before it can read on. */
  private void collect() throws SSLException {
    tasks();
    while (engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP) {
      wrap(ByteBuffer.allocate(0));
      tasks();
    }
  }

  private void wrap(ByteBuffer from) throws SSLException {
    ByteBuffer room = ByteBuffer.allocate(ROOM);
    var _ = engine.wrap(from, room);
    toSend.write(room.array(), 0, room.position());
  }

  @Override
  public byte[] takeRecords() throws IOException {
    try {
      collect();
    } catch (SSLException e) {
      complaint = complaint == null ? e.getMessage() : complaint;
      // The alert.
      collect();
    }
    byte[] bytes = toSend.toByteArray();
    toSend.reset();
    return bytes;
  }

  @Override
  public boolean isHandshaking() {
    return engine.getHandshakeStatus() != HandshakeStatus.NOT_HANDSHAKING;
  }

  @Override
  public void send(byte[] bytes) throws IOException {
    ByteBuffer from = ByteBuffer.wrap(bytes);
    while (from.hasRemaining()) {
      wrap(from);
    }
  }

  @Override
  public byte[] takePlain() {
    byte[] bytes = plain.toByteArray();
    plain.reset();
    return bytes;
  }

  @Override
  public void close() {
    engine.closeOutbound();
  }

  @Override
  public boolean isInputClosed() {
    return engine.isInboundDone();
  }

  @Override
  public String complaint() {
    return complaint;
  }
}
