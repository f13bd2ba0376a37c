package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.replication.Replica;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeGroup;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.collections.Int2ObjectHashMap;
import org.agrona.concurrent.UnsafeBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A connection that another node has made: its requests go to the volumes of this core.
 *
 * <p>What can't go on (a volume that refuses, a full window) adds a reason to {@link #blocked} and
 * stops reading; when the last one is gone the server's turn resumes it. A request that its volume
 * refuses holds up all others of the connection.
 */
final class ForwardSession implements ConnectionHandler, Volume.ReadyListener {
  /** The most requests in flight, for both sides. */
  static final int WINDOW = 256;

  private static final Logger LOG = LoggerFactory.getLogger(ForwardSession.class);

  /**
   * Sooner than the other side gives up: when it has told its clients that the way is lost, nothing
   * that is still on it may be begun.
   */
  private static final long SILENCE_NS = TimeUnit.MILLISECONDS.toNanos(700);

  private static final long WINDOW_READ_BYTES = 64 << 20;

  /** More than there are volumes with clients that attach at the same moment. */
  static final int MAX_FENCE_WORDS = 16 * 1024;

  /** A volume refused {@link #held}. */
  private static final int VOLUME = 1;

  /** So many requests, or bytes of reads, are in flight. */
  private static final int FULL = 2;

  private final ForwardServer server;
  private final Connection connection;
  private final ReplyQueue replies;
  private final Int2ObjectHashMap<ForwardBinding> bindings = new Int2ObjectHashMap<>();
  private final ArrayList<ForwardBinding> lost = new ArrayList<>();

  /** What is to be said about fences as soon as there is room. */
  private final ArrayDeque<FenceWord> fenceWords = new ArrayDeque<>();

  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private final CRC32C crc = new CRC32C();

  /** Payload of the request that arrives; address space only until it is used. */
  private NativeMemory payload;

  private ForwardIdentity peer;
  private ForwardRequest free;
  private int inFlight;
  private long readBytes;

  /** The request whose payload arrives. */
  private ForwardRequest current;

  private int received;
  private boolean direct;

  /** The request that its volume has refused. */
  private ForwardRequest held;

  private int blocked;
  private boolean paused;
  private boolean ended;
  private long lastHeardNs;
  private long lastSentNs;
  private long lastLookNs;

  /** A word of a fence: FENCE, or FENCED with a status. */
  private record FenceWord(int type, int group, long id, int status) {}

  ForwardSession(ForwardServer server, Connection connection) {
    this.server = server;
    this.connection = connection;
    this.replies = new ReplyQueue(server, connection);
    lastHeardNs = server.core().clock().nowNs();
    lastSentNs = lastHeardNs;
  }

  /** Looks at the time, and goes on with what had to wait; returns how much was done. */
  int work(long nowNs) {
    if (ended) {
      return 0;
    }
    if (nowNs - lastSentNs >= ForwardServer.ALIVE_NS && peer != null) {
      boolean _ = send(server.out().begin(ForwardFrame.ALIVE, 0));
    }
    if (nowNs - lastLookNs >= ForwardServer.TICK_NS) {
      lastLookNs = nowNs;
      lookAtLeads();
    }
    if (paused && blocked == 0) {
      resume();
      return 1;
    }
    // With a full window nothing is read: who has not taken a reply for so long is dead as well.
    if (nowNs - lastHeardNs > SILENCE_NS && (blocked & VOLUME) == 0) {
      close("nothing was heard for " + SILENCE_NS / 1_000_000 + " ms");
    }
    return 0;
  }

  private void resume() {
    if (held != null) {
      ForwardRequest request = held;
      held = null;
      submit(request);
    }
    if (blocked == 0 && !ended) {
      paused = false;
      lastHeardNs = server.core().clock().nowNs();
      connection.resumeReceive();
    }
  }

  private void block(int reason) {
    blocked |= reason;
    if (!paused) {
      paused = true;
      connection.pauseReceive();
    }
  }

  private boolean send(ForwardFrame frame) {
    lastSentNs = server.core().clock().nowNs();
    return frame.send(connection);
  }

  /** Ends the connection: nothing that it has brought is begun any more. */
  void close(String why) {
    if (!ended) {
      ended = true;
      LOG.info("{}: forwarding for {} ends: {}", server.self(), name(), why);
      connection.close();
    }
  }

