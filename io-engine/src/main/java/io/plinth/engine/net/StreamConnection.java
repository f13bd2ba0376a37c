package io.plinth.engine.net;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A connected socket of one core. At most one receive and one send are with the driver at any time;
 * the socket is closed, and the handler told, when neither is.
 */
final class StreamConnection implements Connection {
  private static final int OP_RECEIVE = 0;
  private static final int OP_SEND = 1;
  private static final int OP_SHUTDOWN = 2;

  private final CoreNetwork network;
  private final int descriptor;
  private final long id;
  private final String peer;
  private final int block;
  private final UnsafeBuffer receiveBuffer = new UnsafeBuffer(0, 0);
  private final OutputQueue queue = new OutputQueue();
  private ConnectionHandler handler;

  private int start;
  private int end;
  private long directAddress;
  private int directRemaining;
  private boolean receiving;
  private boolean sending;
  private boolean shuttingDown;
  private boolean paused;
  private boolean delivering;
  private boolean wantsRoom;
  private boolean finishing;
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
    receiveBuffer.wrap(network.memory().receiveAddress(block), ConnectionMemory.RECEIVE_BYTES);
    queue.attach(network.memory(), block);
  }

  /** Begins to receive for a handler. */
  void open(ConnectionHandler newHandler) {
    handler = newHandler;
    network.schedule(this);
  }

  /** Puts bytes that another core received in front of the stream. */
  void prepend(byte[] bytes) {
    receiveBuffer.putBytes(0, bytes);
    end = bytes.length;
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
    return queue.output();
  }

  @Override
  public boolean canSend(int claimBytes, int references) {
    if (closing) {
      return true;
    }
    boolean room = queue.hasRoom(claimBytes, references);
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
    int offset = queue.claim(length);
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
    if (!queue.lend(address, length, owner, token)) {
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
  public void moveTo(Core target) {
    if (!delivering) {
      throw new IllegalStateException("moveTo outside of onReceive");
    }
    moveTarget = target;
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
    } else if (finishing && queue.isEmpty()) {
      close(Status.OK);
    } else {
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
        close(result);
      }
      return;
    }
    if (directRemaining > 0) {
      directAddress += result;
      directRemaining -= result;
      if (directRemaining == 0) {
        delivering = true;
        handler.onDirectReceived(this);
        delivering = false;
      }
    } else {
      end += result;
    }
    deliver();
    network.schedule(this);
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
    if (wantsRoom && !closing) {
      wantsRoom = false;
      handler.onWritable(this);
    }
  }

  /** Gives the handler what has arrived, as long as it takes some. */
  private void deliver() {
    while (start < end && mayDeliver()) {
      delivering = true;
      int consumed = handler.onReceive(this, receiveBuffer, start, end - start);
      delivering = false;
      if (consumed < 0 || consumed > end - start) {
        throw new IllegalStateException(
            "handler consumed " + consumed + " of " + (end - start) + " bytes");
      }
      start += consumed;
      if (directRemaining > 0 && start < end) {
        throw new IllegalStateException("receiveDirect with " + (end - start) + " bytes left");
      }
      if (consumed == 0) {
        break;
      }
    }
    if (start == end) {
      start = 0;
      end = 0;
    } else if (end == ConnectionMemory.RECEIVE_BYTES && !closing && moveTarget == null) {
      compact();
    }
  }

  private boolean mayDeliver() {
    return !paused && !closing && directRemaining == 0 && moveTarget == null;
  }

  private void compact() {
    if (start == 0) {
      if (mayDeliver()) {
        // A session that neither takes anything from a full buffer nor pauses would never go on.
        close(Status.ENOBUFS);
      }
      return;
    }
    receiveBuffer.putBytes(0, receiveBuffer, start, end - start);
    end -= start;
    start = 0;
  }

  private void armReceive() {
    if (receiving || (paused && directRemaining == 0)) {
      return;
    }
    long address = directAddress;
    int length = directRemaining;
    if (length == 0) {
      address = receiveBuffer.addressOffset() + end;
      length = ConnectionMemory.RECEIVE_BYTES - end;
    }
    receiving = network.receive(descriptor, address, length, this, OP_RECEIVE);
    if (!receiving) {
      network.scheduleNextCycle(this);
    }
  }

  private void serviceMove() {
    if (sending || !queue.isEmpty()) {
      return;
    }
    byte[] rest = new byte[end - start];
    receiveBuffer.getBytes(start, rest);
    closed = true;
    network.hand(this, moveTarget, descriptor, rest);
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
    if (shuttingDown) {
      return;
    }
    closed = true;
    queue.clear();
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
