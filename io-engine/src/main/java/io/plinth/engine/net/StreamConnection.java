package io.plinth.engine.net;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import java.nio.ByteBuffer;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A connected socket of one core. At most one receive and one send are with the driver at any time;
 * the socket is closed, and the handler told, when neither is.
 *
 * <p>With TLS the handler's bytes are those of the {@link TlsLayer}, and records go between it and
 * the wire: in when the handler takes more, out when the wire has room.
 */
final class StreamConnection implements Connection {
  private static final Logger LOG = LoggerFactory.getLogger(StreamConnection.class);
  private static final long INBOX_RETRY_NS = TimeUnit.MILLISECONDS.toNanos(1);
  private static final int INBOX_RETRIES = 10_000;
  private static final int OP_RECEIVE = 0;
  private static final int OP_SEND = 1;
  private static final int OP_SHUTDOWN = 2;
  private static final int OP_END_OUTPUT = 3;

  /** How long a peer has to close its end after all that we had to say. */
  private static final long LINGER_NS = TimeUnit.SECONDS.toNanos(1);

  private final CoreNetwork network;
  private final int descriptor;
  private final long id;
  private final String peer;
  private final int block;
  private final InputBuffer wire = new InputBuffer();
  private final OutputQueue queue = new OutputQueue();
  private final UnsafeBuffer direct = new UnsafeBuffer(0, 0);
  private ConnectionHandler handler;

  /** Null as long as all is in the clear. */
  private TlsLayer tls;

  private long directAddress;
  private int directRemaining;
  private boolean receiving;
  private boolean sending;
  private boolean shuttingDown;
  private boolean paused;
  private boolean delivering;
  private boolean wantsRoom;
  private boolean finishing;
  private boolean tlsFailed;

  /** All has been sent; what still arrives is thrown away. */
  private boolean lingering;

  private boolean endingOutput;
  private long lingerTimer;
  private boolean closing;
  private boolean closed;
  private boolean scheduled;
  private int closeReason;
  private Core moveTarget;

  StreamConnection(CoreNetwork network, int descriptor, long id, String peer, int block) {
    this.network = network;
    this.descriptor = descriptor;
    this.id = id;
    this.peer = peer;
    this.block = block;
    wire.attach(network.memory().receiveAddress(block));
    queue.attach(network.memory(), block);
  }

  /** Begins to receive for a handler. */
  void open(ConnectionHandler newHandler) {
    handler = newHandler;
    network.schedule(this);
  }

  /** Puts bytes that another core received in front of the stream. */
  void prepend(byte[] bytes) {
    wire.append(ByteBuffer.wrap(bytes));
  }

  /** Takes over the TLS of a connection that comes from another core; null for none. */
  void adopt(TlsLayer moved) {
    if (moved == null) {
      return;
    }
    if (moved.attach(network.tlsMemory())) {
      tls = moved;
    } else {
      close(Status.ENOBUFS);
    }
  }

  @Override
  public long id() {
    return id;
  }

  @Override
  public String peer() {
    return peer;
  }

  @Override
  public Core core() {
    return network.core();
  }

  @Override
  public MutableDirectBuffer outputBuffer() {
    return output().output();
  }

  /** Returns what the handler writes to. */
  private OutputQueue output() {
    return tls == null ? queue : tls.output();
  }

  /** Returns what the handler reads from. */
  private InputBuffer input() {
    return tls == null ? wire : tls.input();
  }

  @Override
  public boolean canSend(int claimBytes, int references) {
    if (closing) {
      return true;
    }
    boolean room = output().hasRoom(claimBytes, references);
    wantsRoom |= !room;
    return room;
  }

  @Override
  public int claim(int length) {
    if (length <= 0 || length > MAX_CLAIM_BYTES) {
      throw new IllegalArgumentException("claim of " + length + " bytes");
    }
    if (closing) {
      // Nothing leaves any more, so that the space at the start can be scribbled on.
      return 0;
    }
    int offset = output().claim(length);
    if (offset < 0) {
      wantsRoom = true;
    } else {
      network.schedule(this);
    }
    return offset;
  }

  @Override
  public boolean send(long address, int length, Releasable owner, long token) {
    if (closing) {
      if (owner != null) {
        owner.release(token);
      }
      return true;
    }
    if (!output().lend(address, length, owner, token)) {
      wantsRoom = true;
      return false;
    }
    network.schedule(this);
    return true;
  }

