package io.plinth.target.node;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.memory.NativeMemory;
import java.util.concurrent.Executor;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** One end of a connection in memory, which allocates nothing; what is lent is copied at once. */
final class LoopConnection implements Connection {
  private static final int BYTES = 8 << 20;

  private final Core core;
  private final NativeMemory memory = NativeMemory.reserve(BYTES);
  private final UnsafeBuffer queued = memory.buffer(0, BYTES);
  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private int length;
  private boolean closed;
  private boolean paused;
  ConnectionHandler handler;

  LoopConnection(Core core) {
    this.core = core;
  }

  /** Gives the other end all that was queued, as far as it takes it. */
  void deliverTo(LoopConnection other) {
    if (length > 0 && !other.paused) {
      int taken = other.handler.onReceive(other, queued, 0, length);
      length -= taken;
      queued.putBytes(0, queued, taken, length);
    }
  }

  void end() {
    if (closed) {
      handler.onClosed(this, Status.OK);
    }
    memory.close();
  }

  @Override
  public long id() {
    return 1;
  }

  @Override
  public String peer() {
    return "loop";
  }

  @Override
  public Core core() {
    return core;
  }

  @Override
  public MutableDirectBuffer outputBuffer() {
    return queued;
  }

  @Override
  public boolean canSend(int claimBytes, int references) {
    return true;
  }

  @Override
  public int claim(int bytes) {
    int at = length;
    length += bytes;
    return at;
  }

  @Override
  public boolean send(long address, int bytes, Releasable owner, long token) {
    view.wrap(address, bytes);
    queued.putBytes(claim(bytes), view, 0, bytes);
    if (owner != null) {
      owner.release(token);
    }
    return true;
  }

  @Override
  public void receiveDirect(long address, int bytes) {
    throw new IllegalStateException("all of a frame is there");
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
    return closed;
  }

  @Override
  public void moveTo(Core target) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void startTls(TlsEngine engine, Executor helpers) {
    throw new UnsupportedOperationException();
  }

  @Override
  public TlsEngine tls() {
    return null;
  }

  @Override
  public void closeAfterFlush() {
    closed = true;
  }

  @Override
  public void close() {
    closed = true;
  }
}
