package io.plinth.target.forward;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Timers;
import java.nio.ByteOrder;
import java.util.concurrent.TimeUnit;
import org.agrona.DirectBuffer;

/**
 * The port that other nodes connect to: who begins with the word of the forwarding protocol is for
 * the {@link ForwardServer}, all others are for the log's replicator, which says what is wrong with
 * them.
 */
public final class PeerPort implements Acceptor {
  private static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(1);

  private final Acceptor replicator;
  private final Acceptor forwarding;

  /** Creates the port of one core from what takes its two kinds of connections. */
  public PeerPort(Acceptor replicator, Acceptor forwarding) {
    this.replicator = replicator;
    this.forwarding = forwarding;
  }

  @Override
  public ConnectionHandler onAccept(Connection connection) {
    return new Undecided(connection);
  }

  /** A connection, and who it turned out to be for. */
  private final class Undecided implements ConnectionHandler, Timers.Task {
    private final Connection connection;
    private final long timer;
    private ConnectionHandler handler;
    private boolean closing;

    Undecided(Connection connection) {
      this.connection = connection;
      timer =
          connection.core().timers().schedule(connection.core().clock().nowNs() + SILENCE_NS, this);
    }

    @Override
    public void onTimer(long nowNs) {
      if (handler == null) {
        close();
      }
    }

    private void close() {
      closing = true;
      connection.close();
    }

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      if (handler == null) {
        if (length < Long.BYTES) {
          return 0;
        }
        if (!closing) {
          connection.core().timers().cancel(timer);
          boolean forwards = buffer.getLong(offset, ByteOrder.LITTLE_ENDIAN) == ForwardHello.MAGIC;
          handler = (forwards ? forwarding : replicator).onAccept(connection);
        }
        if (handler == null) {
          close();
          return length;
        }
      }
      return handler.onReceive(from, buffer, offset, length);
    }

    @Override
    public void onDirectReceived(Connection from) {
      handler.onDirectReceived(from);
    }

    @Override
    public void onWritable(Connection from) {
      handler.onWritable(from);
    }

    @Override
    public void onClosed(Connection from, int reason) {
      if (handler == null) {
        connection.core().timers().cancel(timer);
      } else {
        handler.onClosed(from, reason);
      }
    }
  }
}
