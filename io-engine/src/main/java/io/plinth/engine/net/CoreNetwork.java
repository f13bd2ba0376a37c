package io.plinth.engine.net;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Completion;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.core.EngineCore;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.memory.Posix;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.function.IntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All sockets of one core. Connections that have something to do are queued and served at the end
 * of the duty cycle.
 */
public final class CoreNetwork implements Dialler, CycleTask, Completion {
  private static final Logger LOG = LoggerFactory.getLogger(CoreNetwork.class);
  private static final int OPERATION_BITS = 2;
  private static final int BACKLOG = 1024;
  private static final int EBADF = -9;
  private static final int ENOTSOCK = -88;

  private final EngineCore core;
  private final IntFunction<CoreNetwork> networks;
  private final ConnectionMemory memory;

  /** Plaintext of the connections with TLS. */
  private final ConnectionMemory tlsMemory;

  // Between the two memories goes every record of this core, one at a time.
  private final ByteBuffer plain = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
  private final ByteBuffer record = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
  private final StreamConnection[] connections;
  private final ArrayList<ConnectAttempt> attempts = new ArrayList<>();
  private StreamConnection[] scheduled;
  private StreamConnection[] serving;
  private int scheduledCount;
  private StreamConnection[] nextCycle;
  private int nextCycleCount;
  private long nextId;
  private long refused;

  /**
   * Creates the network of a core.
   *
   * @param maxConnections connections that this core can own at a time
   * @param networks finds the networks of other cores by number, for connections that move
   */
  CoreNetwork(EngineCore core, int maxConnections, IntFunction<CoreNetwork> networks) {
    this.core = core;
    this.networks = networks;
    this.memory = new ConnectionMemory(maxConnections);
    this.tlsMemory = new ConnectionMemory(maxConnections);
    this.connections = new StreamConnection[maxConnections];
    this.scheduled = new StreamConnection[maxConnections];
    this.serving = new StreamConnection[maxConnections];
    this.nextCycle = new StreamConnection[maxConnections];
    this.nextId = (long) core.id() << 48;
  }

  /**
   * Listens on an address. On the core's thread.
   *
   * @param address {@code HOST:PORT} (port 0 takes a free one) or {@code unix:PATH}
   * @throws ListenException when that is impossible; one line that says why
   */
  public Listener listen(String address, Acceptor acceptor) throws ListenException {
    byte[] sockaddr;
    try {
      sockaddr = SocketAddresses.encode(address);
    } catch (IllegalArgumentException e) {
      throw new ListenException(e.getMessage(), e);
    }
    int family = SocketAddresses.family(sockaddr);
    int descriptor = Posix.streamSocket(family);
    if (descriptor < 0) {
      throw new ListenException(
          "can't make a socket for " + address + ": " + Status.name(descriptor), null);
    }
    Posix.setOption(descriptor, Posix.SOL_SOCKET, Posix.SO_REUSEADDR, 1);
    int result = Posix.bind(descriptor, sockaddr);
    if (result == 0) {
      result = Posix.listen(descriptor, BACKLOG);
    }
    if (result < 0) {
      Posix.close(descriptor);
      throw new ListenException(explain(address, result), null);
    }
    SocketListener listener =
        new SocketListener(this, descriptor, localAddress(descriptor), acceptor, false);
    listener.arm();
    return listener;
  }

  /**
   * Accepts the connections of a socket that somebody else has bound and made to listen, and goes
   * on to use when the listener has been closed. On the core's thread.
   *
   * @throws ListenException when it is no such socket; one line that says what it is
   */
  public Listener listenOn(int descriptor, Acceptor acceptor) throws ListenException {
    byte[] sockaddr = new byte[128];
    int length = Posix.localName(descriptor, sockaddr);
    if (length < 0) {
      String what =
          length == EBADF
              ? "is not open"
              : length == ENOTSOCK ? "is not a socket" : Status.name(length);
      throw new ListenException("descriptor " + descriptor + " " + what, null);
    }
    int family = length < 2 ? -1 : SocketAddresses.family(sockaddr);
    if (family != SocketAddresses.AF_UNIX
        && family != SocketAddresses.AF_INET
        && family != SocketAddresses.AF_INET6) {
      throw new ListenException(
          "descriptor " + descriptor + " is neither a TCP nor a unix socket", null);
    }
    if (Posix.getOption(descriptor, Posix.SOL_SOCKET, Posix.SO_TYPE) != Posix.SOCK_STREAM) {
      throw new ListenException("descriptor " + descriptor + " is not a stream socket", null);
    }
    if (Posix.getOption(descriptor, Posix.SOL_SOCKET, Posix.SO_ACCEPTCONN) != 1) {
      throw new ListenException("descriptor " + descriptor + " does not listen", null);
    }
    // The ring waits for connections by itself, and would be told EAGAIN at once.
    int result = Posix.makeBlocking(descriptor);
    if (result < 0) {
      throw new ListenException(
          "can't use descriptor " + descriptor + ": " + Status.name(result), null);
    }
    SocketListener listener =
        new SocketListener(
            this, descriptor, SocketAddresses.decode(sockaddr, length), acceptor, true);
    listener.arm();
    return listener;
  }

