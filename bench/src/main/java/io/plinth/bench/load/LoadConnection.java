package io.plinth.bench.load;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import org.HdrHistogram.Histogram;

/**
 * One connection at a fixed queue depth. All requests that are free go out in one write, and all
 * replies that have arrived are taken from one read, with one look at the clock for each: so the
 * client costs a fraction of what the server does.
 *
 * <p>Headers of reads lie packed in one buffer. Writes have slots of header and payload in another,
 * whose payloads are filled in once and stay, since their content is nobody's concern: a batch only
 * puts headers in.
 */
final class LoadConnection implements AutoCloseable {
  static final int REQUEST_BYTES = 28;
  static final int REPLY_BYTES = 16;

  private static final int REQUEST_MAGIC = 0x25609513;
  private static final int REPLY_MAGIC = 0x67446698;
  private static final int CMD_READ = 0;
  private static final int CMD_WRITE = 1;
  private static final int CMD_DISC = 2;
  private static final int FLAG_FUA = 1;
  private static final int RECEIVE_BYTES = 1 << 20;

  /**
   * Above this the sockets' buffers may not hold what is in flight both ways, and a client that
   * blocks in its write while the server waits for it to read would hang.
   */
  private static final long BLOCKING_BYTES = 64 << 10;

  private final LoadOptions options;
  private final Window window;
  private final SocketChannel channel;
  private final Handshake.Export export;
  private final Selector selector;
  private final SelectionKey key;

  private final ByteBuffer[] out = new ByteBuffer[2];
  private final ByteBuffer readHeaders;
  private final ByteBuffer writeSlots;
  private final ByteBuffer in = ByteBuffer.allocateDirect(RECEIVE_BYTES);
  private long skip;

  private final int[] freeSlots;
  private int freeCount;
  private final long[] sentNs;
  private final boolean[] isRead;
  private final long blocks;
  private long random;

  private final Histogram latencyNs = new Histogram(60_000_000_000L, 3);
  private long operations;
  private long errors;
  private int firstError;

  private LoadConnection(
      LoadOptions options, Window window, SocketChannel channel, Handshake.Export export, int id)
      throws IOException {
    this.options = options;
    this.window = window;
    this.channel = channel;
    this.export = export;
    int depth = options.queueDepth();
    this.readHeaders = ByteBuffer.allocateDirect(depth * REQUEST_BYTES);
    boolean writes = options.operation() != LoadOptions.Operation.READ;
    this.writeSlots =
        ByteBuffer.allocateDirect(writes ? depth * (REQUEST_BYTES + options.blockBytes()) : 0);
    this.out[0] = readHeaders;
    this.out[1] = writeSlots;
    this.freeSlots = new int[depth];
    this.sentNs = new long[depth];
    this.isRead = new boolean[depth];
    for (int i = 0; i < depth; i++) {
      freeSlots[i] = i;
    }
    this.freeCount = depth;
    this.random = options.seed() * 0x9e3779b97f4a7c15L + id + 1;
    long range = options.rangeBytes() == 0 ? export.sizeBytes() : options.rangeBytes();
    this.blocks = Math.min(range, export.sizeBytes()) / options.blockBytes();
    fillPayloads();
    boolean blocking =
        options.operation() != LoadOptions.Operation.RANDRW
            || (long) depth * options.blockBytes() <= BLOCKING_BYTES;
    this.selector = blocking ? null : Selector.open();
    channel.configureBlocking(blocking);
    this.key = blocking ? null : channel.register(selector, SelectionKey.OP_READ);
  }

