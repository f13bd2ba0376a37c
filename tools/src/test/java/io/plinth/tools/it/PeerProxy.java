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
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * The way from one node to another: passes bytes on in both directions. Cut, it takes what comes
 * and tells nobody, as a network does that is in pieces; what it held then is lost. Delayed, it
 * passes everything on later.
 */
final class PeerProxy implements Closeable {
  private static final long IDLE_NS = TimeUnit.MILLISECONDS.toNanos(1);

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
    try {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      Late late = new Late(out);
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

  /** What waits for its time; a thread of its own passes it on while there is any. */
  private static final class Late {
    private final OutputStream out;
    private final BlockingQueue<Map.Entry<Long, byte[]>> waiting = new LinkedBlockingQueue<>();
    private boolean started;

    Late(OutputStream out) {
      this.out = out;
    }

    boolean isAny() {
      return !waiting.isEmpty();
    }

    void add(long delayNs, byte[] bytes) {
      waiting.add(Map.entry(System.nanoTime() + delayNs, bytes));
      if (!started) {
        started = true;
        start(this::pass);
      }
    }

    private void pass() {
      try {
        while (true) {
          Map.Entry<Long, byte[]> next = waiting.peek();
          if (next == null) {
            LockSupport.parkNanos(IDLE_NS);
          } else if (next.getKey() - System.nanoTime() > 0) {
            LockSupport.parkNanos(next.getKey() - System.nanoTime());
          } else {
            // Removed when it is written: what comes meanwhile must not overtake it.
            out.write(next.getValue());
            waiting.remove();
          }
        }
      } catch (IOException e) {
        // The reader learns of it at its next byte.
        return;
      }
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