  private static String explain(String address, int result) {
    return switch (result) {
      case Status.EADDRINUSE ->
          "can't listen on " + address + ": the address is in use by another process";
      case Status.EACCES -> "can't listen on " + address + ": no permission";
      case Status.ENOENT -> "can't listen on " + address + ": the folder does not exist";
      case Status.EADDRNOTAVAIL ->
          "can't listen on " + address + ": this machine has no such address";
      default -> "can't listen on " + address + ": " + Status.name(result);
    };
  }

  @Override
  public boolean connect(String address, Connector connector) {
    int block = memory.acquire();
    if (block < 0) {
      return false;
    }
    int status = begin(address, connector, block);
    if (status == Status.OK) {
      return true;
    }
    memory.release(block);
    if (status != Status.EAGAIN) {
      core.timers().schedule(core.clock().nowNs(), now -> connector.onConnectFailed(status));
    }
    return status != Status.EAGAIN;
  }

  /** Returns OK when the attempt is under way, EAGAIN when there is no slot for it. */
  private int begin(String address, Connector connector, int block) {
    byte[] sockaddr;
    try {
      sockaddr = SocketAddresses.encodeLiteral(address);
    } catch (IllegalArgumentException e) {
      LOG.warn("core {}: can't connect: {}", core.id(), e.getMessage());
      return Status.EINVAL;
    }
    int descriptor = Posix.streamSocket(SocketAddresses.family(sockaddr));
    if (descriptor < 0) {
      return descriptor;
    }
    ConnectAttempt attempt = new ConnectAttempt(this, descriptor, block, connector);
    if (!attempt.begin(sockaddr)) {
      Posix.close(descriptor);
      return Status.EAGAIN;
    }
    attempts.add(attempt);
    return Status.OK;
  }

  /** An attempt has made a connection, or none. */
  void ended(ConnectAttempt attempt, int status) {
    boolean _ = attempts.remove(attempt);
    if (status != Status.OK) {
      memory.release(attempt.block());
      Posix.close(attempt.descriptor());
      attempt.connector().onConnectFailed(status);
      return;
    }
    StreamConnection connection = establish(attempt.descriptor(), attempt.block());
    open(connection, attempt.connector().onConnected(connection));
  }

  private static String localAddress(int descriptor) {
    byte[] sockaddr = new byte[128];
    int length = Posix.localName(descriptor, sockaddr);
    return SocketAddresses.decode(sockaddr, Math.max(0, length));
  }

  Core core() {
    return core;
  }

  ConnectionMemory memory() {
    return memory;
  }

  ConnectionMemory tlsMemory() {
    return tlsMemory;
  }

  ByteBuffer plain() {
    return plain;
  }

  ByteBuffer record() {
    return record;
  }

  /** Returns how many connections this core owns, those among them that are being made. */
  public int connectionCount() {
    return memory.inUse();
  }

  /** Returns how many connections were refused because the limit was reached. */
  public long refusedConnections() {
    return refused;
  }

  void accepted(int descriptor, Acceptor acceptor) {
    int block = memory.acquire();
    if (block < 0) {
      refused++;
      LOG.warn(
          "core {}: connection refused, the limit of {} is reached", core.id(), connections.length);
      Posix.close(descriptor);
      return;
    }
    StreamConnection connection = establish(descriptor, block);
    open(connection, acceptor.onAccept(connection));
  }

  private StreamConnection establish(int descriptor, int block) {
    byte[] sockaddr = new byte[128];
    int length = Posix.peerName(descriptor, sockaddr);
    String peer = length < 0 ? "gone" : SocketAddresses.decode(sockaddr, length);
    if (length > 2 && SocketAddresses.family(sockaddr) != SocketAddresses.AF_UNIX) {
      Posix.setOption(descriptor, Posix.IPPROTO_TCP, Posix.TCP_NODELAY, 1);
      Posix.setOption(descriptor, Posix.SOL_SOCKET, Posix.SO_KEEPALIVE, 1);
    }
    StreamConnection connection = new StreamConnection(this, descriptor, nextId++, peer, block);
    connections[block] = connection;
    return connection;
  }

