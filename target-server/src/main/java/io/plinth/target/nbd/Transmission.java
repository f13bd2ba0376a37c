package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_CACHE;
import static io.plinth.target.nbd.NbdProtocol.CMD_DISC;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FUA;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_NO_HOLE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_PAYLOAD_LEN;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_REQ_ONE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.EINVAL;
import static io.plinth.target.nbd.NbdProtocol.EIO;
import static io.plinth.target.nbd.NbdProtocol.ENOSPC;
import static io.plinth.target.nbd.NbdProtocol.ENOTSUP;
import static io.plinth.target.nbd.NbdProtocol.EOVERFLOW;
import static io.plinth.target.nbd.NbdProtocol.EPERM;
import static io.plinth.target.nbd.NbdProtocol.ESHUTDOWN;
import static io.plinth.target.nbd.NbdProtocol.NO_ERROR;
import static java.nio.ByteOrder.BIG_ENDIAN;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.Status;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDirectory;
import org.agrona.DirectBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The transmission phase of one session: requests in, replies out.
 *
 * <p>Whatever can't go on now (no request object, no chunks, a busy volume, a peer that does not
 * read) adds a reason to {@link #blocked} and stops reading from the connection; when the last
 * reason is gone the context resumes it. Nothing queues up without bound.
 */
final class Transmission implements Volume.Attachment, Volume.ReadyListener {
  private static final Logger LOG = LoggerFactory.getLogger(Transmission.class);

  /** The connection refused output: the peer does not read. */
  private static final int OUTPUT = 1;

  /** The volume refused a request. */
  private static final int VOLUME = 1 << 1;

  /** A chunk for a large payload is lacking. */
  private static final int CHUNK = 1 << 2;

  /** The core's requests are all in use. */
  private static final int REQUEST = 1 << 3;

  /** This connection has as many requests or bytes in flight as it may have. */
  private static final int WINDOW = 1 << 4;

  /** Other connections have as many bytes of reads in flight as the core may have. */
  private static final int READ_BYTES = 1 << 5;

  /** The volume has not admitted the client. */
  private static final int FENCE = 1 << 6;

  private final NbdSession session;
  private final Connection connection;
  private final NbdCoreContext context;
  private final NbdLimits limits;
  private final Volume volume;
  private final VolumeDirectory directory;
  private final ReplyWriter replies;

  /** Has another size once this client has changed it. */
  private Export export;

  private int blocked;

  /** The connection presents nothing, so that it may hold requests which were never looked at. */
  private boolean receivePaused;

  /** The context will call {@link #resume}. */
  private boolean runnable;

  private boolean attached;
  private boolean closed;

  /** No further request is looked at; the connection closes when {@link #unanswered} is zero. */
  private boolean ending;

  private boolean requestPromised;

  /** A READ was refused by the volume: buffers that slow readers hold may be what it lacks. */
  private boolean readRefused;

  /** Requests whose reply was not passed to the connection in full. */
  private int unanswered;

  /** Requests whose reply has not left, and the bytes of the READs among them. */
  private int inFlight;

  /** Bytes of READs in flight, by the number of their budget. */
  private final long[] readBytes = new long[ReadBudget.COUNT];

  /** Length of the READ that waits for leave, and whether it has got it. */
  private long awaitedReadBytes;

  private boolean readGranted;

  /** When the client last took or gave something. */
  private long lastProgressNs;

  // The request whose payload is arriving.

  private NbdRequest current;

  /** The payload is to be thrown away, because the request was found invalid. */
  private boolean discarding;

  private boolean directReceive;
  private long received;

  Transmission(
      NbdSession session,
      Connection connection,
      NbdCoreContext context,
      Export export,
      Volume volume,
      VolumeDirectory directory) {
    this.session = session;
    this.connection = connection;
    this.context = context;
    this.limits = context.limits();
    this.export = export;
    this.volume = volume;
    this.directory = directory;
    this.replies =
        new ReplyWriter(connection, export.format(), context.zeroAddress(), context.zeroBytes());
  }

  /** Begins to use the volume. */
  void begin() {
    attached = true;
    lastProgressNs = context.core().clock().nowNs();
    if (!volume.attach(this)) {
      block(FENCE);
    }
  }

  // Input.

  /** See {@link io.plinth.engine.api.ConnectionHandler#onReceive}. */
  int onReceive(DirectBuffer buffer, int offset, int length) {
    int position = offset;
    int end = offset + length;
    while (blocked == 0 && !ending && !closed) {
      int consumed =
          current != null
              ? receivePayload(buffer, position, end - position)
              : receiveRequest(buffer, position, end - position);
      if (consumed == 0) {
        break;
      }
      position += consumed;
      if (directReceive) {
        break;
      }
    }
    // After DISC or a violation nothing is looked at any more, but it must not pile up either.
    return ending || closed ? length : position - offset;
  }

  /** Returns the bytes consumed; zero when the request must be presented again. */
  private int receiveRequest(DirectBuffer buffer, int position, int available) {
    ReplyFormat format = export.format();
    int header = format.requestBytes();
    if (available < header) {
      return 0;
    }
    int magic = buffer.getInt(position, BIG_ENDIAN);
    int flags = buffer.getShort(position + 4, BIG_ENDIAN) & 0xffff;
    int command = buffer.getShort(position + 6, BIG_ENDIAN) & 0xffff;
    long offset = buffer.getLong(position + 16, BIG_ENDIAN);
    boolean extended = format == ReplyFormat.EXTENDED;
    long length =
        extended
            ? buffer.getLong(position + 24, BIG_ENDIAN)
            : buffer.getInt(position + 24, BIG_ENDIAN) & 0xffffffffL;
    if (magic != format.requestMagic()) {
      session.violation("bad request magic");
      return available;
    }
    if (command == CMD_DISC) {
      end();
      return header;
    }
    boolean write = command == CMD_WRITE;
    boolean hasPayload = write || (extended && (flags & CMD_FLAG_PAYLOAD_LEN) != 0);
    long payloadBytes = hasPayload ? length : 0;
    if (Long.compareUnsigned(payloadBytes, limits.maxPayloadBytes()) > 0) {
      session.violation("payload beyond the maximum");
      return available;
    }
    if (inFlight >= context.requestWindow()) {
      block(WINDOW);
      return 0;
    }
    StatusPayload named = null;
    if (hasPayload && command == CMD_BLOCK_STATUS && StatusPayload.isSane(payloadBytes)) {
      if (available < header + payloadBytes) {
        return 0;
      }
      named = StatusPayload.parse(buffer, position + header, (int) payloadBytes, export.contexts());
      length = named.length();
    }
    Violation violation =
        RequestValidator.validate(export, context.isDraining(), command, flags, offset, length);
    if (violation == null && hasPayload && !write && (named == null || named.contexts() == null)) {
      violation = Violation.BAD_STATUS_PAYLOAD;
    }
    int inline = payloadBytes <= limits.inlineWriteBytes() ? (int) payloadBytes : 0;
    if (violation == null && available < header + inline) {
      return 0;
    }
    boolean read = violation == null && command == CMD_READ && length > 0;
    if (read && !acquireReadBytes(length)) {
      return 0;
    }
    NbdRequest request = acquireRequest();
    if (request == null) {
      if (read) {
        context.readBudget(length).release(length);
      }
      return 0;
    }
    request.owner = this;
    request.readBytes = read ? length : 0;
    request.cookie = buffer.getLong(position + 8, BIG_ENDIAN);
    request.command = command;
    request.flags = flags;
    request.offset = offset;
    request.length = length;
    request.payloadBytes = payloadBytes;
    request.contexts = named == null ? export.contexts() : named.contexts();
    if (violation != null) {
      refuse(request, violation);
      return header;
    }
    if (command == CMD_RESIZE) {
      resize(request);
      return header;
    }
    if (payloadBytes > inline) {
      beginPayload(request, false);
      return header;
    }
    if (write && inline > 0) {
      request.payload.add(buffer.addressOffset() + position + header, inline, null, 0);
    }
    return start(request) ? header + inline : 0;
  }

  /** Answers with an error, after the payload has been consumed if there is one. */
  private void refuse(NbdRequest request, Violation violation) {
    context.counters().invalidRequest();
    LOG.debug("NBD {}: request refused: {}", session, violation);
    request.fail(violation);
    admit(request);
    if (request.payloadBytes > 0) {
      beginPayload(request, true);
    } else {
      answer(request);
    }
  }

  /** Executes a request whose payload is all there; false when it must be presented again. */
  private boolean start(NbdRequest request) {
    prepare(request);
    if (request.length == 0 && request.command != CMD_FLUSH) {
      admit(request);
      answer(request);
      return true;
    }
    admit(request);
    if (submit(request)) {
      return true;
    }
    withdraw(request);
    return false;
  }

  /** Other requests go on meanwhile, within the size that was. */
  private void resize(NbdRequest request) {
    admit(request);
    directory.resize(
        volume, request.offset, (status, problem) -> onResized(request, status, problem));
  }

  private void onResized(NbdRequest request, int status, String problem) {
    if (status == Status.OK) {
      export = export.withSize(request.offset);
    }
    request.error = errorOf(request, status);
    request.message = problem == null ? null : problem.getBytes(UTF_8);
    answer(request);
  }

  private void prepare(NbdRequest request) {
    request.receivedNs = context.core().clock().nowNs();
    request.fua =
        (request.flags & CMD_FLAG_FUA) != 0 && RequestValidator.isWriting(request.command);
    request.operation =
        switch (request.command) {
          case CMD_READ -> Operation.READ;
          case CMD_WRITE -> Operation.WRITE;
          case CMD_FLUSH -> Operation.FLUSH;
          case CMD_TRIM -> Operation.TRIM;
          case CMD_CACHE -> Operation.CACHE;
          case CMD_WRITE_ZEROES -> Operation.WRITE_ZEROES;
          case CMD_BLOCK_STATUS -> Operation.BLOCK_STATUS;
          default -> throw new IllegalStateException("command " + request.command);
        };
    request.noHole = (request.flags & CMD_FLAG_NO_HOLE) != 0;
    request.singleExtent = (request.flags & CMD_FLAG_REQ_ONE) != 0;
    request.extentLimit = request.singleExtent ? 1 : limits.extentsPerReply();
  }

  /** Gives the request to the volume; false when it can't take it now and will tell when. */
  private boolean submit(NbdRequest request) {
    request.submitting = true;
    if (!volume.submit(request)) {
      request.submitting = false;
      if (request.command == CMD_READ && !readRefused) {
        readRefused = true;
        context.beginStarving();
      }
      block(VOLUME);
      volume.awaitReady(this);
      return false;
    }
    request.submitting = false;
    // The volume has taken the bytes: chunks go back now, not when the write is durable.
    request.payload.releaseAll();
    if (request.completedEarly) {
      onCompleted(request);
    }
    return true;
  }

  // Payloads that don't fit the receive buffer.

  private void beginPayload(NbdRequest request, boolean discard) {
    current = request;
    discarding = discard;
    received = 0;
    if (!discard) {
      prepare(request);
      admit(request);
    }
  }

  private int receivePayload(DirectBuffer buffer, int position, int available) {
    lastProgressNs = context.core().clock().nowNs();
    if (discarding) {
      int discarded = (int) Math.min(available, current.payloadBytes - received);
      received += discarded;
      if (received == current.payloadBytes) {
        endPayload();
      }
      return discarded;
    }
    int copied = 0;
    while (copied < available
        && received < current.payloadBytes
        && (hasChunk() || acquireChunk())) {
      int piece = Math.min(available - copied, chunkRoom());
      context.view.wrap(chunkPosition(), piece);
      buffer.getBytes(position + copied, context.view, 0, piece);
      copied += piece;
      received += piece;
    }
    if (received == current.payloadBytes) {
      endPayload();
    } else if (copied == available && (hasChunk() || acquireChunk())) {
      receiveDirect();
    }
    return copied;
  }

  /** Chunks hold the payload in order, each full but the last. */
  private boolean hasChunk() {
    return received < (long) current.payload.count() * context.chunkBytes();
  }

  private long chunkPosition() {
    return current.payload.address(current.payload.count() - 1) + received % context.chunkBytes();
  }

  private int chunkRoom() {
    int last = current.payload.count() - 1;
    return current.payload.length(last) - (int) (received % context.chunkBytes());
  }

  private boolean acquireChunk() {
    long address = context.acquireChunk(this);
    if (address == 0) {
      block(CHUNK);
      context.awaitChunk(this);
      return false;
    }
    addChunk(address);
    return true;
  }

  private void addChunk(long address) {
    int length = (int) Math.min(current.payloadBytes - received, context.chunkBytes());
    current.payload.add(address, length, context.chunks(), address);
  }

  /** Has the rest of the chunk received straight into it. */
  private void receiveDirect() {
    directReceive = true;
    connection.receiveDirect(chunkPosition(), chunkRoom());
  }

  /** See {@link io.plinth.engine.api.ConnectionHandler#onDirectReceived}. */
  void onDirectReceived() {
    if (closed) {
      return;
    }
    directReceive = false;
    lastProgressNs = context.core().clock().nowNs();
    received += chunkRoom();
    if (received == current.payloadBytes) {
      endPayload();
    } else if (acquireChunk()) {
      receiveDirect();
    }
  }

  /** The payload has arrived, or was thrown away. */
  private void endPayload() {
    NbdRequest request = current;
    if (discarding) {
      current = null;
      answer(request);
    } else if (submit(request)) {
      current = null;
      context.endPayload(this);
    }
    // Else the volume was busy: the request stays, chunks and all, and resume() submits it again.
  }

  // What happens to a request.

  /** Returns whether a READ may begin; when not, this session has been blocked. */
  private boolean acquireReadBytes(long length) {
    if (readGranted) {
      readGranted = false;
      return true;
    }
    ReadBudget budget = context.readBudget(length);
    long had = readBytes[budget.number()];
    if (budget.acquire(had, length)) {
      return true;
    }
    if (had > 0) {
      // The end of one of this session's own will wake it.
      block(WINDOW);
    } else {
      awaitedReadBytes = length;
      block(READ_BYTES);
      budget.await(this);
    }
    return false;
  }

  private NbdRequest acquireRequest() {
    if (requestPromised) {
      requestPromised = false;
      return context.acquirePromisedRequest();
    }
    NbdRequest request = context.acquireRequest();
    if (request == null) {
      block(REQUEST);
      context.beginStarving();
      context.awaitRequest(this);
    }
    return request;
  }

  /** From here on a reply is owed. */
  private void admit(NbdRequest request) {
    unanswered++;
    inFlight++;
    if (request.readBytes > 0) {
      readBytes[context.readBudget(request.readBytes).number()] += request.readBytes;
    }
  }

  /**
   * No reply is owed any more: the request will be presented again, or nobody is left to answer.
   */
  private void withdraw(NbdRequest request) {
    unanswered--;
    recycle(request);
  }

  /** The volume is done with a request; also called when the session has long been closed. */
  void onCompleted(NbdRequest request) {
    if (request.status == Status.ESTALE && !closed) {
      // The protocol has no error that says so: a client that connects again asks again.
      session.closeNow("whether a request of it has had its effect is not known");
    }
    request.error = errorOf(request, request.status);
    answer(request);
  }

  private void answer(NbdRequest request) {
    if (closed) {
      withdraw(request);
      return;
    }
    replies.enqueue(request);
    if ((blocked & OUTPUT) == 0) {
      writeReplies();
    }
  }

  private void writeReplies() {
    NbdRequest request = replies.writeNext();
    while (request != null) {
      unanswered--;
      request.replied = true;
      lastProgressNs = context.core().clock().nowNs();
      if (request.loansOut == 0) {
        recycle(request);
      }
      request = replies.writeNext();
    }
    if (replies.isEmpty()) {
      unblock(OUTPUT);
      closeIfEnded();
    } else if ((blocked & OUTPUT) == 0) {
      lastProgressNs = context.core().clock().nowNs();
      block(OUTPUT);
    }
  }

  /** The connection has sent, or dropped, one range of a reply. */
  void onLoanReturned(NbdRequest request) {
    lastProgressNs = context.core().clock().nowNs();
    if (request.loansOut == 0 && request.replied) {
      recycle(request);
    }
  }

  private void recycle(NbdRequest request) {
    inFlight--;
    if (request.readBytes > 0) {
      ReadBudget budget = context.readBudget(request.readBytes);
      readBytes[budget.number()] -= request.readBytes;
      budget.release(request.readBytes);
    }
    context.releaseRequest(request);
    unblock(WINDOW);
  }

  /**
   * Returns what a completion becomes on the wire. A READ whose data does not add up must not reach
   * the client as a success: the stream would be out of step from then on.
   */
  private int errorOf(NbdRequest request, int status) {
    if (status == Status.OK) {
      if (request.command == CMD_READ && !coversRequest(request)) {
        LOG.error("{}: a read completed with less or more data than asked for", volume.name());
        return EIO;
      }
      if (request.command == CMD_BLOCK_STATUS && request.extents(0).count() == 0) {
        LOG.error("{}: a block status completed without extents", volume.name());
        return EIO;
      }
      return NO_ERROR;
    }
    return switch (status) {
      case Status.EPERM -> EPERM;
      case Status.EINVAL -> EINVAL;
      case Status.ENOSPC -> ENOSPC;
      case Status.EOVERFLOW -> EOVERFLOW;
      case Status.ESHUTDOWN -> ESHUTDOWN;
      // Only FAST_ZERO may be answered with it.
      case Status.ENOTSUP ->
          (request.flags & NbdProtocol.CMD_FLAG_FAST_ZERO) != 0 ? ENOTSUP : EINVAL;
      // ENOMEM among them, which the text asks servers to avoid.
      default -> EIO;
    };
  }

  private static boolean coversRequest(NbdRequest request) {
    long covered = 0;
    for (int i = 0; i < request.data.count(); i++) {
      covered += request.data.length(i);
    }
    return covered == request.length;
  }

  // Waiting and going on.

  private void block(int reason) {
    if (blocked == 0) {
      pauseReceive();
    }
    blocked |= reason;
  }

  private void unblock(int reason) {
    if ((blocked & reason) != 0) {
      blocked &= ~reason;
      if (blocked == 0 && !closed) {
        makeRunnable();
      }
    }
  }

  private void pauseReceive() {
    receivePaused = true;
    connection.pauseReceive();
  }

  private void makeRunnable() {
    if (!runnable) {
      runnable = true;
      context.makeRunnable(this);
    }
  }

  /**
   * Called in the context's turn after the last reason to wait has gone, and when a session may be
   * over because the server shuts down.
   */
  void resume() {
    runnable = false;
    if (closed || blocked != 0) {
      return;
    }
    if (current != null && !discarding && received == current.payloadBytes) {
      endPayload();
      if (blocked != 0 || closed) {
        return;
      }
    }
    if (receivePaused) {
      receivePaused = false;
      connection.resumeReceive();
      if (context.isDraining()) {
        // What waits in the receive buffer is presented before the next turn.
        makeRunnable();
      }
    } else if (context.isDraining() && unanswered == 0 && !ending) {
      end();
    }
  }

  /** See {@link io.plinth.engine.api.ConnectionHandler#onWritable}. */
  void onWritable() {
    if (closed) {
      return;
    }
    lastProgressNs = context.core().clock().nowNs();
    writeReplies();
  }

  @Override
  public void onVolumeReady() {
    endReadRefused();
    unblock(VOLUME);
  }

  /** A request is reserved for this session, and the next acquire takes it. */
  void onRequestPromised() {
    requestPromised = true;
    context.endStarving();
    unblock(REQUEST);
  }

  /** A chunk that this session waited for. */
  void onChunkGranted(long address) {
    lastProgressNs = context.core().clock().nowNs();
    addChunk(address);
    unblock(CHUNK);
  }

  long awaitedReadBytes() {
    return awaitedReadBytes;
  }

  /** The READ that waited may begin: its bytes are counted already. */
  void onReadGranted() {
    readGranted = true;
    unblock(READ_BYTES);
  }

  private void endReadRefused() {
    if (readRefused) {
      readRefused = false;
      context.endStarving();
    }
  }

  /**
   * Returns whether this client holds something that others wait for and has made no progress for
   * long: it neither takes its replies nor sends the payload that it announced.
   */
  boolean isStalled(long nowNs) {
    boolean owesReading = !replies.isEmpty() || inFlight > unanswered;
    boolean owesPayload = current != null && blocked == 0;
    return (owesReading || owesPayload) && nowNs - lastProgressNs >= limits.stallTimeoutNs();
  }

  /** Returns whether nothing is in flight and nothing has come for the idle timeout. */
  boolean isIdle(long nowNs) {
    return inFlight == 0 && current == null && nowNs - lastProgressNs >= limits.idleTimeoutNs();
  }

  // The end.

  /** Looks at no further request and closes once all that came before are answered. */
  void end() {
    ending = true;
    closeIfEnded();
  }

  /**
   * The server is shutting down: what is in flight is finished, what has been received besides is
   * looked at, and then the session ends.
   */
  void onDrain() {
    if (blocked == 0 && !ending && !closed) {
      // Presents again what is in the receive buffer: it is judged differently from now on.
      pauseReceive();
      makeRunnable();
    } else if (blocked == FENCE) {
      // Nothing of it was looked at, and a fence may be long in coming.
      end();
    }
  }

  private void closeIfEnded() {
    if (unanswered > 0 || closed) {
      return;
    }
    if (ending) {
      connection.closeAfterFlush();
    } else if (context.isDraining()) {
      makeRunnable();
    }
  }

  @Override
  public void onAdmitted() {
    // It may have gone before it could be looked at here.
    onFence();
    unblock(FENCE);
  }

  @Override
  public void onFence() {
    if (!closed && connection.hasEnded()) {
      session.closeNow("it has gone");
    }
  }

  /** Returns whether nobody is there to be answered. */
  boolean isClosed() {
    return closed;
  }

  @Override
  public void onVolumeClosed() {
    attached = false;
    session.closeNow("its volume is gone");
  }

  /** The connection is being closed: it is not used from here on, and {@link #onClosed} follows. */
  void abort() {
    closed = true;
  }

  /** The connection is gone; requests that the volume still has come back later. */
  void onClosed() {
    closed = true;
    if (attached) {
      attached = false;
      volume.detach(this);
    }
    if ((blocked & VOLUME) != 0) {
      volume.cancelReady(this);
    }
    endReadRefused();
    if ((blocked & CHUNK) != 0) {
      context.cancelAwaitChunk(this);
    }
    if ((blocked & READ_BYTES) != 0) {
      context.readBudget(awaitedReadBytes).cancelAwait(this);
    }
    if (readGranted) {
      readGranted = false;
      context.readBudget(awaitedReadBytes).release(awaitedReadBytes);
    }
    if ((blocked & REQUEST) != 0) {
      context.cancelAwaitRequest(this);
      context.endStarving();
    }
    if (requestPromised) {
      requestPromised = false;
      context.forgetPromise();
    }
    context.cancelRunnable(this);
    if (current != null) {
      withdraw(current);
      current = null;
    }
    context.endPayload(this);
    for (NbdRequest request = replies.drop(); request != null; request = replies.drop()) {
      withdraw(request);
    }
  }
}
