package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Status;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The way to the same core of another node: a connection that is made when it is wanted, made anew
 * when it is lost, and ended when nothing has been wanted for long.
 */
final class ForwardLink implements Connector {
  private static final Logger LOG = LoggerFactory.getLogger(ForwardLink.class);
  private static final long MIN_RETRY_NS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long MAX_RETRY_NS = TimeUnit.SECONDS.toNanos(1);

  /** Who wants it says so again and again. */
  private static final long WANTED_NS = TimeUnit.SECONDS.toNanos(1);

  private static final long IDLE_NS = TimeUnit.MINUTES.toNanos(1);
  private static final String ENDS = "forwarding ends: ";
  private static final String NOT_NEEDED = "it is not needed any more";

  private final ForwardClient client;
  private final int node;
  private String address;
  private ForwardChannel channel;
  private boolean dialling;
  private boolean wanted;
  private long wantedNs;
  private long retryAtNs;
  private long retryNs = MIN_RETRY_NS;
  private long sequence;
  private String lastProblem = "";

  ForwardLink(ForwardClient client, int node, String address) {
    this.client = client;
    this.node = node;
    this.address = address;
  }

  int node() {
    return node;
  }

  /** The node is to be dialled elsewhere from now on. */
  void moved(String newAddress) {
    address = newAddress;
  }

  /** Returns the connection if requests can be sent on it, or null; it is wanted from now on. */
  ForwardChannel want(long nowNs) {
    wanted = true;
    wantedNs = nowNs;
    return channel != null && channel.isOpen() ? channel : null;
  }

  /** Returns whether time matters here. */
  boolean isUsed() {
    return channel != null || wanted;
  }

  int work(long nowNs) {
    if (channel != null) {
      if (nowNs - wantedNs > IDLE_NS && channel.isIdle()) {
        wantedNs = nowNs;
        if (!client.isBound(channel)) {
          // Not worth a line.
          lastProblem = ENDS + NOT_NEEDED;
          wanted = false;
          channel.close(NOT_NEEDED);
          return 1;
        }
      }
      return channel.work(nowNs);
    }
    if (wanted && nowNs - wantedNs > WANTED_NS) {
      wanted = false;
    }
    if (wanted && !dialling && nowNs >= retryAtNs && !client.isStopped()) {
      dialling = client.dialler().connect(address, this);
      if (!dialling) {
        retryLater();
      }
      return 1;
    }
    return 0;
  }

  private void retryLater() {
    long spread = Math.floorMod(client.chance().getAsLong(), retryNs);
    retryAtNs = client.core().clock().nowNs() + retryNs / 2 + spread;
    retryNs = Math.min(MAX_RETRY_NS, 2 * retryNs);
  }

  void close(String why) {
    if (channel != null) {
      channel.close(why);
    }
  }

  @Override
  public ConnectionHandler onConnected(Connection connection) {
    dialling = false;
    if (client.isStopped()) {
      return null;
    }
    channel = new ForwardChannel(client, this, connection, ++sequence);
    return channel;
  }

  @Override
  public void onConnectFailed(int status) {
    dialling = false;
    note("can't connect to it at " + address + ": " + Status.name(status));
    retryLater();
  }

  /** The other side is there and takes requests. */
  void onOpen() {
    retryNs = MIN_RETRY_NS;
    lastProblem = "";
    LOG.info("{}: forwards to node {}", client.self(), node);
  }

  void onClosed(String why) {
    channel = null;
    note(ENDS + why);
    retryLater();
  }

  /** The same is said once. */
  private void note(String problem) {
    if (!problem.equals(lastProblem)) {
      lastProblem = problem;
      LOG.warn("{}: node {}: {}", client.self(), node, problem);
    }
  }
}
