package io.plinth.engine.net;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import java.nio.ByteBuffer;
import java.security.Principal;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLEngineResult.Status;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;

/**
 * TLS of the Java runtime. A handshake's delegated tasks run on the thread that unwraps; a client
 * that wants to begin another handshake later is refused.
 */
public final class JsseEngine implements TlsEngine {
  private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  private final SSLEngine engine;
  private boolean handshaking = true;

  /**
   * Takes an engine in server mode whose handshake has not begun.
   *
   * @throws TlsException when it can't begin, as for want of a cipher suite
   */
  public JsseEngine(SSLEngine engine) throws TlsException {
    this.engine = engine;
    try {
      engine.beginHandshake();
    } catch (SSLException e) {
      throw new TlsException(reason(e), e);
    }
  }

  @Override
  public boolean isHandshaking() {
    return handshaking;
  }

  @Override
  public void unwrap(ByteBuffer record, ByteBuffer plain) throws TlsException {
    try {
      while (record.hasRemaining() && !engine.isInboundDone()) {
        SSLEngineResult result = engine.unwrap(record, plain);
        if (result.getStatus() != Status.OK && result.getStatus() != Status.CLOSED) {
          throw new TlsException("a record is not what its header says", null);
        }
        runTasks();
        note(result);
        if (result.bytesConsumed() == 0) {
          throw new TlsException("a record comes before its turn", null);
        }
      }
    } catch (SSLException e) {
      throw new TlsException(reason(e), e);
    }
  }

  @Override
  public void wrap(ByteBuffer plain, ByteBuffer record) throws TlsException {
    try {
      SSLEngineResult result = engine.wrap(plain, record);
      if (result.getStatus() != Status.OK) {
        throw new TlsException("the session has ended", null);
      }
    } catch (SSLException e) {
      throw new TlsException(reason(e), e);
    }
  }

  @Override
  public boolean hasOutput() {
    return engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP;
  }

  @Override
  public void output(ByteBuffer records) throws TlsException {
    try {
      note(engine.wrap(NOTHING.duplicate(), records));
      runTasks();
    } catch (SSLException e) {
      throw new TlsException(reason(e), e);
    }
  }

  @Override
  public boolean isInputClosed() {
    return engine.isInboundDone();
  }

  @Override
  public void closeOutput() {
    engine.closeOutbound();
  }

  @Override
  public Principal peer() {
    try {
      return handshaking ? null : engine.getSession().getPeerPrincipal();
    } catch (SSLPeerUnverifiedException e) {
      return null;
    }
  }

  @Override
  public String description() {
    return engine.getSession().getProtocol() + " " + engine.getSession().getCipherSuite();
  }

  private void note(SSLEngineResult result) {
    if (result.getHandshakeStatus() == HandshakeStatus.FINISHED) {
      handshaking = false;
    }
  }

  private void runTasks() throws TlsException {
    while (engine.getHandshakeStatus() == HandshakeStatus.NEED_TASK) {
      if (!handshaking) {
        throw new TlsException("the client wants another handshake", null);
      }
      engine.getDelegatedTask().run();
    }
  }

  /** The first line of the innermost cause: the outer ones tell where in the library it was. */
  private static String reason(SSLException e) {
    Throwable cause = e;
    while (cause.getCause() != null && cause.getCause().getMessage() != null) {
      cause = cause.getCause();
    }
    return String.valueOf(cause.getMessage()).lines().findFirst().orElse("no reason given");
  }
}