  @Override
  public void receiveDirect(long address, int length) {
    if (!delivering || directRemaining > 0 || length <= 0) {
      throw new IllegalStateException("receiveDirect outside of onReceive, or twice");
    }
    directAddress = address;
    directRemaining = length;
  }

  @Override
  public void pauseReceive() {
    paused = true;
  }

  @Override
  public void resumeReceive() {
    if (paused) {
      paused = false;
      network.schedule(this);
    }
  }

  @Override
  public boolean hasEnded() {
    return closing || network.driver().hasEnded(descriptor);
  }

  @Override
  public void moveTo(Core target) {
    if (!delivering) {
      throw new IllegalStateException("moveTo outside of onReceive");
    }
    moveTarget = target;
  }

  @Override
  public void startTls(TlsEngine engine, Executor helpers) {
    if (tls != null) {
      throw new IllegalStateException("TLS is there already");
    }
    TlsLayer layer = new TlsLayer(engine, helpers);
    if (!layer.attach(network.tlsMemory())) {
      close(Status.ENOBUFS);
      return;
    }
    tls = layer;
    network.schedule(this);
  }

  @Override
  public TlsEngine tls() {
    return tls == null ? null : tls.engine();
  }

  @Override
  public void closeAfterFlush() {
    finishing = true;
    paused = true;
    network.schedule(this);
  }

  @Override
  public void close() {
    close(Status.OK);
  }

  void close(int reason) {
    if (!closing) {
      closing = true;
      closeReason = reason;
      network.schedule(this);
    }
  }

  /** Does what is due, at the end of a duty cycle; returns how much was done. */
  int service() {
    scheduled = false;
    if (closing) {
      serviceClose();
      return 1;
    }
    if (!receiving) {
      deliver();
    }
    if (tls != null && !closing) {
      encrypt();
    }
    if (!sending && queue.hasUnsent()) {
      sending = network.sendMessage(descriptor, queue.beginSend(), this, OP_SEND);
      if (!sending) {
        queue.endSend(0);
        network.scheduleNextCycle(this);
      }
    }
    if (closing) {
      serviceClose();
    } else if (moveTarget != null) {
      serviceMove();
    } else if (finishing && isFlushed()) {
      linger();
    } else if (tls == null || !scheduled) {
      // Who resumed while records were made has its turn first: with a receive under way nothing
      // that came before could be delivered.
      armReceive();
    }
    return 1;
  }

  /** Returns whether the connection was not yet queued for service, and marks it as queued. */
  boolean markScheduled() {
    boolean before = scheduled;
    scheduled = true;
    return !before && !closed;
  }

  void onCompletion(int operation, int result) {
    switch (operation) {
      case OP_RECEIVE -> onReceived(result);
      case OP_SEND -> onSent(result);
      case OP_END_OUTPUT -> endingOutput = false;
      default -> shuttingDown = false;
    }
    if (closing) {
      network.schedule(this);
    }
  }

  private void onReceived(int result) {
    receiving = false;
    if (closing) {
      return;
    }
    if (result <= 0) {
      if (result == Status.EINTR || result == Status.EAGAIN) {
        network.schedule(this);
      } else {
        close(lingering ? closeReason : result);
      }
      return;
    }
    if (lingering) {
      network.schedule(this);
      return;
    }
    if (tls == null && directRemaining > 0) {
      fillDirect(result);
    } else {
      wire.grow(result);
    }
    deliver();
    network.schedule(this);
  }

  /** So many more bytes are where the handler wanted them. */
  private void fillDirect(int length) {
    directAddress += length;
    directRemaining -= length;
    if (directRemaining == 0) {
      delivering = true;
      handler.onDirectReceived(this);
      delivering = false;
    }
  }

  private void onSent(int result) {
    sending = false;
    if (result < 0 && result != Status.EINTR && result != Status.EAGAIN) {
      queue.endSend(0);
      close(result);
      return;
    }
    queue.endSend(Math.max(0, result));
    network.schedule(this);
    if (tls == null) {
      tellRoom();
    }
  }

  private void tellRoom() {
    if (wantsRoom && !closing) {
      wantsRoom = false;
      handler.onWritable(this);
    }
  }

  /** Gives the handler what has arrived, as long as it takes some. */
  private void deliver() {
    if (tls == null || closing) {
      deliverInput();
      return;
    }
    if (tls.isHandshaking()) {
      shakeHands();
      return;
    }
    deliverInput();
    while (wantsPlaintext() && decrypt()) {
      deliverInput();
    }
    if (wire.room() < TlsEngine.MAX_RECORD_BYTES) {
      wire.compact();
    }
  }

