package io.plinth.tools.attach;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.Posix;
import io.plinth.engine.net.SocketAddresses;
import java.io.EOFException;
import java.io.IOException;

/** Dials with sockets whose descriptors are known, which those of the Java library are not. */
final class SocketDialler implements Dialler {
  private static final int AF_UNIX = 1;
  private static final int TCP_KEEPIDLE = 4;
  private static final int TCP_KEEPINTVL = 5;
  private static final int TCP_KEEPCNT = 6;
  private static final int TCP_USER_TIMEOUT = 18;

  /** For connecting, and for each answer of the server. */
  private static final long TIMEOUT_MS = 5_000;

  /** After which a machine that does not answer at all is taken for dead. */
  private static final int SILENCE_S = 20;

  @Override
  public Link dial(String server, String volume) throws AttachException {
    byte[] address;
    try {
      address = SocketAddresses.encode(server);
    } catch (IllegalArgumentException e) {
      throw new AttachException(AttachException.Kind.UNREACHABLE, e.getMessage(), e);
    }
    int family = SocketAddresses.family(address);
    int descriptor = Posix.streamSocket(family);
    if (descriptor < 0) {
      throw new AttachException(
          AttachException.Kind.FAILED, "no socket (" + Status.name(descriptor) + ")");
    }
    boolean dialled = false;
    try {
      check(server, Posix.setTimeouts(descriptor, TIMEOUT_MS));
      check(server, Posix.connect(descriptor, address));
      if (family != AF_UNIX) {
        tune(descriptor);
      }
      Export export = Handshake.run(new SocketStream(descriptor), server, volume);
      // The kernel waits for as long as it likes.
      check(server, Posix.setTimeouts(descriptor, 0));
      dialled = true;
      return new Link(descriptor, export, server);
    } finally {
      if (!dialled) {
        int _ = Posix.close(descriptor);
      }
    }
  }

  /** A server whose machine has gone says nothing: without these the kernel would wait for ever. */
  private static void tune(int descriptor) {
    int tcp = Posix.IPPROTO_TCP;
    int _ = Posix.setOption(descriptor, tcp, Posix.TCP_NODELAY, 1);
    int _ = Posix.setOption(descriptor, Posix.SOL_SOCKET, Posix.SO_KEEPALIVE, 1);
    int _ = Posix.setOption(descriptor, tcp, TCP_KEEPIDLE, SILENCE_S / 2);
    int _ = Posix.setOption(descriptor, tcp, TCP_KEEPINTVL, SILENCE_S / 4);
    int _ = Posix.setOption(descriptor, tcp, TCP_KEEPCNT, 2);
    int _ = Posix.setOption(descriptor, tcp, TCP_USER_TIMEOUT, SILENCE_S * 1000);
  }

  private static void check(String server, int result) throws AttachException {
    if (result < 0) {
      throw new AttachException(AttachException.Kind.UNREACHABLE, server + ": " + reason(result));
    }
  }

  private static String reason(int result) {
    final int connectionRefused = -111;
    final int noRoute = -113;
    final int inProgress = -115;
    return switch (result) {
      case connectionRefused -> "connection refused";
      case noRoute -> "no route to the host";
      case Status.ENOENT -> "no such socket";
      case Status.EACCES -> "not allowed";
      case Status.ETIMEDOUT, Status.EAGAIN, inProgress -> "no answer";
      case Status.ECONNRESET, Status.EPIPE -> "the server closed the connection";
      default -> Status.name(result);
    };
  }

  private record SocketStream(int descriptor) implements Handshake.Stream {
    @Override
    public void send(byte[] bytes) throws IOException {
      for (int at = 0; at < bytes.length; ) {
        int result = Posix.send(descriptor, bytes, at);
        if (result < 0 && result != Status.EINTR) {
          throw new IOException(reason(result));
        }
        at += Math.max(0, result);
      }
    }

    @Override
    public void receive(byte[] bytes) throws IOException {
      for (int at = 0; at < bytes.length; ) {
        int result = Posix.receive(descriptor, bytes, at, bytes.length - at);
        if (result == 0) {
          throw new EOFException("the server closed the connection");
        }
        if (result < 0 && result != Status.EINTR) {
          throw new IOException(reason(result));
        }
        at += Math.max(0, result);
      }
    }
  }
}
