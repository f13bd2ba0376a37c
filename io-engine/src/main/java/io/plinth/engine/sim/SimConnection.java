package io.plinth.engine.sim;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.TlsEngine;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** One end of a simulated connection. */
final class SimConnection implements Connection {
  private static final int INPUT_BYTES = 128 * 1024;
  private static final long LINGER_NS = TimeUnit.SECONDS.toNanos(1);

  private final SimNetwork network;
  private final long id;
  private final SimLink in;
  private final SimLink out;
  private final int remoteHost;
  private SimConnection other;
  private SimHost host;
  private ConnectionHandler handler;

  private final UnsafeBuffer input = new UnsafeBuffer(new byte[INPUT_BYTES]);
  private final UnsafeBuffer direct = new UnsafeBuffer(0, 0);
  private final SimOutput output = new SimOutput();
  private int inputLength;
  private long directAddress;
  private int directRemaining;
  private boolean paused;

  /** A receive is under way: pausing does not take it back. */
  private boolean armed;

  private boolean delivering;
  private boolean wantsRoom;
  private boolean sentSome;
  private boolean finishing;
  private boolean lingering;
  private long lingerEndNs;
  private boolean closing;
  private boolean gone;
  private int closeReason;
  private long resetDueNs = Long.MAX_VALUE;
  private int resetReason;
  private SimHost moveTarget;

  SimConnection(
      SimNetwork network, long id, SimHost host, int remoteHost, SimLink in, SimLink out) {
    this.network = network;
    this.id = id;
    this.host = host;
    this.remoteHost = remoteHost;
    this.in = in;
    this.out = out;
  }

  void pairWith(SimConnection otherEnd) {
    other = otherEnd;
  }

  void open(ConnectionHandler newHandler) {
    handler = newHandler;
  }

  int remoteHost() {
    return remoteHost;
  }

  SimConnection other() {
    return other;
  }

  /** Lets this end fail at a time, unless it has ended before. */
  void resetAt(long dueNs, int reason) {
    if (dueNs < resetDueNs) {
      resetDueNs = dueNs;
      resetReason = reason;
    }
  }

  /** The process at this end is gone: nobody is told, and memory on loan is nobody's any more. */
  void vanish() {
    closing = true;
    gone = true;
    in.clear();
  }

  /** Returns whether this end is no more. */
  boolean isGone() {
    return gone;
  }

  /** Takes what has arrived; the part of a duty cycle before its tasks. */
  void receive() {
    long nowNs = network.nowNs();
    if (!closing && resetDueNs <= nowNs) {
      close(resetReason);
    }
    if (closing) {
      return;
    }
    if (sentSome && wantsRoom) {
      wantsRoom = false;
      handler.onWritable(this);
    }
    sentSome = false;
    deliver();
    boolean reaches = network.reaches(remoteHost, host.number());
    while (!closing && reaches && in.hasArrived(nowNs) && takes()) {
      takeSome();
      deliver();
      armed = !paused;
    }
    if (!closing && reaches && in.isOver(nowNs) && takes()) {
      close(lingering ? closeReason : Status.OK);
    }
  }

  /** Sends what is queued; the part of a duty cycle after its tasks. */
  void send() {
    if (closing) {
      end();
      return;
    }
    armed |= !paused;
    while (!output.isEmpty() && out.room() > 0) {
      byte[] bytes = output.take(out.room());
      network.transmit(this, out, bytes, host.number(), remoteHost);
      sentSome = true;
    }
    if (moveTarget != null && output.isEmpty()) {
      move();
    } else if (finishing && output.isEmpty()) {
      linger();
    }
  }

  private boolean takes() {
    return moveTarget == null && (lingering || directRemaining > 0 || armed);
  }

  private void takeSome() {
    if (lingering) {
      int _ = in.take(input, 0, INPUT_BYTES);
    } else if (directRemaining > 0) {
      direct.wrap(directAddress, directRemaining);
      int count = in.take(direct, 0, directRemaining);
      directAddress += count;
      directRemaining -= count;
      if (directRemaining == 0) {
        delivering = true;
        handler.onDirectReceived(this);
        delivering = false;
      }
    } else {
      inputLength += in.take(input, inputLength, INPUT_BYTES - inputLength);
    }
  }