  private void deliverInput() {
    InputBuffer input = input();
    while (!input.isEmpty() && mayDeliver()) {
      delivering = true;
      int available = input.length();
      int consumed = handler.onReceive(this, input.bytes(), input.start(), available);
      delivering = false;
      if (consumed < 0 || consumed > available) {
        throw new IllegalStateException(
            "handler consumed " + consumed + " of " + available + " bytes");
      }
      input.consume(consumed);
      if (directRemaining > 0 && consumed < available) {
        throw new IllegalStateException(
            "receiveDirect with " + (available - consumed) + " bytes left");
      }
      if (consumed == 0) {
        break;
      }
    }
    boolean full = tls == null ? input.isFull() : input.room() < TlsEngine.MAX_PLAINTEXT_BYTES;
    if (full && !closing && moveTarget == null && !input.compact() && mayDeliver()) {
      // A session that neither takes anything from a full buffer nor pauses would never go on.
      close(Status.ENOBUFS);
    }
  }

  private boolean mayDeliver() {
    return !paused && !closing && directRemaining == 0 && moveTarget == null && !isSilenced();
  }

  /** Nothing reaches the handler during a handshake. */
  private boolean isSilenced() {
    return tls != null && tls.isHandshaking();
  }

  private void armReceive() {
    if (receiving || (paused && directRemaining == 0) || isHelped()) {
      return;
    }
    long address = directAddress;
    int length = directRemaining;
    if (tls != null || length == 0) {
      address = wire.endAddress();
      length = wire.room();
    }
    receiving = network.receive(descriptor, address, length, this, OP_RECEIVE);
    if (!receiving) {
      network.scheduleNextCycle(this);
    }
  }

  // TLS.

  /** Gives a helper the records of the handshake that have arrived. */
  private void shakeHands() {
    if (tls.isWorking() || finishing) {
      return;
    }
    int length = 0;
    int next = TlsLayer.recordLength(wire, 0);
    while (next > 0) {
      length += next;
      next = TlsLayer.recordLength(wire, length);
    }
    if (length > 0) {
      try {
        tls.handshake(wire, length, this::returnStep);
      } catch (RejectedExecutionException e) {
        failTls("no helper is free for the handshake");
      }
    } else if (next == TlsLayer.NO_RECORD) {
      failTls("the client does not speak TLS");
    }
  }

  /** On a helper's thread. */
  private void returnStep(TlsLayer.Step step) {
    // A full inbox passes; a core that has stopped needs no answer any more.
    for (int i = 0; i < INBOX_RETRIES && !network.core().execute(() -> endStep(step)); i++) {
      LockSupport.parkNanos(INBOX_RETRY_NS);
    }
  }

  private void endStep(TlsLayer.Step step) {
    if (closing) {
      return;
    }
    tls.endStep(step);
    wire.consume(step.consumed());
    if (!queueBytes(step.output())) {
      failTls("the handshake takes more room than there is");
    } else if (step.failure() != null) {
      failTls(step.failure());
    } else if (!step.handshaking()) {
      handler.onSecured(this);
    }
    network.schedule(this);
  }

