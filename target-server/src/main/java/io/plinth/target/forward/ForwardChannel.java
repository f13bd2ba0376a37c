package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeRequest;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection to another node, from its hello to its end. Requests leave in the order in which
 * they were queued; one that finds no room for all of its payload is continued before any other.
 */
final class ForwardChannel implements ConnectionHandler {
  private static final Logger LOG = LoggerFactory.getLogger(ForwardChannel.class);

  /** Who is silent for so long is dead, or as good as that. */
  private static final long SILENCE_NS = TimeUnit.SECONDS.toNanos(1);

  private final ForwardClient client;
  private final ForwardLink link;
  private final Connection connection;
  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private boolean open;
  private boolean ended;
  private String why;
  private long lastHeardNs;
  private long lastSentNs;

  /** Requests that were not answered. */
  private int inFlight;

  // Requests that were not sent, and how far the first one has come.
  private ForwardSlot head;
  private ForwardSlot tail;
  private int chunksSent;

  /** What is to be said about fences as soon as there is room. */
  private final ArrayDeque<FenceWord> fenceWords = new ArrayDeque<>();

  /** How many requests were queued here, and how many of them have been sent. */
  private long addedCount;

  private long sentCount;

  /**
   * A word of a fence.
   *
   * @param type FENCE or FENCED
   * @param after how many requests have to be sent before
   */
  private record FenceWord(int type, int group, long id, long after) {}

  /** The READ whose data arrives. */
  private ForwardSlot reading;

  private int dataBytes;
  private int received;

  /** How many bytes of the data are asked for straight into their place. */
  private int directBytes;

  ForwardChannel(ForwardClient client, ForwardLink link, Connection connection, long sequence) {
    this.client = client;
    this.link = link;
    this.connection = connection;
    lastHeardNs = client.core().clock().nowNs();
    lastSentNs = lastHeardNs;
    NativeMemory scratch = client.out().memory();
    DirectBuffer hello =
        new ForwardHello(scratch)
            .encode(client.self(), link.node(), client.self().core(), sequence);
    int at = connection.claim(ForwardHello.BYTES);
    connection.outputBuffer().putBytes(at, hello, 0, ForwardHello.BYTES);
  }

  Connection connection() {
    return connection;
  }

  int node() {
    return link.node();
  }

  /** Returns whether requests can be sent. */
  boolean isOpen() {
    return open && !ended;
  }

  /** Returns whether the other side would take one more request. */
  boolean hasRoom() {
    return inFlight < ForwardSession.WINDOW;
  }

  boolean isIdle() {
    return inFlight == 0;
  }

  int work(long nowNs) {
    if (ended) {
      return 0;
    }
    if (nowNs - lastHeardNs > SILENCE_NS) {
      close("nothing was heard for " + SILENCE_NS / 1_000_000 + " ms");
      return 1;
    }
    if (open && nowNs - lastSentNs >= ForwardServer.ALIVE_NS && head == null) {
      boolean _ = send(client.out().begin(ForwardFrame.ALIVE, 0));
    }
    return 0;
  }

  void close(String reason) {
    if (!ended) {
      ended = true;
      why = reason;
      connection.close();
    }
  }

  private void fail(String problem) {
    LOG.warn("{}: node {} breaks the protocol: {}", client.self(), link.node(), problem);
    close("it breaks the protocol");
  }

  // Output.

  private boolean send(ForwardFrame frame) {
    lastSentNs = client.core().clock().nowNs();
    return frame.send(connection);
  }

  /**
   * Asks whether a volume is led there, or says that it has no clients here; lost when there is no
   * room, as when a request is half sent.
   */
  void say(int type, int group) {
    if (head == null) {
      boolean _ = send(client.out().begin(type, group));
    }
  }

  /** Sends a request, at once or when there is room; only while {@link #isOpen}. */
  void add(ForwardSlot slot, long nowNs) {
    ForwardChannel _ = link.want(nowNs);
    slot.channel = this;
    slot.term = slot.volume.term();
    slot.rename();
    slot.next = null;
    inFlight++;
    addedCount++;
    if (head != null) {
      tail.next = slot;
      tail = slot;
      return;
    }
    head = slot;
    tail = slot;
    sendQueued();
  }

  private void sendQueued() {
    while (head != null && (head.begun || sayFences()) && sendHead(head)) {
      ForwardSlot sent = head;
      head = sent.next;
      sent.next = null;
      sentCount++;
    }
    if (head == null) {
      boolean _ = sayFences();
    }
  }

  /** Asks the leader for a fence. */
  void askFence(int group, long id) {
    fenceWords.add(new FenceWord(ForwardFrame.FENCE, group, id, 0));
    sendQueued();
  }

