package io.plinth.tools.conformance;

import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import jdk.net.ExtendedSocketOptions;

/** A TCP or unix socket. */
final class SocketWire implements Wire {
  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;

  private SocketWire(SocketChannel channel, Selector selector) throws IOException {
    this.channel = channel;
    this.selector = selector;
    channel.configureBlocking(false);
    key = channel.register(selector, 0);
  }

  static SocketWire connect(NbdUri uri, Deadline deadline) throws IOException {
    SocketAddress address = uri.address();
    SocketChannel channel =
        uri.isUnix()
            ? SocketChannel.open(java.net.StandardProtocolFamily.UNIX)
            : SocketChannel.open();
    Selector selector = null;
    try {
      selector = Selector.open();
      SocketWire wire = new SocketWire(channel, selector);
      if (!uri.isUnix()) {
        SocketChannel _ = channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      }
      if (!channel.connect(address)) {
        wire.await(SelectionKey.OP_CONNECT, deadline, "no connection");
        boolean _ = channel.finishConnect();
      }
      return wire;
    } catch (IOException e) {
      closeQuietly(selector);
      closeQuietly(channel);
      throw new UnreachableException(e);
    }
  }

  @Override
  public int read(ByteBuffer into, Deadline deadline) throws IOException {
    int count = channel.read(into);
    while (count == 0 && into.hasRemaining()) {
      await(SelectionKey.OP_READ, deadline, "no answer");
      count = channel.read(into);
    }
    return count;
  }

  @Override
  public void write(ByteBuffer from, Deadline deadline) throws IOException {
    while (from.hasRemaining()) {
      if (channel.write(from) == 0) {
        await(SelectionKey.OP_WRITE, deadline, "data not taken");
      }
    }
  }

  private void await(int operation, Deadline deadline, String problem) throws IOException {
    SelectionKey _ = key.interestOps(operation);
    long left = deadline.leftMs();
    int ready = left == 0 ? selector.selectNow() : selector.select(left);
    selector.selectedKeys().clear();
    if (ready == 0 && deadline.leftMs() == 0) {
      throw new NoAnswerException(problem + " in time");
    }
  }

  /** Has this machine acknowledge late for a while, so that a server shows if it waits for that. */
  void delayAcknowledgements() throws IOException {
    if (channel.supportedOptions().contains(ExtendedSocketOptions.TCP_QUICKACK)) {
      SocketChannel _ = channel.setOption(ExtendedSocketOptions.TCP_QUICKACK, false);
    }
  }

  @Override
  public void close() {
    closeQuietly(selector);
    closeQuietly(channel);
  }

  /** What a socket says on its way out does not matter any more. */
  private static void closeQuietly(java.io.Closeable closeable) {
    if (closeable != null) {
      try {
        closeable.close();
      } catch (IOException _) {
        // It is closed either way.
      }
    }
  }
}
