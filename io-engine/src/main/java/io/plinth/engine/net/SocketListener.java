package io.plinth.engine.net;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Accepts connections one after the other; when descriptors run out it waits a little instead of
 * spinning.
 */
final class SocketListener implements Listener, Completion {
  private static final Logger LOG = LoggerFactory.getLogger(SocketListener.class);
  private static final long RETRY_NS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final int ACCEPT = 0;
  private static final int SHUTDOWN = 1;

  private final CoreNetwork network;
  private final int descriptor;
  private final String address;
  private final Acceptor acceptor;
  private final boolean lent;
  private boolean accepting;
  private boolean closing;

  /**
   * Listens.
   *
   * @param lent somebody else listens on the same socket when this has ended
   */
  SocketListener(
      CoreNetwork network, int descriptor, String address, Acceptor acceptor, boolean lent) {
    this.network = network;
    this.descriptor = descriptor;
    this.address = address;
    this.acceptor = acceptor;
    this.lent = lent;
  }

  void arm() {
    if (closing || accepting) {
      return;
    }
    accepting = network.driver().accept(descriptor, this, ACCEPT);
    if (!accepting) {
      retryLater();
    }
  }

  @Override
  public String address() {
    return address;
  }

  @Override
  public void close() {
    if (closing) {
      return;
    }
    closing = true;
    if (!accepting) {
      Posix.close(descriptor);
    } else if (lent) {
      network.driver().cancel(descriptor, this, SHUTDOWN);
    } else {
      // Ends the pending accept, whose completion closes the socket.
      network.driver().shutdown(descriptor, this, SHUTDOWN);
    }
  }

  @Override
  public void onComplete(long context, int result) {
    if (context == SHUTDOWN) {
      return;
    }
    accepting = false;
    if (closing) {
      if (result >= 0) {
        Posix.close(result);
      }
      Posix.close(descriptor);
      return;
    }
    if (result >= 0) {
      network.accepted(result, acceptor);
    } else if (result == Status.EMFILE
        || result == Status.ENFILE
        || result == Status.ENOMEM
        || result == Status.ENOBUFS) {
      LOG.warn(
          "{}: can't accept connections: {}; raise the limit of open files",
          address,
          Status.name(result));
      retryLater();
      return;
    }
    arm();
  }

  private void retryLater() {
    network.core().timers().schedule(network.core().clock().nowNs() + RETRY_NS, now -> arm());
  }
}
