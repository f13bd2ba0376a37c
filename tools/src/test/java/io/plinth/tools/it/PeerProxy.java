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
import java.util.List;

/**
 * The way from one node to another: passes bytes on in both directions. Cut, it takes what comes
 * and tells nobody, as a network does that is in pieces; what it held then is lost.
 */
final class PeerProxy implements Closeable {
  private final ServerSocket listener;
  private final int target;
  private final List<Socket> sockets = new ArrayList<>();
  private boolean cut;
  private boolean closed;

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
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        if (!isCut()) {
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