  /** Says, behind all that was queued before, that clients which have gone ask for nothing more. */
  private void answerFence(int group, long id) {
    fenceWords.add(new FenceWord(ForwardFrame.FENCED, group, id, addedCount));
    sendQueued();
    if (fenceWords.size() > ForwardSession.MAX_FENCE_WORDS) {
      close("it does not read");
    }
  }

  /** Says what is due; only between two requests. False when there is no room for that. */
  private boolean sayFences() {
    while (!fenceWords.isEmpty() && fenceWords.peek().after <= sentCount) {
      FenceWord word = fenceWords.peek();
      if (!send(client.out().begin(word.type, word.group).id(word.id))) {
        return false;
      }
      FenceWord _ = fenceWords.poll();
    }
    return true;
  }

  private boolean sendHead(ForwardSlot slot) {
    if (!slot.begun) {
      if (!send(describe(slot))) {
        return false;
      }
      slot.begun = true;
      chunksSent = 0;
    }
    if (slot.request.operation == Operation.WRITE) {
      while (chunksSent < slot.chunkCount()) {
        if (!slot.lend(chunksSent)) {
          return false;
        }
        chunksSent++;
      }
    }
    return true;
  }

  private ForwardFrame describe(ForwardSlot slot) {
    VolumeRequest request = slot.request;
    int flags = request.fua ? ForwardFrame.FUA : 0;
    flags |= request.noHole ? ForwardFrame.NO_HOLE : 0;
    flags |= request.singleExtent ? ForwardFrame.SINGLE_EXTENT : 0;
    ForwardFrame out = client.out().begin(ForwardFrame.REQUEST, slot.volume.group());
    ForwardFrame _ = out.id(slot.id).operation(request.operation, flags);
    ForwardFrame _ = out.range(request.offset, request.length).term(slot.term);
    if (request.operation == Operation.WRITE) {
      ForwardFrame _ = out.payload((int) request.length, slot.payloadCrc);
    } else if (request.operation == Operation.BLOCK_STATUS) {
      ForwardFrame _ = out.count(Math.min(request.extentLimit, ForwardFrame.MAX_COUNT));
    }
    return out;
  }

  @Override
  public void onWritable(Connection from) {
    if (isOpen()) {
      sendQueued();
    }
  }

  // Input.