  private void deliver() {
    while (inputLength > 0 && mayDeliver()) {
      delivering = true;
      int consumed = handler.onReceive(this, input, 0, inputLength);
      delivering = false;
      if (consumed < 0 || consumed > inputLength) {
        throw new IllegalStateException(
            "handler consumed " + consumed + " of " + inputLength + " bytes");
      }
      inputLength -= consumed;
      if (directRemaining > 0 && inputLength > 0) {
        throw new IllegalStateException("receiveDirect with " + inputLength + " bytes left");
      }
      if (consumed == 0) {
        break;
      }
      input.putBytes(0, input, consumed, inputLength);
    }
    if (inputLength == INPUT_BYTES && mayDeliver()) {
      close(Status.ENOBUFS);
    }
  }

  private boolean mayDeliver() {
    return !paused && !closing && !lingering && directRemaining == 0 && moveTarget == null;
  }

  private void linger() {
    long nowNs = network.nowNs();
    if (!lingering) {
      lingering = true;
      lingerEndNs = nowNs + LINGER_NS;
      inputLength = 0;
      out.end(network.arrival(host.number(), remoteHost, 0));
    } else if (nowNs >= lingerEndNs) {
      close(closeReason);
    }
  }

  private void move() {
    SimHost target = moveTarget;
    moveTarget = null;
    host.remove(this);
    host = target;
    if (!target
        .core()
        .execute(() -> {
          target.add(this);
          handler.onMoved(this);
        })) {
      throw new IllegalStateException("a simulated core refuses a connection");
    }
  }

  /** The end of this end: the other one sees an end of the stream, or a failure. */
  private void end() {
    gone = true;
    output.clear();
    host.remove(this);
    long dueNs = network.arrival(host.number(), remoteHost, 0);
    if (closeReason != Status.OK || inputLength > 0 || !in.isEmpty()) {
      other.resetAt(dueNs, Status.ECONNRESET);
    } else {
      out.end(dueNs);
    }
    in.clear();
    if (handler != null) {
      handler.onClosed(this, closeReason);
    }
  }

  @Override
  public long id() {
    return id;
  }

  @Override
  public String peer() {
    return "host-" + remoteHost;
  }

  @Override
  public Core core() {
    return host.core();
  }

  @Override
  public MutableDirectBuffer outputBuffer() {
    return output.ring();
  }

  @Override
  public boolean canSend(int claimBytes, int references) {
    if (closing) {
      return true;
    }
    boolean room = output.hasRoom(claimBytes, references);
    wantsRoom |= !room;
    return room;
  }

  @Override
  public int claim(int length) {
    if (length <= 0 || length > MAX_CLAIM_BYTES) {
      throw new IllegalArgumentException("claim of " + length + " bytes");
    }
    if (closing) {
      return 0;
    }
    int offset = output.claim(length);
    wantsRoom |= offset < 0;
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
    boolean queued = output.lend(address, length, owner, token);
    wantsRoom |= !queued;
    return queued;
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
    paused = false;
  }

  @Override
  public boolean hasEnded() {
    long nowNs = network.nowNs();
    boolean reaches = network.reaches(remoteHost, host.number());
    return closing || resetDueNs <= nowNs || (reaches && in.hasEnded(nowNs));
  }

  @Override
  public void moveTo(Core target) {
    if (!delivering) {
      throw new IllegalStateException("moveTo outside of onReceive");
    }
    moveTarget = network.hostOf(target);
  }

  @Override
  public void startTls(TlsEngine engine, Executor helpers) {
    throw new UnsupportedOperationException("no TLS on simulated connections");
  }

  @Override
  public TlsEngine tls() {
    return null;
  }

  @Override
  public void closeAfterFlush() {
    finishing = true;
    paused = true;
  }

  @Override
  public void close() {
    close(Status.OK);
  }

  void close(int reason) {
    if (!closing) {
      closing = true;
      closeReason = reason;
    }
  }
}
