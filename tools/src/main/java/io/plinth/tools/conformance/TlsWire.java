package io.plinth.tools.conformance;

import java.io.IOException;
import java.nio.ByteBuffer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;

/** TLS over another wire. */
final class TlsWire implements Wire {
  private final Wire lower;
  private final SSLEngine engine;
  private final ByteBuffer received;
  private final ByteBuffer plain;
  private final ByteBuffer toSend;

  private TlsWire(Wire lower, SSLEngine engine) {
    this.lower = lower;
    this.engine = engine;
    int packet = engine.getSession().getPacketBufferSize();
    received = ByteBuffer.allocate(2 * packet).flip();
    plain = ByteBuffer.allocate(2 * engine.getSession().getApplicationBufferSize()).flip();
    toSend = ByteBuffer.allocate(2 * packet);
  }

  /**
   * Begins TLS as a client; throws {@link IOException} when the two can't agree.
   *
   * @param versions those that are offered; none for what the Java machine offers
   */
  static TlsWire handshake(Wire lower, NbdUri uri, Deadline deadline, String... versions)
      throws IOException {
    SSLEngine engine = Certificates.context(uri).createSSLEngine(uri.tlsName(), uri.port());
    engine.setUseClientMode(true);
    SSLParameters parameters = engine.getSSLParameters();
    Certificates.verification(uri, parameters);
    if (versions.length > 0) {
      parameters.setProtocols(versions);
    }
    engine.setSSLParameters(parameters);
    TlsWire wire = new TlsWire(lower, engine);
    try {
      engine.beginHandshake();
      wire.shake(deadline);
    } catch (SSLException e) {
      throw new TlsFailedException("TLS handshake: " + e.getMessage(), e);
    }
    return wire;
  }

  private void shake(Deadline deadline) throws IOException {
    while (true) {
      switch (engine.getHandshakeStatus()) {
        case NEED_TASK -> engine.getDelegatedTask().run();
        case NEED_WRAP -> wrap(ByteBuffer.allocate(0), deadline);
        case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> {
          if (!unwrap(deadline)) {
            throw new ClosedException();
          }
        }
        default -> {
          return;
        }
      }
    }
  }

  private void wrap(ByteBuffer from, Deadline deadline) throws IOException {
    toSend.clear();
    SSLEngineResult result = engine.wrap(from, toSend);
    if (result.getStatus() == SSLEngineResult.Status.CLOSED && toSend.position() == 0) {
      throw new ClosedException();
    }
    lower.write(toSend.flip(), deadline);
  }

  /** Takes one record apart; false at the end of the stream. */
  private boolean unwrap(Deadline deadline) throws IOException {
    while (true) {
      plain.compact();
      SSLEngineResult result;
      try {
        result = engine.unwrap(received, plain);
      } finally {
        plain.flip();
      }
      switch (result.getStatus()) {
        case OK -> {
          return true;
        }
        case BUFFER_UNDERFLOW -> {
          received.compact();
          int count;
          try {
            count = lower.read(received, deadline);
          } finally {
            received.flip();
          }
          if (count < 0) {
            return false;
          }
        }
        case CLOSED -> {
          return false;
        }
        default -> throw new IOException("TLS: " + result.getStatus());
      }
    }
  }

  @Override
  public int read(ByteBuffer into, Deadline deadline) throws IOException {
    while (!plain.hasRemaining()) {
      if (!unwrap(deadline)) {
        return -1;
      }
      shake(deadline);
    }
    int count = Math.min(into.remaining(), plain.remaining());
    ByteBuffer _ = into.put(plain.slice(plain.position(), count));
    plain.position(plain.position() + count);
    return count;
  }

  @Override
  public void write(ByteBuffer from, Deadline deadline) throws IOException {
    while (from.hasRemaining()) {
      wrap(from, deadline);
    }
  }

  @Override
  public void close() {
    lower.close();
  }
}
