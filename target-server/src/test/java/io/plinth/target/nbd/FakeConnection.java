package io.plinth.target.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.api.TlsEngine;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * The server's side of a {@link Link}, with the limits of a real connection and a complaint about
 * every breach of the port's contract. Output is copied when the client reads it, so that memory
 * that was lent and changed too early shows as wrong bytes.
 */
final class FakeConnection implements Connection {
  static final int RECEIVE_BYTES = 128 * 1024;
  static final int OUTPUT_BYTES = 64 * 1024;

  private record Entry(long address, int length, Releasable owner, long token) {}

  private final Link link;
  private final FakeCore core;
  private final int maxEntries;
  private final UnsafeBuffer receive = new UnsafeBuffer(ByteBuffer.allocateDirect(RECEIVE_BYTES));
  private final UnsafeBuffer output = new UnsafeBuffer(ByteBuffer.allocateDirect(OUTPUT_BYTES));
  private final ArrayDeque<Entry> entries = new ArrayDeque<>();
  private ConnectionHandler handler;
  private int receiveEnd;
  private int outputEnd;
  private int firstEntrySent;
  private long directAddress;
  private int directRemaining;
  private boolean paused;
  private boolean delivering;
  private boolean wantsRoom;
  private boolean finishing;
  private boolean closing;
  private boolean gone;
  private int closeReason;
  private FakeCore moveTarget;
  private TlsEngine tls;
  private boolean handshaking;
  private boolean announceMove;
  int pauses;

  /** The client has gone, and what it had sent before was not read yet. */
  boolean peerEnded;

  FakeConnection(Link link, FakeCore core, int maxEntries) {
    this.link = link;
    this.core = core;
    this.maxEntries = maxEntries;
    link.connection = this;
  }

  void open(ConnectionHandler newHandler) {
    handler = newHandler;
    core.add(this);
  }

  ConnectionHandler handler() {
    return handler;
  }

  boolean isPaused() {
    return paused;
  }

  int queuedEntries() {
    return entries.size();
  }

  /** The peer has gone away. */
  void peerCloses(int reason) {
    if (!closing) {
      closing = true;
      closeReason = reason;
    }
  }

  /** What the real connection does at the end of a cycle. */
  int service() {
    if (announceMove) {
      announceMove = false;
      handler.onMoved(this);
    }
    if (closing) {
      finishClose();
      return 1;
    }
    int work = deliver();
    while (!closing && moveTarget == null && receiveMore()) {
      work += 1 + deliver();
    }
    work += send();
    if (closing) {
      finishClose();
    } else if (moveTarget != null && entries.isEmpty()) {
      move();
    } else if (finishing && entries.isEmpty()) {
      closing = true;
      work++;
    }
    return work;
  }

  private int deliver() {
    int work = 0;
    while (receiveEnd > 0 && mayDeliver()) {
      delivering = true;
      int consumed = handler.onReceive(this, receive, 0, receiveEnd);
      delivering = false;
      assertThat(consumed).as("consumed").isBetween(0, receiveEnd);
      if (directRemaining > 0) {
        assertThat(consumed).as("consumed before a direct receive").isEqualTo(receiveEnd);
      }
      if (consumed == 0) {
        boolean mayWait = receiveEnd < RECEIVE_BYTES || paused || closing || moveTarget != null;
        assertThat(mayWait).as("takes nothing from a full receive buffer").isTrue();
        break;
      }
      receive.putBytes(0, receive, consumed, receiveEnd - consumed);
      receiveEnd -= consumed;
      work++;
    }
    return work;
  }

  private boolean mayDeliver() {
    return !handshaking && !paused && !closing && directRemaining == 0 && moveTarget == null;
  }

  private boolean receiveMore() {
    if (directRemaining > 0) {
      byte[] piece = link.nextPiece(directRemaining);
      if (piece.length == 0) {
        return false;
      }
      new UnsafeBuffer(directAddress, piece.length).putBytes(0, piece);
      directAddress += piece.length;
      directRemaining -= piece.length;
      if (directRemaining == 0) {
        delivering = true;
        handler.onDirectReceived(this);
        delivering = false;
      }
      return true;
    }
    if (paused || finishing) {
      return false;
    }
    byte[] piece = link.nextPiece(RECEIVE_BYTES - receiveEnd);
    receive.putBytes(receiveEnd, piece);
    receiveEnd += piece.length;
    return piece.length > 0;
  }

