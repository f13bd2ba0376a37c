package io.plinth.tools.it;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The way from one node to another: passes bytes on in both directions. Cut, it takes what comes
 * and tells nobody, as a network does that is in pieces; what it held then is lost. Delayed, it
 * passes everything on later.
 */
final class PeerProxy implements Closeable {
  private final ServerSocket listener;
  private final int target;
  private final List<Socket> sockets = new ArrayList<>();
  private boolean cut;
  private boolean closed;
  private volatile long delayNs;
  private final AtomicLong passedBytes = new AtomicLong();

  /**
   * Begins to listen.
   *
   * @param target the port on 127.0.0.1 that it leads to
   */
  PeerProxy(int target) throws IOException {
    this.target = target;
    listener = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    start(this::accept);
  }

  int port() {
    return listener.getLocalPort();
  }

  synchronized void cut() {
    cut = true;
  }

  /** New connections get through again; those from before are over. */
  synchronized void heal() {
    cut = false;
    closeAll();
  }

  /** Lets everything take so much longer from now on, at any rate. */
  void delay(int milliseconds) {
    delayNs = TimeUnit.MILLISECONDS.toNanos(milliseconds);
  }

  /** Returns how much has come to it in both directions. */
  long passedBytes() {
    return passedBytes.get();
  }

  private static void start(Runnable task) {
    Thread thread = new Thread(task, "peer-proxy");
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    try {
      while (true) {
        Socket from = listener.accept();
        if (keep(from) && !isCut()) {
          start(() -> connect(from));
        }
      }
    } catch (IOException e) {
      // Closed.
      return;
    }
  }

  private void connect(Socket from) {
    try {
      Socket to = new Socket();
      if (!keep(to)) {
        return;
      }
      to.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target), 1000);
      to.setTcpNoDelay(true);
      from.setTcpNoDelay(true);
      start(() -> pass(from, to));
      pass(to, from);
    } catch (IOException e) {
      close(from);
    }
  }

  private void pass(Socket from, Socket to) {
    byte[] buffer = new byte[64 << 10];
    try (Late late = new Late(to.getOutputStream())) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        long _ = passedBytes.addAndGet(n);
        if (isCut()) {
          continue;
        }
        if (delayNs > 0 || late.isAny()) {
          late.add(delayNs, Arrays.copyOf(buffer, n));
        } else {
          out.write(buffer, 0, n);
        }
      }
    } catch (IOException e) {
      // One of them is gone, and the other one goes with it.
      close(to);
    }
    if (!isCut()) {
      close(from);
      close(to);
    }
  }

  /** Passes on what has to wait for its time, in the order in which it came. */
  private static final class Late implements Closeable {
    private final OutputStream out;
    private final AtomicInteger waiting = new AtomicInteger();
    private final ScheduledExecutorService timer =
        Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("peer-proxy-late").factory());
    private long lastNs = System.nanoTime();

    Late(OutputStream out) {
      this.out = out;
    }

    boolean isAny() {
      return waiting.get() > 0;
    }

    void add(long delayNs, byte[] bytes) {
      long nowNs = System.nanoTime();
      // Not before what came earlier, whatever its delay was.
      lastNs = Math.max(lastNs, nowNs + delayNs);
      int _ = waiting.incrementAndGet();
      ScheduledFuture<?> _ =
          timer.schedule(() -> pass(bytes), lastNs - nowNs, TimeUnit.NANOSECONDS);
    }

    private void pass(byte[] bytes) {
      try {
        out.write(bytes);
      } catch (IOException e) {
        // The reader learns of it at its next byte.
        return;
      } finally {
        int _ = waiting.decrementAndGet();
      }
    }

    @Override
    public void close() {
      timer.shutdown();
    }
  }

  private synchronized boolean isCut() {
    return cut;
  }

  private synchronized boolean keep(Socket socket) {
    if (closed) {
      close(socket);
    } else {
      sockets.add(socket);
    }
    return !closed;
  }

  private void closeAll() {
    sockets.forEach(PeerProxy::close);
    sockets.clear();
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It is as good as closed.
      return;
    }
  }

  @Override
  public synchronized void close() throws IOException {
    closed = true;
    listener.close();
    closeAll();
  }
}