  private static void open(StreamConnection connection, ConnectionHandler handler) {
    if (handler == null) {
      connection.close();
    } else {
      connection.open(handler);
    }
  }

  /** Takes over a connection from another core. */
  private void adopt(
      int descriptor, long id, String peer, ConnectionHandler handler, byte[] rest, TlsLayer tls) {
    int block = memory.acquire();
    if (block < 0) {
      refused++;
      Posix.close(descriptor);
      StreamConnection gone = new StreamConnection(this, -1, id, peer, 0);
      handler.onClosed(gone, Status.ENOBUFS);
      return;
    }
    StreamConnection connection = new StreamConnection(this, descriptor, id, peer, block);
    connections[block] = connection;
    connection.prepend(rest);
    connection.adopt(tls);
    connection.open(handler);
    handler.onMoved(connection);
  }

  /** Gives a connection to another core. */
  void hand(StreamConnection connection, Core target, int descriptor, byte[] rest, TlsLayer tls) {
    CoreNetwork other = networks.apply(target.id());
    forget(connection);
    long id = connection.id();
    String peer = connection.peer();
    ConnectionHandler handler = connection.handler();
    if (!target.execute(() -> other.adopt(descriptor, id, peer, handler, rest, tls))) {
      Posix.close(descriptor);
      handler.onClosed(connection, Status.ESHUTDOWN);
    }
  }

  void release(StreamConnection connection, int descriptor) {
    forget(connection);
    // Closing a TCP socket without linger does not wait, and needs no completion.
    Posix.close(descriptor);
  }

  private void forget(StreamConnection connection) {
    connections[connection.block()] = null;
    memory.release(connection.block());
  }

  void schedule(StreamConnection connection) {
    if (connection.markScheduled()) {
      scheduled[scheduledCount++] = connection;
    }
  }

  /** Queues a connection for which the driver had no slot. */
  void scheduleNextCycle(StreamConnection connection) {
    if (connection.markScheduled()) {
      nextCycle[nextCycleCount++] = connection;
    }
  }

  boolean receive(
      int descriptor, long address, int length, StreamConnection connection, int operation) {
    return driver().receive(descriptor, address, length, this, context(connection, operation));
  }

  boolean sendMessage(
      int descriptor, long messageAddress, StreamConnection connection, int operation) {
    return driver().sendMessage(descriptor, messageAddress, this, context(connection, operation));
  }

  boolean shutdown(int descriptor, StreamConnection connection, int operation) {
    return driver().shutdown(descriptor, this, context(connection, operation));
  }

  boolean shutdownOutput(int descriptor, StreamConnection connection, int operation) {
    return driver().shutdownOutput(descriptor, this, context(connection, operation));
  }

  IoDriver driver() {
    return core.driver();
  }

  @Override
  public void onComplete(long context, int result) {
    int block = (int) (context >>> OPERATION_BITS);
    connections[block].onCompletion((int) context & ((1 << OPERATION_BITS) - 1), result);
  }

  /** Serves the connections that have something to do. */
  @Override
  public int doWork(long nowNs) {
    int work = 0;
    // Serving one connection may give another something to do: at most a few rounds, the rest waits
    // for the next cycle.
    for (int round = 0; round < 4 && scheduledCount > 0; round++) {
      StreamConnection[] batch = scheduled;
      int count = scheduledCount;
      scheduled = serving;
      serving = batch;
      scheduledCount = 0;
      for (int i = 0; i < count; i++) {
        StreamConnection connection = batch[i];
        batch[i] = null;
        work += connection.service();
      }
    }
    if (nextCycleCount > 0) {
      System.arraycopy(nextCycle, 0, scheduled, scheduledCount, nextCycleCount);
      scheduledCount += nextCycleCount;
      nextCycleCount = 0;
      work++;
    }
    return work;
  }

  /** Closes all connections and ends attempts, as for a shutdown. On the core's thread. */
  public void closeAll() {
    for (ConnectAttempt attempt : attempts) {
      attempt.giveUp(Status.ESHUTDOWN);
    }
    for (StreamConnection connection : connections) {
      if (connection != null) {
        connection.close(Status.ESHUTDOWN);
      }
    }
  }

  /** Frees the memory of the connections, none of which may be left. */
  void close() {
    memory.close();
    tlsMemory.close();
  }

  private static long context(StreamConnection connection, int operation) {
    return ((long) connection.block() << OPERATION_BITS) | operation;
  }
}