  private int send() {
    int work = 0;
    while (!entries.isEmpty() && link.willRead > 0) {
      Entry entry = entries.peek();
      int size = (int) Math.min(entry.length - firstEntrySent, link.willRead);
      byte[] bytes = new byte[size];
      new UnsafeBuffer(entry.address + firstEntrySent, size).getBytes(0, bytes);
      link.deliverToClient(bytes);
      firstEntrySent += size;
      if (firstEntrySent == entry.length) {
        dropFirst();
      }
      work++;
    }
    if (work > 0 && wantsRoom && !closing) {
      wantsRoom = false;
      handler.onWritable(this);
    }
    return work;
  }

  private void dropFirst() {
    Entry entry = entries.poll();
    firstEntrySent = 0;
    if (entries.isEmpty()) {
      outputEnd = 0;
    }
    if (entry.owner != null) {
      entry.owner.release(entry.token);
    }
  }

  private void move() {
    gone = true;
    core.remove(this);
    FakeCore target = moveTarget;
    target.execute(() -> {
      FakeConnection arrived = new FakeConnection(link, target, maxEntries);
      arrived.receive.putBytes(0, receive, 0, receiveEnd);
      arrived.receiveEnd = receiveEnd;
      arrived.announceMove = true;
      arrived.tls = tls;
      arrived.open(handler);
    });
  }

  private void finishClose() {
    while (!entries.isEmpty()) {
      dropFirst();
    }
    gone = true;
    core.remove(this);
    link.closed = true;
    handler.onClosed(this, closeReason);
  }

  private void assertUsable() {
    assertThat(gone).as("connection used after it was closed or moved").isFalse();
  }

  @Override
  public long id() {
    return 1;
  }

  @Override
  public String peer() {
    return "fake";
  }

  @Override
  public Core core() {
    return core;
  }

  @Override
  public MutableDirectBuffer outputBuffer() {
    assertUsable();
    return output;
  }

  @Override
  public boolean canSend(int claimBytes, int references) {
    assertUsable();
    boolean room =
        closing
            || (outputEnd + claimBytes <= OUTPUT_BYTES
                && entries.size() + references + 1 <= maxEntries);
    wantsRoom |= !room;
    return room;
  }

  @Override
  public int claim(int length) {
    assertUsable();
    assertThat(finishing).as("output after closeAfterFlush").isFalse();
    assertThat(length).as("claim").isBetween(1, MAX_CLAIM_BYTES);
    if (closing) {
      return 0;
    }
    if (outputEnd + length > OUTPUT_BYTES || entries.size() == maxEntries) {
      wantsRoom = true;
      return -1;
    }
    int at = outputEnd;
    outputEnd += length;
    entries.add(new Entry(output.addressOffset() + at, length, null, 0));
    return at;
  }

  @Override
  public boolean send(long address, int length, Releasable owner, long token) {
    assertUsable();
    assertThat(finishing).as("output after closeAfterFlush").isFalse();
    assertThat(length).as("length of a loan").isPositive();
    if (closing) {
      if (owner != null) {
        owner.release(token);
      }
      return true;
    }
    if (entries.size() == maxEntries) {
      wantsRoom = true;
      return false;
    }
    entries.add(new Entry(address, length, owner, token));
    return true;
  }

  @Override
  public void receiveDirect(long address, int length) {
    assertUsable();
    assertThat(delivering).as("receiveDirect outside of onReceive").isTrue();
    assertThat(directRemaining).as("receiveDirect twice").isZero();
    assertThat(length).isPositive();
    directAddress = address;
    directRemaining = length;
  }

  @Override
  public void pauseReceive() {
    assertUsable();
    pauses++;
    paused = true;
  }

  @Override
  public void resumeReceive() {
    assertUsable();
    paused = false;
  }

  @Override
  public boolean hasEnded() {
    assertUsable();
    return closing || peerEnded;
  }

  @Override
  public void moveTo(Core target) {
    assertUsable();
    assertThat(delivering).as("moveTo outside of onReceive").isTrue();
    moveTarget = (FakeCore) target;
  }

  @Override
  public void startTls(TlsEngine engine, Executor helpers) {
    assertThat(tls).as("TLS before").isNull();
    tls = engine;
    handshaking = true;
  }

  @Override
  public TlsEngine tls() {
    return tls;
  }

  /** Whether TLS has been started; it is never spoken, what follows stands for the plaintext. */
  boolean isHandshaking() {
    return handshaking;
  }

  /** The handshake is over. What arrived during it, were it options, was never looked at. */
  void secure() {
    assertThat(handshaking).isTrue();
    handshaking = false;
    receiveEnd = 0;
    handler.onSecured(this);
  }

  @Override
  public void closeAfterFlush() {
    assertUsable();
    finishing = true;
    paused = true;
  }

  @Override
  public void close() {
    assertUsable();
    peerCloses(Status.OK);
  }
}