  /** Connects and negotiates. */
  static LoadConnection open(LoadOptions options, Window window, int id)
      throws IOException, LoadException {
    boolean unix = options.address() instanceof UnixDomainSocketAddress;
    SocketChannel channel =
        unix ? SocketChannel.open(StandardProtocolFamily.UNIX) : SocketChannel.open();
    try {
      channel.connect(options.address());
      if (!unix) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      }
      Handshake.Export export = Handshake.open(channel, options.export());
      if (export.sizeBytes() < options.blockBytes()) {
        throw new LoadException("the export is smaller than one block");
      }
      boolean writes = options.operation() != LoadOptions.Operation.READ;
      if (writes && export.readOnly()) {
        throw new LoadException("the export is read-only");
      }
      if (options.fua() && !export.fua()) {
        throw new LoadException("the server does not support FUA");
      }
      return new LoadConnection(options, window, channel, export, id);
    } catch (IOException | LoadException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  Handshake.Export export() {
    return export;
  }

  /** Runs until the window says stop and the last reply has come. */
  void run() throws IOException, LoadException {
    Window.Phase phase = window.phase();
    while (phase != Window.Phase.STOP || freeCount < freeSlots.length) {
      boolean moved = false;
      if (phase != Window.Phase.STOP || out[0].hasRemaining() || out[1].hasRemaining()) {
        moved = send(phase);
      }
      if (freeCount < freeSlots.length) {
        moved |= receive(phase);
      }
      if (!moved && selector != null) {
        await();
      }
      phase = window.phase();
    }
    disconnect();
  }

  Histogram latencyNs() {
    return latencyNs;
  }

  long operations() {
    return operations;
  }

  long errors() {
    return errors;
  }

  int firstError() {
    return firstError;
  }

  @Override
  public void close() throws IOException {
    if (selector != null) {
      selector.close();
    }
    channel.close();
  }

  /** Sends a batch, or what is left of one; returns whether anything went out. */
  private boolean send(Window.Phase phase) throws IOException {
    boolean pending = readHeaders.hasRemaining() || writeSlots.hasRemaining();
    if (!pending) {
      if (freeCount == 0 || phase == Window.Phase.STOP) {
        return false;
      }
      prepareBatch();
    }
    long sent = channel.write(out);
    while (selector == null && (readHeaders.hasRemaining() || writeSlots.hasRemaining())) {
      sent += channel.write(out);
    }
    return sent > 0;
  }

  private void prepareBatch() {
    long nowNs = System.nanoTime();
    readHeaders.clear();
    writeSlots.clear();
    while (freeCount > 0) {
      int slot = freeSlots[--freeCount];
      boolean read = nextIsRead();
      long offset = nextBlock() * options.blockBytes();
      sentNs[slot] = nowNs;
      isRead[slot] = read;
      if (read) {
        putHeader(readHeaders, CMD_READ, 0, slot, offset);
      } else {
        putHeader(writeSlots, CMD_WRITE, options.fua() ? FLAG_FUA : 0, slot, offset);
        writeSlots.position(writeSlots.position() + options.blockBytes());
      }
    }
    readHeaders.flip();
    writeSlots.flip();
  }

  private void putHeader(ByteBuffer to, int command, int flags, long cookie, long offset) {
    to.putInt(REQUEST_MAGIC).putInt(flags << 16 | command).putLong(cookie).putLong(offset);
    to.putInt(options.blockBytes());
  }

  /** Takes the replies that have arrived; returns whether any bytes had. */
  private boolean receive(Window.Phase phase) throws IOException, LoadException {
    int count = channel.read(in);
    if (count < 0) {
      throw new EOFException("the server closed the connection");
    }
    if (count == 0) {
      return false;
    }
    long nowNs = System.nanoTime();
    in.flip();
    while (true) {
      int skipped = (int) Math.min(skip, in.remaining());
      in.position(in.position() + skipped);
      skip -= skipped;
      if (skip > 0 || in.remaining() < REPLY_BYTES) {
        break;
      }
      takeReply(phase, nowNs);
    }
    in.compact();
    return true;
  }

  /** The data of a read is skipped as it comes; its time ends with its first byte. */
  private void takeReply(Window.Phase phase, long nowNs) throws LoadException {
    int magic = in.getInt();
    int error = in.getInt();
    long cookie = in.getLong();
    if (magic != REPLY_MAGIC || cookie < 0 || cookie >= freeSlots.length) {
      throw new LoadException("a reply with bad magic or cookie");
    }
    int slot = (int) cookie;
    if (error != 0) {
      errors++;
      firstError = firstError == 0 ? error : firstError;
    } else if (isRead[slot]) {
      skip = options.blockBytes();
    }
    if (phase == Window.Phase.MEASURE) {
      operations++;
      latencyNs.recordValue(Math.min(nowNs - sentNs[slot], latencyNs.getHighestTrackableValue()));
    }
    freeSlots[freeCount++] = slot;
  }

  private void await() throws IOException {
    boolean pending = readHeaders.hasRemaining() || writeSlots.hasRemaining();
    key.interestOps(pending ? SelectionKey.OP_READ | SelectionKey.OP_WRITE : SelectionKey.OP_READ);
    selector.select();
    selector.selectedKeys().clear();
  }

  private void disconnect() throws IOException {
    readHeaders.clear();
    putHeader(readHeaders, CMD_DISC, 0, 0, 0);
    // The length of this one is reserved.
    readHeaders.putInt(REQUEST_BYTES - 4, 0).flip();
    channel.write(readHeaders);
  }

  /** Random bytes, so that a server which detects zeroes or compresses gains nothing. */
  private void fillPayloads() {
    while (writeSlots.remaining() >= Long.BYTES) {
      writeSlots.putLong(nextRandom());
    }
    readHeaders.limit(0);
    writeSlots.limit(0).position(0);
  }

  private boolean nextIsRead() {
    return switch (options.operation()) {
      case READ -> true;
      case WRITE -> false;
      case RANDRW -> nextRandom() < 0;
    };
  }

  private long nextBlock() {
    return Math.unsignedMultiplyHigh(nextRandom(), blocks);
  }

  /** Marsaglia's xorshift64 with a multiplication: a nanosecond, and good enough for offsets. */
  private long nextRandom() {
    random ^= random >>> 12;
    random ^= random << 25;
    random ^= random >>> 27;
    return random * 0x2545f4914f6cdd1dL;
  }
}
