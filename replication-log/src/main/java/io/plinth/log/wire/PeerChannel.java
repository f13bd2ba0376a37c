package io.plinth.log.wire;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.raft.core.Message;
import java.nio.ByteOrder;
import java.util.Locale;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A connection between the logs of two nodes: hello, then frames.
 *
 * <pre>
 *   who dials                        who accepts
 *   hello  ------------------------>
 *          <------------------------ hello, or refusal and end
 *   frames, or refusal and end ----->
 *          <------------------------ frames
 * </pre>
 *
 * Whatever a peer gets wrong costs this connection, and one line in the log that says what it was.
 * A type that is not known here is refused once and skipped.
 */
public final class PeerChannel implements ConnectionHandler, FrameSink {
  /** The peer's node is not known before its hello. */
  public static final int ANY_NODE = -1;

  private static final Logger LOG = LoggerFactory.getLogger(PeerChannel.class);
  private static final int PREFIX_BYTES = 10;
  private static final int KNOWN_REFUSALS = 512;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final PeerIdentity self;
  private final PeerListener listener;
  private final boolean dialled;
  private final int expectedNode;
  private final int expectedCore;
  private final NativeMemory memory = NativeMemory.reserve(Hello.MAX_BYTES);
  private final UnsafeBuffer scratch = memory.buffer(0, Hello.MAX_BYTES);
  private final CRC32C crc = new CRC32C();
  private final FrameWriter writer = new FrameWriter();
  private final FrameReader reader = new FrameReader(this);
  // Types already refused, frame types in the first half.
  private final boolean[] refused = new boolean[KNOWN_REFUSALS];
  private Connection connection;
  private PeerIdentity peer;
  private int version;
  private boolean open;

  /** Of who accepts: the other side has not answered our hello with a refusal. */
  private boolean accepted;

  private boolean ended;
  private String why;
  private long lastHeardNs;

  private PeerChannel(
      PeerIdentity self,
      PeerListener listener,
      boolean dialled,
      int expectedNode,
      int expectedCore) {
    this.self = self;
    this.listener = listener;
    this.dialled = dialled;
    this.expectedNode = expectedNode;
    this.expectedCore = expectedCore;
  }

  /** Begins to speak on a connection that was made to log {@code core} of {@code node}. */
  public static PeerChannel dialled(
      Connection connection, PeerIdentity self, int node, int core, PeerListener listener) {
    PeerChannel channel = new PeerChannel(self, listener, true, node, core);
    channel.attach(connection);
    channel.sayHello(node, core);
    return channel;
  }

  /** Waits for the hello of whoever has connected. */
  public static PeerChannel accepted(
      Connection connection, PeerIdentity self, PeerListener listener) {
    PeerChannel channel = new PeerChannel(self, listener, false, ANY_NODE, 0);
    channel.attach(connection);
    return channel;
  }

  private void attach(Connection newConnection) {
    connection = newConnection;
    lastHeardNs = newConnection.core().clock().nowNs();
  }

  /** Returns who is on the other side; null before its hello. */
  public PeerIdentity peer() {
    return peer;
  }

  /** Returns the version that both speak; 0 before the hellos. */
  public int version() {
    return version;
  }

  /** Returns whether messages can be sent. */
  public boolean isOpen() {
    return open && !ended;
  }

  /** Returns when something was received, by the core's clock; at first when it was made. */
  public long lastHeardNs() {
    return lastHeardNs;
  }

  /** Ends the connection if nothing was received for so long; returns whether it was so. */
  public boolean closeIfSilent(long nowNs, long silenceNs) {
    boolean silent = nowNs - lastHeardNs > silenceNs;
    if (silent) {
      close("nothing was heard for " + silenceNs / 1_000_000 + " ms");
    }
    return silent;
  }

  /**
   * Adds a message to those that leave with {@link #flush}.
   *
   * @return false when there is no room: it is dropped
   */
  public boolean send(int group, Message message) {
    return isOpen() && writer.add(connection, group, message);
  }

  /** Asks for entries to be made durable; false when there is no room: it is dropped. */
  public boolean sendSync(int group, long index) {
    return isOpen() && writer.addSync(connection, group, index);
  }

  /** Sends an APPEND: see {@link FrameWriter#append}; only while open. */
  public int append(int group, Message message, int first, EntrySource source) {
    return writer.append(connection, group, message, first, source);
  }

