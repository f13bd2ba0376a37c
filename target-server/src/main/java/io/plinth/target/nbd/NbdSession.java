package io.plinth.target.nbd;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.target.volume.Volume;
import org.agrona.DirectBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client: first {@link Negotiation}, which may move the connection to the core that owns the
 * chosen volume, then {@link Transmission}.
 */
final class NbdSession implements ConnectionHandler {
  private static final Logger LOG = LoggerFactory.getLogger(NbdSession.class);

  /** Links of the context's list. */
  NbdSession previousSession;

  NbdSession nextSession;

  private final NbdAcceptor acceptor;
  private Connection connection;

  /** The context of the connection's core; null while the connection moves. */
  private NbdCoreContext context;

  /** Null once a volume is open. */
  private Negotiation negotiation;

  /** Null until a volume is open. */
  private Transmission transmission;

  /** Bytes that still arrive are ignored. */
  private boolean closing;

  NbdSession(NbdAcceptor acceptor) {
    this.acceptor = acceptor;
  }

  /** Greets the client; false when the core has no room for another connection. */
  boolean begin(Connection newConnection, NbdCoreContext newContext) {
    if (!newContext.register(this)) {
      return false;
    }
    connection = newConnection;
    context = newContext;
    context.counters().connectionAccepted();
    negotiation = new Negotiation(this, acceptor);
    negotiation.begin(newConnection, newContext);
    return true;
  }

  @Override
  public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
    int consumed = 0;
    if (negotiation != null && !closing) {
      consumed = negotiation.onReceive(buffer, offset, length);
    }
    if (closing) {
      return length;
    }
    if (transmission != null) {
      consumed += transmission.onReceive(buffer, offset + consumed, length - consumed);
    }
    return consumed;
  }

  @Override
  public void onDirectReceived(Connection from) {
    transmission.onDirectReceived();
  }

  @Override
  public void onWritable(Connection from) {
    if (transmission != null) {
      transmission.onWritable();
    } else if (!closing) {
      negotiation.onWritable();
    }
  }

  @Override
  public void onMoved(Connection moved) {
    connection = moved;
    NbdCoreContext arrivedAt = acceptor.context(moved.core());
    if (!arrivedAt.register(this)) {
      closing = true;
      connection.close();
      return;
    }
    context = arrivedAt;
    negotiation.onMoved(moved, arrivedAt);
  }

  @Override
  public void onSecured(Connection secured) {
    if (!closing) {
      negotiation.onSecured();
    }
  }

  @Override
  public void onTlsFailure(Connection from, String why) {
    if (context != null) {
      context.counters().tlsFailure();
    }
    LOG.info("NBD client {} disconnected: TLS: {}", connection.peer(), why);
  }

  @Override
  public void onClosed(Connection from, int reason) {
    closing = true;
    if (negotiation != null) {
      negotiation.stop();
    }
    if (transmission != null) {
      transmission.onClosed();
    }
    if (context != null) {
      context.unregister(this);
      context = null;
    }
  }

  /** Moves to the core of the chosen volume; the negotiation goes on in {@link #onMoved}. */
  void moveTo(Volume volume) {
    context.unregister(this);
    context = null;
    connection.moveTo(volume.core());
  }

  /** Negotiation is over: requests may follow. */
  void enterTransmission(Volume volume, Export export) {
    negotiation.stop();
    negotiation = null;
    transmission =
        new Transmission(this, connection, context, export, volume, acceptor.directory());
    transmission.begin();
  }

  /** Ends the session because the client broke the protocol. */
  void violation(String what) {
    context.counters().protocolViolation();
    closeNow(what);
  }

  /** Ends the session after what was said has been sent. */
  void closeAfterFlush() {
    closing = true;
    connection.closeAfterFlush();
  }

  /** Ends a session that never came to open a volume; anybody can cause any number of them. */
  void expire() {
    LOG.debug("NBD client {} disconnected: it negotiates too slowly", connection.peer());
    closing = true;
    connection.close();
  }

  /** Ends the session at once, which is worth a line for people. */
  void closeNow(String why) {
    LOG.info("NBD client {} disconnected: {}", connection.peer(), why);
    closing = true;
    if (transmission != null) {
      transmission.abort();
    }
    connection.close();
  }

  /** The server shuts down. */
  void onDrain() {
    if (transmission != null) {
      transmission.onDrain();
    } else if (!closing && negotiation.isIdle()) {
      closeAfterFlush();
    }
  }

  /** Disconnects a client that keeps what others wait for. */
  void evictIfStalled(long nowNs) {
    if (transmission != null && !closing && transmission.isStalled(nowNs)) {
      context.counters().stalledEviction();
      closeNow("it neither takes its replies nor sends its payload, and others wait");
    }
  }

  /** Disconnects a client that has asked for nothing for long. */
  void evictIfIdle(long nowNs) {
    if (transmission != null && !closing && transmission.isIdle(nowNs)) {
      closeNow("it has asked for nothing for the time of nbd.idle-timeout");
    }
  }

  boolean isClosing() {
    return closing;
  }

  @Override
  public String toString() {
    return connection.peer();
  }
}