  @Override
  public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
    int taken = 0;
    while (!ended && directBytes == 0) {
      int left = length - taken;
      int count =
          reading == null
              ? readFrame(buffer, offset + taken, left)
              : readData(buffer, offset + taken, left);
      if (count == 0) {
        break;
      }
      taken += count;
    }
    if (taken > 0) {
      // Pieces of a frame that never ends say nothing.
      lastHeardNs = client.core().clock().nowNs();
    }
    return ended ? length : taken;
  }

  private int readFrame(DirectBuffer buffer, int offset, int length) {
    ForwardFrame in = client.in();
    int bytes = in.load(buffer, offset, length);
    if (bytes < 0) {
      fail(in.problem());
      return 0;
    }
    if (bytes == 0) {
      return 0;
    }
    int type = in.type();
    if (!open && type != ForwardFrame.WELCOME && type != ForwardFrame.REFUSED) {
      fail("it begins with a frame of type " + type);
      return 0;
    }
    switch (type) {
      case ForwardFrame.REPLY -> onReply(in);
      case ForwardFrame.BOUND -> client.onBound(this, in);
      case ForwardFrame.GONE -> client.onGone(this, in);
      case ForwardFrame.FENCE -> {
        client.onFence(in.group());
        answerFence(in.group(), in.id());
      }
      case ForwardFrame.FENCED -> client.onFenced(this, in);
      case ForwardFrame.ALIVE -> {}
      case ForwardFrame.WELCOME -> {
        if (in.count() == ForwardFrame.VERSION) {
          open = true;
          link.onOpen();
        } else {
          fail("it speaks version " + in.count());
        }
      }
      case ForwardFrame.REFUSED -> close("it refuses us: " + in.text());
      default -> fail("a frame of type " + type + " is none of a server's");
    }
    return bytes;
  }

  private void onReply(ForwardFrame in) {
    ForwardSlot slot = client.slot(in.id());
    if (slot == null || slot.channel != this || !slot.begun || slot == head) {
      fail("a reply to nothing, of id " + in.id());
      return;
    }
    slot.volume.onSeen(this, in.offset());
    VolumeRequest request = slot.request;
    int status = in.status();
    boolean ok = status == Status.OK;
    String problem = null;
    if (status > 0) {
      problem = "status " + status + " is not possible";
    } else if (ok && request.operation == Operation.READ) {
      problem = takeRuns(in, slot);
    } else if (ok && request.operation == Operation.BLOCK_STATUS) {
      problem = takeExtents(in, request);
    } else if (in.payloadBytes() != 0) {
      problem = "payloadBytes " + in.payloadBytes() + " of a reply to a " + request.operation;
    }
    if (problem != null) {
      fail(problem);
    } else if (ok && dataBytes > 0) {
      reading = slot;
      received = 0;
    } else {
      if (ok && request.operation == Operation.READ) {
        slot.passOn(0);
      }
      answered(slot, status);
    }
  }

  private String takeRuns(ForwardFrame in, ForwardSlot slot) {
    int count = in.count();
    if (in.headerBytes() < ForwardFrame.BYTES + count * ForwardFrame.RUN_BYTES) {
      return "headerBytes " + in.headerBytes() + " though there are " + count + " runs";
    }
    VolumeRequest request = slot.request;
    long all = 0;
    long data = 0;
    for (int i = 0; i < count; i++) {
      int run = in.run(i);
      if (run == 0 || run == Integer.MIN_VALUE) {
        return "run " + i + " of a read has length " + run;
      }
      all += Math.abs(run);
      data += Math.max(run, 0);
    }
    if (all != request.length || data != in.payloadBytes()) {
      return "a read of " + request.length + " is answered by " + data + " of " + all;
    }
    request.data.clear();
    int from = 0;
    for (int i = 0; i < count; i++) {
      int run = in.run(i);
      if (run < 0) {
        request.data.add(0, -run, null, 0);
      } else {
        slot.addData(from, run, (int) data);
        from += run;
      }
    }
    dataBytes = (int) data;
    return null;
  }

  private static String takeExtents(ForwardFrame in, VolumeRequest request) {
    int count = in.count();
    int bytes = ForwardFrame.BYTES + count * ForwardFrame.EXTENT_BYTES;
    if (count == 0 || in.headerBytes() != bytes || in.payloadBytes() != 0) {
      return "headerBytes " + in.headerBytes() + " though there are " + count + " extents";
    }
    ExtentList extents = request.extents(0);
    extents.clear();
    long all = 0;
    for (int i = 0; i < count; i++) {
      long length = in.detail(2 * i);
      long state = in.detail(2 * i + 1);
      boolean known = (state & ~(ExtentList.HOLE | ExtentList.ZERO)) == 0;
      if (length <= 0 || length > request.length - all || !known) {
        return "extent " + i + " has length " + length + " and state " + state;
      }
      all += length;
      extents.add(length, (int) state);
    }
    return null;
  }

  private int readData(DirectBuffer buffer, int offset, int length) {
    int chunk = ForwardClient.CHUNK_BYTES;
    int taken = 0;
    while (taken < length && received < dataBytes) {
      int piece =
          Math.min(Math.min(length - taken, chunk - received % chunk), dataBytes - received);
      view.wrap(reading.chunk(received / chunk) + received % chunk, piece);
      buffer.getBytes(offset + taken, view, 0, piece);
      taken += piece;
      received += piece;
    }
    if (received == dataBytes) {
      endData();
    } else if (taken > 0) {
      receiveDirect();
    }
    return taken;
  }

  private void receiveDirect() {
    int chunk = ForwardClient.CHUNK_BYTES;
    directBytes = Math.min(chunk - received % chunk, dataBytes - received);
    connection.receiveDirect(reading.chunk(received / chunk) + received % chunk, directBytes);
  }

  @Override
  public void onDirectReceived(Connection from) {
    lastHeardNs = client.core().clock().nowNs();
    received += directBytes;
    directBytes = 0;
    if (ended) {
      return;
    }
    if (received == dataBytes) {
      endData();
    } else {
      receiveDirect();
    }
  }

  private void endData() {
    ForwardSlot slot = reading;
    reading = null;
    slot.passOn(dataBytes);
    dataBytes = 0;
    answered(slot, Status.OK);
  }

  private void answered(ForwardSlot slot, int status) {
    inFlight--;
    slot.channel = null;
    client.noteFreed();
    slot.volume.router().onAnswer(slot, this, status);
  }

  @Override
  public void onClosed(Connection from, int reason) {
    ended = true;
    if (why == null) {
      why = reason == Status.OK ? "it has closed the connection" : Status.name(reason);
    }
    if (reading != null) {
      // Its memory stays with the slot.
      reading.request.data.clear();
      reading = null;
    }
    head = null;
    link.onClosed(why);
    client.onLost(this);
  }
}