  /**
   * Sends a step of a resync, behind all messages that were added.
   *
   * @return false when there is no room: nothing was sent
   */
  public boolean resync(int group, ResyncFrame frame) {
    return isOpen() && writer.resync(connection, group, frame);
  }

  /** Sends the messages that were added; once per duty cycle. */
  public void flush() {
    if (isOpen()) {
      boolean _ = writer.flush(connection);
    }
  }

  /** Lets the peer hear that this side lives. */
  public void keepAlive() {
    if (isOpen()) {
      boolean _ = writer.sendMessages(connection);
    }
  }

  /** Offers entries again that the listener could not take; returns whether it has now. */
  public boolean offerAgain() {
    if (!ended && reader.isHolding() && reader.offerAgain()) {
      connection.resumeReceive();
    }
    return !reader.isHolding();
  }

  /**
   * Ends the connection.
   *
   * @param reason one line for a person
   */
  public void close(String reason) {
    if (why == null) {
      why = reason;
    }
    ended = true;
    connection.close();
  }

  @Override
  public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
    lastHeardNs = connection.core().clock().nowNs();
    int taken = 0;
    if (!open && !ended) {
      taken = readHello(buffer, offset, length);
    }
    if (open && !ended && !dialled && !accepted) {
      taken += readVerdict(buffer, offset + taken, length - taken);
    }
    if (open && !ended && (dialled || accepted)) {
      taken += reader.read(buffer, offset + taken, length - taken);
      afterRead();
    }
    return ended ? length : taken;
  }

  @Override
  public void onDirectReceived(Connection from) {
    lastHeardNs = connection.core().clock().nowNs();
    reader.directReceived();
    afterRead();
  }

  private void afterRead() {
    if (ended) {
      return;
    }
    if (reader.problem() != null) {
      fail(reader.problem());
    } else if (reader.isHolding()) {
      connection.pauseReceive();
    } else if (reader.directBytes() > 0) {
      connection.receiveDirect(reader.directAddress(), reader.directBytes());
    }
  }

  @Override
  public void onWritable(Connection from) {
    if (isOpen()) {
      listener.onWritable(this);
    }
  }

  @Override
  public void onClosed(Connection from, int reason) {
    ended = true;
    if (why == null) {
      why = reason == Status.OK ? "the peer has closed the connection" : Status.name(reason);
    }
    listener.onClosed(this, why);
    memory.close();
    writer.close();
    reader.close();
  }

  @Override
  public void onMessage(int group, Message message) {
    if (!ended) {
      listener.onMessage(this, group, message);
    }
  }

  @Override
  public void onSync(int group, long index) {
    if (!ended) {
      listener.onSync(this, group, index);
    }
  }

  @Override
  public boolean onAppend(AppendFrame frame) {
    return ended || listener.onAppend(this, frame);
  }

  @Override
  public void onResync(ResyncFrame frame) {
    if (!ended) {
      listener.onResync(this, frame);
    }
  }

  @Override
  public void onRefused(int frameType, int messageType, int peerVersion) {
    LOG.warn(
        "{}: {} speaks version {} and does not know frames of type {}, messages of type {}",
        self,
        name(),
        peerVersion,
        frameType,
        messageType);
  }

  @Override
  public void onUnknown(int frameType, int messageType) {
    // More kinds than that are not told apart: who sends so many is told of some of them.
    int slot =
        messageType == 0
            ? Math.min(frameType, KNOWN_REFUSALS / 2 - 1)
            : KNOWN_REFUSALS / 2 + messageType;
    if (ended || refused[slot]) {
      return;
    }
    refused[slot] = true;
    LOG.warn(
        "{}: {} has sent a frame of type {}, message of type {}, which is not known here: skipped",
        self,
        name(),
        frameType,
        messageType);
    writer.refuse(connection, frameType, messageType);
  }

  private String name() {
    return peer == null ? connection.peer() : peer + " at " + connection.peer();
  }

  private void fail(String problem) {
    LOG.warn("{}: connection with {} ends: {}", self, name(), problem);
    close(problem);
  }

  private void sayHello(int node, int core) {
    put(Hello.encode(memory, scratch, crc, self, node, core));
  }

  private void refuse(Refusal.Code code, String text) {
    LOG.warn("{}: peer {} refused: {}", self, name(), text);
    put(Refusal.encode(memory, scratch, crc, self, code, text));
    why = "refused: " + text;
    ended = true;
    connection.closeAfterFlush();
  }

  /** Nothing was sent before, or a hello only: there is room. */
  private void put(int length) {
    int offset = connection.claim(length);
    if (offset < 0) {
      throw new IllegalStateException("no room for the first bytes of a connection");
    }
    connection.outputBuffer().putBytes(offset, scratch, 0, length);
  }

  /** Sees whether who has dialled refuses us, or goes on with frames. */
  private int readVerdict(DirectBuffer buffer, int offset, int length) {
    if (length < Long.BYTES) {
      return 0;
    }
    accepted = buffer.getLong(offset, ORDER) != Refusal.MAGIC;
    return accepted ? 0 : readHello(buffer, offset, length);
  }

  /** Reads the hello or the refusal; returns how many bytes it takes, 0 while it is cut short. */
  private int readHello(DirectBuffer buffer, int offset, int length) {
    if (length >= Long.BYTES) {
      long magic = buffer.getLong(offset, ORDER);
      if (magic != Hello.MAGIC && magic != Refusal.MAGIC) {
        fail(
            String.format(
                Locale.ROOT, "it does not speak the peer protocol: it begins with %016x", magic));
        return 0;
      }
    }
    if (length < PREFIX_BYTES) {
      return 0;
    }
    boolean refusal = buffer.getLong(offset, ORDER) == Refusal.MAGIC;
    int bytes = buffer.getShort(offset + Hello.LENGTH_OFFSET, ORDER) & 0xFFFF;
    int least = refusal ? Refusal.FIXED_BYTES : Hello.BYTES;
    if (bytes < least || bytes > Hello.MAX_BYTES || bytes % Long.BYTES != 0) {
      fail("a hello or refusal of " + bytes + " bytes is not possible");
      return 0;
    }
    if (length < bytes) {
      return 0;
    }
    buffer.getBytes(offset, scratch, 0, bytes);
    if (refusal) {
      String text = Refusal.text(memory, scratch, crc, bytes);
      fail(text == null ? "its refusal is damaged" : "it refuses us: " + text);
    } else if (Hello.isIntact(memory, scratch, crc, bytes)) {
      judgeHello();
    } else {
      refuse(Refusal.Code.DAMAGED, "the checksum of the hello is wrong");
    }
    return bytes;
  }

  private void judgeHello() {
    PeerIdentity other = Hello.identity(scratch);
    int targetNode = Hello.targetNode(scratch);
    int targetCore = Hello.targetCore(scratch);
    if (other.minVersion() > self.maxVersion() || other.maxVersion() < self.minVersion()) {
      refuse(
          Refusal.Code.VERSION,
          "versions "
              + other.minVersion()
              + " to "
              + other.maxVersion()
              + " of the peer protocol; this node speaks "
              + self.minVersion()
              + " to "
              + self.maxVersion());
    } else if (!other.clusterId().equals(self.clusterId())) {
      refuse(
          Refusal.Code.CLUSTER,
          "cluster " + other.clusterId() + "; this node belongs to " + self.clusterId());
    } else if (targetNode != self.node()
        || other.node() == self.node()
        || (expectedNode != ANY_NODE && other.node() != expectedNode)) {
      refuse(
          Refusal.Code.WRONG_NODE,
          "node "
              + other.node()
              + " meant node "
              + targetNode
              + "; this is node "
              + self.node()
              + (expectedNode == ANY_NODE ? "" : ", which meant node " + expectedNode));
    } else if (targetCore != self.core() || (dialled && other.core() != expectedCore)) {
      refuse(
          Refusal.Code.WRONG_CORE,
          "core "
              + other.core()
              + " meant core "
              + targetCore
              + "; this is core "
              + self.core()
              + (dialled ? ", which meant core " + expectedCore : ""));
    } else {
      welcome(other);
    }
  }

  private void welcome(PeerIdentity other) {
    String unwelcome = listener.onHello(other);
    if (unwelcome != null) {
      refuse(Refusal.Code.NOT_WELCOME, unwelcome);
      return;
    }
    peer = other;
    version = Math.min(self.maxVersion(), other.maxVersion());
    reader.identify(other.node(), self.node(), other.incarnation());
    if (!dialled) {
      sayHello(other.node(), other.core());
    }
    open = true;
    listener.onOpen(this);
  }
}