  private String name() {
    return peer == null ? connection.peer() : peer + " at " + connection.peer();
  }

  private void fail(String problem) {
    LOG.warn("{}: forwarding for {}: {}", server.self(), name(), problem);
    close("it breaks the protocol");
  }

  // Input.

  @Override
  public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
    direct = false;
    int taken = 0;
    while (!ended && blocked == 0 && !direct) {
      int left = length - taken;
      int count =
          peer == null
              ? readHello(buffer, offset + taken, left)
              : current == null
                  ? readFrame(buffer, offset + taken, left)
                  : readPayload(buffer, offset + taken, left);
      if (count == 0) {
        break;
      }
      taken += count;
    }
    if (taken > 0) {
      // Pieces of a frame that never ends say nothing.
      lastHeardNs = server.core().clock().nowNs();
    }
    return ended ? length : taken;
  }

  private int readHello(DirectBuffer buffer, int offset, int length) {
    ForwardHello hello = new ForwardHello(server.in().memory());
    int bytes = hello.load(buffer, offset, length);
    if (bytes < 0) {
      fail("its hello is damaged");
      return 0;
    }
    if (bytes == 0) {
      return 0;
    }
    String unwelcome = server.welcome(this, hello);
    if (unwelcome != null) {
      LOG.warn("{}: {} is refused: {}", server.self(), name(), unwelcome);
      boolean _ = send(server.out().refusal(unwelcome));
      ended = true;
      connection.closeAfterFlush();
      return bytes;
    }
    peer = hello.identity();
    payload = NativeMemory.reserve(ForwardFrame.MAX_PAYLOAD_BYTES);
    boolean _ = send(server.out().begin(ForwardFrame.WELCOME, 0).count(ForwardFrame.VERSION));
    LOG.info("{}: forwarding for {}", server.self(), name());
    return bytes;
  }

  private int readFrame(DirectBuffer buffer, int offset, int length) {
    ForwardFrame in = server.in();
    int bytes = in.load(buffer, offset, length);
    if (bytes < 0) {
      fail(in.problem());
      return 0;
    }
    if (bytes == 0) {
      return 0;
    }
    switch (in.type()) {
      case ForwardFrame.REQUEST -> {
        return readRequest(in) ? bytes : 0;
      }
      case ForwardFrame.BIND -> bind(in.group());
      case ForwardFrame.UNBIND -> unbind(bindings.get(in.group()));
      case ForwardFrame.FENCE -> server.fence(this, in.group(), in.id());
      case ForwardFrame.FENCED -> server.onFenced(this, in.id());
      case ForwardFrame.ALIVE -> {}
      default -> fail("a frame of type " + in.type() + " is none of a forwarder's");
    }
    return bytes;
  }

  /** Returns what is wrong with a request, or null. */
  private static String validate(ForwardFrame in) {
    Operation operation = in.operation();
    if (operation == null) {
      return "a request has an unknown operation";
    }
    long most =
        operation == Operation.READ || operation == Operation.WRITE
            ? ForwardFrame.MAX_PAYLOAD_BYTES
            : Volume.MAXIMUM_BYTES;
    boolean fits =
        in.offset() >= 0
            && in.offset() <= Volume.MAXIMUM_BYTES
            && in.length() >= 0
            && in.length() <= most;
    if (!fits) {
      return "a " + operation + " has the range " + in.offset() + "+" + in.length();
    }
    long expected = operation == Operation.WRITE ? in.length() : 0;
    if (in.payloadBytes() != expected) {
      return "a " + operation + " of " + in.length() + " has payloadBytes " + in.payloadBytes();
    }
    return operation == Operation.BLOCK_STATUS
            && (in.count() < 1 || in.count() > ForwardFrame.MAX_COUNT)
        ? "a BLOCK_STATUS asks for " + in.count() + " extents"
        : null;
  }

  /** Returns false when the frame is to be presented again, or the connection ends. */
  private boolean readRequest(ForwardFrame in) {
    String problem = validate(in);
    if (problem != null) {
      fail(problem);
      return false;
    }
    long reads = in.operation() == Operation.READ ? in.length() : 0;
    if (inFlight == WINDOW || (reads > 0 && readBytes > WINDOW_READ_BYTES - reads)) {
      block(FULL);
      return false;
    }
    ForwardRequest request = acquire();
    request.id = in.id();
    request.group = in.group();
    request.operation = in.operation();
    request.offset = in.offset();
    request.length = in.length();
    request.fua = in.hasFlag(ForwardFrame.FUA);
    request.noHole = in.hasFlag(ForwardFrame.NO_HOLE);
    request.singleExtent = in.hasFlag(ForwardFrame.SINGLE_EXTENT);
    request.extentLimit = in.count();
    request.contexts = StatusContext.ALLOCATION_ONLY;
    request.receivedNs = server.core().clock().nowNs();
    request.payloadBytes = in.payloadBytes();
    request.payloadCrc = in.payloadCrc();
    request.term = in.term();
    readBytes += reads;
    if (request.payloadBytes > 0) {
      current = request;
      received = 0;
    } else {
      submit(request);
    }
    return true;
  }

  private ForwardRequest acquire() {
    inFlight++;
    ForwardRequest request = free;
    if (request == null) {
      return new ForwardRequest(this);
    }
    free = request.nextRequest;
    request.nextRequest = null;
    return request;
  }

  private int readPayload(DirectBuffer buffer, int offset, int length) {
    int count = Math.min(length, current.payloadBytes - received);
    if (count > 0) {
      view.wrap(payload.address() + received, count);
      buffer.getBytes(offset, view, 0, count);
      received += count;
    }
    if (received == current.payloadBytes) {
      endPayload();
    } else if (count == length && length > 0) {
      direct = true;
      connection.receiveDirect(payload.address() + received, current.payloadBytes - received);
    }
    return count;
  }

  @Override
  public void onDirectReceived(Connection from) {
    lastHeardNs = server.core().clock().nowNs();
    if (!ended) {
      received = current.payloadBytes;
      endPayload();
    }
  }

  private void endPayload() {
    ForwardRequest request = current;
    current = null;
    if (payload.crc32c(crc, payload.address(), request.payloadBytes) != request.payloadCrc) {
      recycle(request);
      fail("the checksum of a payload is wrong");
      return;
    }
    request.payload.add(payload.address(), request.payloadBytes, null, 0);
    submit(request);
  }

  private void submit(ForwardRequest request) {
    LogVolume volume = server.volume(request.group);
    if (volume == null || isOfOtherTerm(request, volume.group())) {
      // Not here, or not yet: whoever leads is elsewhere.
      onCompleted(request, Status.EREMOTE);
    } else if (!volume.submit(request)) {
      held = request;
      block(VOLUME);
      volume.awaitReady(this);
    }
  }

  /**
   * Another leader may have begun what came after a request that was sent to this one in an earlier
   * term: who has sent it has to find this leader first.
   */
  private static boolean isOfOtherTerm(ForwardRequest request, VolumeGroup group) {
    return group.leads() && (int) group.replica().term() != request.term;
  }

  @Override
  public void onVolumeReady() {
    blocked &= ~VOLUME;
  }

  // Volumes.

  private void bind(int group) {
    LogVolume volume = server.volume(group);
    ForwardBinding known = bindings.get(group);
    if (known != null && !known.volume.equals(volume)) {
      unbind(known);
      known = null;
    }
    ForwardFrame out = server.out().begin(ForwardFrame.BOUND, group);
    ForwardFrame _ = out.headerBytes(ForwardFrame.BOUND_BYTES);
    boolean leads = volume != null && volume.group().leads();
    out.detail(0, volume == null ? 0 : volume.group().replica().term());
    out.detail(1, volume == null ? 0 : volume.group().appliedIndex());
    out.detail(2, volume == null ? 0 : volume.group().contentIndex());
    if (leads && known == null) {
      ForwardBinding _ = bindings.put(group, new ForwardBinding(this, group, volume));
    } else if (leads) {
      known.attach();
    }
    if (volume == null) {
      ForwardFrame _ = out.status(Status.ENOENT, Replica.NO_NODE);
    } else {
      int leader = volume.group().leader();
      ForwardFrame _ = out.status(leads ? Status.OK : Status.EREMOTE, leader);
      ForwardFrame _ = out.range(volume.group().replica().epoch(), volume.sizeBytes());
    }
    // When there is no room the other side asks again.
    boolean _ = send(out);
  }

  /** Who is bound to a volume that is led elsewhere now may have no requests to learn it from. */
  private void lookAtLeads() {
    for (ForwardBinding binding : bindings.values()) {
      if (binding.isAttached() && !binding.volume.group().leads()) {
        lost.add(binding);
      }
    }
    for (ForwardBinding binding : lost) {
      binding.detach();
      bind(binding.group);
    }
    lost.clear();
  }

  private void unbind(ForwardBinding binding) {
    if (binding != null) {
      ForwardBinding _ = bindings.remove(binding.group);
      binding.detach();
    }
  }

  /** The clients of a volume have to be disconnected, and are not attached to it any more. */
  void onGone(ForwardBinding binding) {
    binding.detach();
    ForwardFrame out = server.out().begin(ForwardFrame.GONE, binding.group);
    ForwardFrame _ =
        out.range(binding.volume.group().replica().epoch(), binding.volume.group().appliedIndex());
    if (!ended && !send(out)) {
      // It must learn this before anything else: it asks anew when it connects again.
      close("it does not read, and a volume is gone");
    }
  }

  // Fences.

  /** Returns whether requests for a volume may come on this connection. */
  boolean isBound(int group) {
    return !ended && bindings.containsKey(group);
  }

  /** Asks the other node which of its clients have gone. */
  void ask(ClientFence fence) {
    say(new FenceWord(ForwardFrame.FENCE, fence.group, fence.id, Status.OK));
  }

  /** What the other node has asked for is there, or not to be had here. */
  void onFenced(ClientFence fence, int status) {
    if (!ended) {
      say(new FenceWord(ForwardFrame.FENCED, fence.group, fence.askedId, status));
    }
  }

  private void say(FenceWord word) {
    fenceWords.add(word);
    sayFences();
    if (fenceWords.size() > MAX_FENCE_WORDS) {
      close("it does not read");
    }
  }

  /** Without room for a header there is none for the rest of a reply either. */
  private void sayFences() {
    while (!fenceWords.isEmpty()) {
      FenceWord word = fenceWords.peek();
      ForwardFrame out = server.out().begin(word.type, word.group).id(word.id);
      if (!send(out.status(word.status, Replica.NO_NODE))) {
        return;
      }
      FenceWord _ = fenceWords.poll();
    }
  }

  // Output.

  /** The volume is done with a request; also called when the connection has long been closed. */
  void onCompleted(ForwardRequest request, int status) {
    if (ended) {
      recycle(request);
      return;
    }
    LogVolume volume = server.volume(request.group);
    request.status = status;
    request.leader = volume == null ? Replica.NO_NODE : volume.group().leader();
    request.appliedIndex = volume == null ? 0 : volume.group().appliedIndex();
    boolean waits = !replies.isEmpty();
    replies.add(request);
    if (!waits) {
      writeReplies();
    }
  }

  private void writeReplies() {
    ForwardRequest request = replies.writeNext();
    while (request != null) {
      lastSentNs = server.core().clock().nowNs();
      request.replied = true;
      if (request.loansOut == 0) {
        recycle(request);
      }
      request = replies.writeNext();
    }
  }

  void onLoanReturned(ForwardRequest request) {
    if (request.replied && request.loansOut == 0) {
      recycle(request);
    }
  }

  private void recycle(ForwardRequest request) {
    inFlight--;
    readBytes -= request.operation == Operation.READ ? request.length : 0;
    blocked &= ~FULL;
    request.reset();
    request.nextRequest = free;
    free = request;
  }

  @Override
  public void onWritable(Connection from) {
    if (!ended) {
      writeReplies();
      sayFences();
    }
  }

  @Override
  public void onClosed(Connection from, int reason) {
    if (!ended) {
      close(reason == Status.OK ? "it has closed the connection" : Status.name(reason));
    }
    if (held != null) {
      LogVolume volume = server.volume(held.group);
      if (volume != null && (blocked & VOLUME) != 0) {
        volume.cancelReady(this);
      }
      recycle(held);
      held = null;
    }
    if (current != null) {
      recycle(current);
      current = null;
    }
    for (ForwardRequest request = replies.drop(); request != null; request = replies.drop()) {
      recycle(request);
    }
    while (!bindings.isEmpty()) {
      unbind(bindings.values().iterator().next());
    }
    server.closed(this);
    free();
  }

  /** Frees memory; nothing arrives any more. */
  void free() {
    if (payload != null) {
      payload.close();
      payload = null;
    }
  }
}