  /** Queues bytes for the wire as they are; false when there is no room for all of them. */
  private boolean queueBytes(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      int piece = Math.min(MAX_CLAIM_BYTES, bytes.remaining());
      int offset = queue.claim(piece);
      if (offset < 0) {
        return false;
      }
      queue.output().putBytes(offset, bytes, piece);
    }
    return true;
  }

  private boolean wantsPlaintext() {
    return !closing
        && moveTarget == null
        && (!paused || directRemaining > 0)
        && tls.input().room() >= TlsEngine.MAX_PLAINTEXT_BYTES;
  }

  /** Takes one record from the wire; false when there is none or it was the last. */
  private boolean decrypt() {
    int length = TlsLayer.recordLength(wire, 0);
    if (length == TlsLayer.INCOMPLETE) {
      return false;
    }
    if (length == TlsLayer.NO_RECORD) {
      failTls("what the client sends is no TLS record");
      return false;
    }
    ByteBuffer plain = network.plain();
    try {
      tls.unwrap(wire, length, network.record(), plain);
    } catch (TlsException e) {
      failTls(e.getMessage());
      return false;
    }
    if (tls.engine().isInputClosed()) {
      close(Status.OK);
      return false;
    }
    place(plain.flip());
    return !closing;
  }

  /** Puts decrypted bytes where the handler wants them. */
  private void place(ByteBuffer plain) {
    while (plain.hasRemaining() && directRemaining > 0 && !closing) {
      int piece = Math.min(directRemaining, plain.remaining());
      direct.wrap(directAddress, piece);
      direct.putBytes(0, plain, piece);
      fillDirect(piece);
    }
    if (!closing) {
      tls.input().append(plain);
    }
  }

  /** What has arrived stays where it is until the helper tells how much of it was used. */
  private boolean isHelped() {
    return tls != null && tls.isWorking();
  }

  private boolean isFlushed() {
    return queue.isEmpty()
        && (tls == null
            || tlsFailed
            || tls.isHandshaking()
            || (tls.output().isEmpty() && !tls.engine().hasOutput()));
  }

  /** Makes records of the handler's output while the wire has room. */
  private void encrypt() {
    if (tls.isHandshaking() || tlsFailed) {
      return;
    }
    try {
      queueRecords();
      if (finishing && tls.output().isEmpty()) {
        tls.closeOutput();
        queueRecords();
      }
    } catch (TlsException e) {
      failTls(e.getMessage());
    }
  }

  private void queueRecords() throws TlsException {
    ByteBuffer record = network.record();
    while (queue.hasRoom(TlsEngine.MAX_PLAINTEXT_BYTES, 0)
        && tls.nextRecord(network.plain(), record)) {
      if (!queueBytes(record.flip())) {
        throw new TlsException("a record is longer than was asked for", null);
      }
      tellRoom();
    }
  }

  /** Ends a connection whose TLS can't go on, after an alert has left if there is one. */
  private void failTls(String why) {
    if (closing || tlsFailed) {
      return;
    }
    tlsFailed = true;
    closeReason = Status.EPROTO;
    finishing = true;
    paused = true;
    directRemaining = 0;
    handler.onTlsFailure(this, why);
    if (sending) {
      // The peer does not read, so that no alert would reach it either.
      close(Status.EPROTO);
    } else {
      queueAlert();
      network.schedule(this);
    }
  }

  private void queueAlert() {
    if (tls.isWorking() || !tls.engine().hasOutput()) {
      return;
    }
    ByteBuffer record = network.record();
    try {
      tls.engine().output(record.clear());
    } catch (TlsException e) {
      LOG.debug("{}: no TLS alert: {}", peer, e.getMessage());
      return;
    }
    if (!queueBytes(record.flip())) {
      LOG.debug("{}: no room for a TLS alert", peer);
    }
  }

  /**
   * A socket that is closed while there are bytes which nobody has read resets the connection, and
   * the peer loses answers that it has not read yet. So it is told that no more follow, and has
   * some time to close its end.
   */
  private void linger() {
    if (!lingering) {
      endingOutput = network.shutdownOutput(descriptor, this, OP_END_OUTPUT);
      if (!endingOutput) {
        network.scheduleNextCycle(this);
        return;
      }
      lingering = true;
      wire.consume(wire.length());
      Core core = network.core();
      lingerTimer =
          core.timers().schedule(core.clock().nowNs() + LINGER_NS, now -> close(closeReason));
    }
    if (!receiving) {
      receiving = network.receive(descriptor, wire.endAddress(), wire.room(), this, OP_RECEIVE);
      if (!receiving) {
        network.scheduleNextCycle(this);
      }
    }
  }

  private void serviceMove() {
    if (sending || !queue.isEmpty() || !output().isEmpty()) {
      return;
    }
    if (tls != null) {
      tls.detach();
    }
    closed = true;
    network.hand(this, moveTarget, descriptor, wire.copy(), tls);
  }

  private void serviceClose() {
    if (closed) {
      return;
    }
    if (receiving || sending) {
      // Ends the pending operations; their completions bring us back here.
      if (!shuttingDown) {
        shuttingDown = network.shutdown(descriptor, this, OP_SHUTDOWN);
        if (!shuttingDown) {
          network.scheduleNextCycle(this);
        }
      }
      return;
    }
    if (shuttingDown || endingOutput) {
      return;
    }
    closed = true;
    if (lingering) {
      network.core().timers().cancel(lingerTimer);
    }
    queue.clear();
    if (tls != null) {
      tls.detach();
    }
    network.release(this, descriptor);
    if (handler != null) {
      handler.onClosed(this, closeReason);
    }
  }

  int block() {
    return block;
  }

  ConnectionHandler handler() {
    return handler;
  }
}
