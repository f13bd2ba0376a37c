package io.plinth.tools.conformance;

import io.plinth.engine.api.TlsException;
import io.plinth.target.security.PskClientEngine;
import io.plinth.target.security.TlsFilesException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/** TLS with a pre-shared key over another wire. */
final class PskWire implements Wire {
  private static final int BUFFER_BYTES = 32 << 10;

  private final Wire lower;
  private final PskClientEngine engine;
  private final ByteBuffer received = ByteBuffer.allocate(BUFFER_BYTES);

  private PskWire(Wire lower, PskClientEngine engine) {
    this.lower = lower;
    this.engine = engine;
  }

  /**
   * Begins TLS as a client; throws {@link IOException} when the two can't agree.
   *
   * @param versions those that are offered; none for all
   */
  static PskWire handshake(Wire lower, NbdUri uri, Deadline deadline, String... versions)
      throws IOException {
    PskWire wire;
    try {
      wire =
          new PskWire(
              lower,
              new PskClientEngine(Path.of(uri.pskFile()), uri.pskIdentity(), List.of(versions)));
    } catch (TlsFilesException e) {
      throw new TlsFailedException(e.getMessage(), e);
    } catch (TlsException e) {
      throw new TlsFailedException("TLS handshake: " + e.getMessage(), e);
    }
    wire.send(deadline);
    while (wire.engine.isHandshaking()) {
      try {
        if (!wire.receive(deadline)) {
          throw new ClosedException();
        }
      } catch (TlsException e) {
        throw new TlsFailedException("TLS handshake: " + e.getMessage(), e);
      }
    }
    return wire;
  }

  private void send(Deadline deadline) throws IOException {
    ByteBuffer records = engine.takeRecords();
    if (records.hasRemaining()) {
      lower.write(records, deadline);
    }
  }

  /** Takes what there is; false at the end of the stream. */
  private boolean receive(Deadline deadline) throws IOException, TlsException {
    if (lower.read(received.clear(), deadline) < 0) {
      return false;
    }
    engine.receive(received.flip());
    send(deadline);
    return true;
  }

  @Override
  public int read(ByteBuffer into, Deadline deadline) throws IOException {
    int count = engine.takePlain(into);
    while (count == 0 && into.hasRemaining()) {
      try {
        if (engine.isInputClosed() || !receive(deadline)) {
          return -1;
        }
      } catch (TlsException e) {
        throw new IOException("TLS: " + e.getMessage(), e);
      }
      count = engine.takePlain(into);
    }
    return count;
  }

  @Override
  public void write(ByteBuffer from, Deadline deadline) throws IOException {
    if (engine.isInputClosed()) {
      throw new ClosedException();
    }
    try {
      engine.send(from);
    } catch (TlsException e) {
      throw new IOException("TLS: " + e.getMessage(), e);
    }
    send(deadline);
  }

  @Override
  public void close() {
    lower.close();
  }
}
