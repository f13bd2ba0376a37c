package io.plinth.engine.net;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Status;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A socket that is being connected. It has the memory of the connection to be from the start, so
 * that one which is there can be used; the address lies in it meanwhile.
 */
final class ConnectAttempt implements Completion {
  private static final int CONNECT = 0;
  private static final int CANCEL = 1;
  private static final long RETRY_NS = TimeUnit.MILLISECONDS.toNanos(1);

  private final CoreNetwork network;
  private final int descriptor;
  private final int block;
  private final Connector connector;
  private long timer;
  private boolean connecting;
  private boolean cancelling;
  private int status;

  ConnectAttempt(CoreNetwork network, int descriptor, int block, Connector connector) {
    this.network = network;
    this.descriptor = descriptor;
    this.block = block;
    this.connector = connector;
  }

  int descriptor() {
    return descriptor;
  }

  int block() {
    return block;
  }

  Connector connector() {
    return connector;
  }

  /** Begins; false when the driver has no slot. */
  boolean begin(byte[] sockaddr) {
    long address = network.memory().receiveAddress(block);
    new UnsafeBuffer(address, sockaddr.length).putBytes(0, sockaddr);
    connecting = network.driver().connect(descriptor, address, sockaddr.length, this, CONNECT);
    if (connecting) {
      giveUpIn(Dialler.CONNECT_TIMEOUT_NS, Status.ETIMEDOUT);
    }
    return connecting;
  }

  /** Ends the attempt; the connector is told why. */
  void giveUp(int why) {
    if (status != Status.OK || cancelling) {
      return;
    }
    network.core().timers().cancel(timer);
    cancelling = network.driver().cancel(descriptor, this, CANCEL);
    if (cancelling) {
      status = why;
    } else {
      giveUpIn(RETRY_NS, why);
    }
  }

  private void giveUpIn(long delayNs, int why) {
    Core core = network.core();
    timer = core.timers().schedule(core.clock().nowNs() + delayNs, now -> giveUp(why));
  }

  @Override
  public void onComplete(long context, int result) {
    if (context == CANCEL) {
      cancelling = false;
    } else {
      connecting = false;
      network.core().timers().cancel(timer);
      // Whoever has given up wants no connection that came at the last moment.
      status = status == Status.OK ? result : status;
    }
    // The memory and the descriptor are in use until both have ended.
    if (!connecting && !cancelling) {
      network.ended(this, status);
    }
  }
}
