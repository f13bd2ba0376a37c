package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.memory.NativeMemory;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What {@link Connection} promises, over every kind of driver, between a client and real cores. */
abstract class ConnectionContractTest {
  private static final int MEMORY_BYTES = 1 << 20;

  /** The client's end. */
  interface Peer {
    void send(byte[] bytes) throws Exception;

    /** Receives exactly so many bytes, or fewer when the stream ends before. */
    byte[] receive(int length) throws Exception;

    void close() throws Exception;

    /** Vanishes without having read what was sent to it. */
    void reset() throws Exception;
  }

  /** A session that the test controls; methods are called on the core. */
  protected class Session implements ConnectionHandler {
    final ByteArrayOutputStream received = new ByteArrayOutputStream();
    final BlockingQueue<String> events = new LinkedBlockingQueue<>();
    final AtomicReference<Connection> connection = new AtomicReference<>();
    final AtomicInteger closes = new AtomicInteger();
    final CountDownLatch secured = new CountDownLatch(1);

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      byte[] bytes = new byte[length];
      buffer.getBytes(offset, bytes);
      received.writeBytes(bytes);
      events.add("received " + new String(bytes, StandardCharsets.US_ASCII));
      return length;
    }

    @Override
    public void onDirectReceived(Connection from) {
      events.add("direct");
    }

    @Override
    public void onWritable(Connection from) {
      events.add("writable");
    }

    @Override
    public void onMoved(Connection to) {
      connection.set(to);
      events.add("moved to " + to.core().id());
    }

    @Override
    public void onSecured(Connection from) {
      secured.countDown();
    }

    @Override
    public void onTlsFailure(Connection from, String why) {
      events.add("TLS failed: " + why);
    }

    @Override
    public void onClosed(Connection from, int reason) {
      closes.incrementAndGet();
      events.add("closed " + Status.name(reason));
    }

    String next() throws InterruptedException {
      String event = cores.take(events);
      assertThat(event).as("an event of the session").isNotNull();
      return event;
    }

    void awaitEvent(String wanted) throws InterruptedException {
      while (!next().startsWith(wanted)) {}
    }
  }

  private final NativeMemory memory = NativeMemory.reserve(MEMORY_BYTES);
  private final UnsafeBuffer buffer = memory.buffer(0, MEMORY_BYTES);
  private final BlockingQueue<Session> accepted = new LinkedBlockingQueue<>();
  private final BlockingQueue<Throwable> failures = new LinkedBlockingQueue<>();
  private Cores cores;
  private Listener listener;
  private Session nextSession = new Session();

  /** Two cores with a network each. */
  interface Cores {
    Listener listen(Acceptor acceptor) throws Exception;

    /** Returns what dials from core 0. */
    Dialler dialler();

    Core core(int id);

    /** Runs something on a core and waits for it. */
    void run(int core, Runnable work) throws Exception;

    int connectionCount(int core);

    void closeAll(int core);

    /** Waits for an element, or returns null when none comes for long. */
    <T> T take(BlockingQueue<T> queue) throws InterruptedException;

    /** Lets something else happen. */
    void pass();

    /** Returns the time that connections live in. */
    long nowNs();

    void shutdown() throws Exception;
  }

  /** Starts the cores. */
  protected Cores startCores() throws Exception {
    return new EngineCores(
        Engine.start(2, 16, 0, (core, cause) -> failures.add(cause), driverFactory()));
  }

  /** Makes the drivers of the cores. */
  protected abstract DriverFactory driverFactory();

  /** On the core's thread, before anything is received. */
  protected void onAccept(Connection connection) {}

  /** Connects to the only listener. */
  protected abstract Peer connect(String address) throws Exception;

  @BeforeEach
  void start() throws Exception {
    cores = startCores();
    listener = cores.listen(this::begin);
    for (int i = 0; i < MEMORY_BYTES; i += 8) {
      buffer.putLong(i, i * 0x9E3779B97F4A7C15L);
    }
  }

  private Session begin(Connection connection) {
    Session session = nextSession;
    session.connection.set(connection);
    onAccept(connection);
    accepted.add(session);
    return session;
  }

  /** Lets core 0 connect to the client; its session is the next one. */
  final void dial(String address) throws Exception {
    onCore(
        0,
        () -> {
          Connector connector =
              new Connector() {
                @Override
                public ConnectionHandler onConnected(Connection connection) {
                  return begin(connection);
                }

                @Override
                public void onConnectFailed(int status) {
                  failures.add(new AssertionError("connect: " + Status.name(status)));
                }
              };
          assertThat(cores.dialler().connect(address, connector)).isTrue();
        });
  }

  @AfterEach
  void stop() throws Exception {
    assertThat(failures).as("failures of cores").isEmpty();
    for (int core = 0; core < 2; core++) {
      int id = core;
      onCore(
          id,
          () -> {
            if (id == 0) {
              listener.close();
            }
            cores.closeAll(id);
          });
    }
    for (int core = 0; core < 2; core++) {
      int id = core;
      int[] count = {1};
      while (count[0] > 0) {
        onCore(id, () -> count[0] = cores.connectionCount(id));
      }
    }
    cores.shutdown();
    memory.close();
    assertThat(failures).as("failures of cores").isEmpty();
  }

  @Test
  void bytesArriveInOrder() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();

    peer.send(ascii("hello "));
    peer.send(ascii("world"));
    while (session.received.size() < 11) {
      session.awaitEvent("received");
    }

    assertThat(session.received.toString(StandardCharsets.US_ASCII)).isEqualTo("hello world");
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void claimsAndLoansLeaveInTheOrderOfQueueing() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    ByteArrayOutputStream expected = new ByteArrayOutputStream();
    Loans loans = new Loans(20);

    onCore(
        0,
        () -> {
          Connection connection = session.connection.get();
          for (int i = 0; i < 20; i++) {
            put(connection, ascii("[" + i + "]"), expected);
            put(connection, ascii(":"), expected);
            lend(connection, i * 4096, 1 + i * 200, loans, i, expected);
          }
        });

    assertThat(peer.receive(expected.size())).isEqualTo(expected.toByteArray());
    loans.awaitAll();
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void everyLoanIsReleasedExactlyOnceWhenThePeerVanishes() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    Loans loans = new Loans(400);

    onCore(
        0,
        () -> {
          for (int i = 0; i < 400; i++) {
            assertThat(session.connection.get().send(memory.address(), 256 * 1024, loans, i))
                .isTrue();
          }
        });
    peer.receive(1000);
    peer.reset();
    session.awaitEvent("closed");
    loans.awaitAll();
    onCore(0, () -> assertThat(session.connection.get().send(1, 1, loans.andOne(), 0)).isTrue());

    loans.awaitAll();
    assertThat(session.closes).hasValue(1);
  }

  @Test
  void aRefusedClaimIsFollowedByRoom() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    int[] claims = new int[1];

    onCore(
        0,
        () -> {
          Connection connection = session.connection.get();
          int offset = connection.claim(Connection.MAX_CLAIM_BYTES);
          while (offset >= 0) {
            connection
                .outputBuffer()
                .setMemory(offset, Connection.MAX_CLAIM_BYTES, (byte) claims[0]);
            claims[0]++;
            offset = connection.claim(Connection.MAX_CLAIM_BYTES);
          }
          assertThat(connection.canSend(Connection.MAX_CLAIM_BYTES, 0)).isFalse();
          assertThat(connection.canSend(0, 1)).isTrue();
        });
    byte[] received = peer.receive(claims[0] * Connection.MAX_CLAIM_BYTES);
    session.awaitEvent("writable");
    onCore(
        0,
        () ->
            assertThat(session.connection.get().claim(Connection.MAX_CLAIM_BYTES)).isNotNegative());

    assertThat(claims[0]).isPositive();
    for (int i = 0; i < received.length; i++) {
      if (received[i] != i / Connection.MAX_CLAIM_BYTES) {
        assertThat(received[i]).as("byte %d", i).isEqualTo((byte) (i / Connection.MAX_CLAIM_BYTES));
      }
    }
  }

  @Test
  void aRefusedLoanIsFollowedByRoomAndWasNotReleased() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    AtomicInteger released = new AtomicInteger();
    int[] sent = new int[1];

    onCore(
        0,
        () -> {
          while (session
              .connection
              .get()
              .send(memory.address(), 1024, token -> released.incrementAndGet(), 0)) {
            sent[0]++;
          }
          assertThat(released).hasValue(0);
        });
    assertThat(peer.receive(sent[0] * 1024)).hasSize(sent[0] * 1024);
    session.awaitEvent("writable");
    peer.close();
    session.awaitEvent("closed");

    assertThat(released).hasValue(sent[0]);
  }

  @Test
  void aPausedConnectionHearsNothingUntilItResumes() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    onCore(0, () -> session.connection.get().pauseReceive());

    peer.send(ascii("early"));
    for (int i = 0; i < 20; i++) {
      onCore(0, () -> {});
    }
    assertThat(session.events).isEmpty();
    onCore(0, () -> session.connection.get().resumeReceive());

    assertThat(session.next()).isEqualTo("received early");
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void bytesThatAreLeftArePresentedAgainInFrontOfLaterOnes() throws Exception {
    nextSession =
        new Session() {
          @Override
          public int onReceive(Connection from, DirectBuffer bytes, int offset, int length) {
            // Whole groups of four only.
            return super.onReceive(from, bytes, offset, length / 4 * 4) / 4 * 4;
          }
        };
    Peer peer = connect(listener.address());
    Session session = accept();

    for (byte b : ascii("abcdefghijkl")) {
      peer.send(new byte[] {b});
    }
    while (session.received.size() < 12) {
      session.awaitEvent("received");
    }

    assertThat(session.received.toString(StandardCharsets.US_ASCII)).isEqualTo("abcdefghijkl");
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void aSessionThatLeavesAFullBufferUnconsumedIsDisconnected() throws Exception {
    nextSession =
        new Session() {
          @Override
          public int onReceive(Connection from, DirectBuffer bytes, int offset, int length) {
            return 0;
          }
        };
    Peer peer = connect(listener.address());
    Session session = accept();

    peer.send(new byte[ConnectionMemory.RECEIVE_BYTES]);

    assertThat(session.next()).isEqualTo("closed ENOBUFS");
  }

  @Test
  void directBytesGoStraightToMemoryAndTheRestFollows() throws Exception {
    int payload = 300_000;
    int target = 500_000;
    nextSession =
        new Session() {
          @Override
          public int onReceive(Connection from, DirectBuffer bytes, int offset, int length) {
            if (received.size() > 0) {
              return super.onReceive(from, bytes, offset, length);
            }
            // A header of four bytes, then the payload, of which some has arrived with it.
            int with = Math.min(payload, length - 4);
            bytes.getBytes(offset + 4, buffer, target, with);
            received.writeBytes(new byte[4]);
            if (with == payload) {
              events.add("direct");
            } else {
              from.receiveDirect(memory.address() + target + with, payload - with);
            }
            return 4 + with;
          }
        };
    byte[] content = new byte[payload];
    buffer.getBytes(0, content);
    Peer peer = connect(listener.address());
    Session session = accept();

    peer.send(ascii("head"));
    peer.send(content);
    peer.send(ascii("tail"));
    assertThat(session.next()).isEqualTo("direct");
    while (session.received.size() < 8) {
      session.awaitEvent("received");
    }

    byte[] stored = new byte[payload];
    buffer.getBytes(target, stored);
    assertThat(stored).isEqualTo(content);
    assertThat(session.received.toByteArray()).endsWith(ascii("tail"));
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void aMovedConnectionKeepsItsOutputItsUnreadBytesAndItsIdentity() throws Exception {
    nextSession =
        new Session() {
          @Override
          public int onReceive(Connection from, DirectBuffer bytes, int offset, int length) {
            if (from.core().id() == 0) {
              assertThat(from.core().inCore()).isTrue();
              put(from, ascii("moving"), new ByteArrayOutputStream());
              from.moveTo(cores.core(1));
              return 1;
            }
            assertThat(cores.core(1).inCore()).isTrue();
            return super.onReceive(from, bytes, offset, length);
          }
        };
    Peer peer = connect(listener.address());
    Session session = accept();
    long id = session.connection.get().id();

    peer.send(ascii("Mrest"));
    assertThat(peer.receive(6)).isEqualTo(ascii("moving"));
    session.awaitEvent("moved to 1");
    peer.send(ascii(" and more"));
    while (session.received.size() < 13) {
      session.awaitEvent("received");
    }

    assertThat(session.received.toString(StandardCharsets.US_ASCII)).isEqualTo("rest and more");
    assertThat(session.connection.get().id()).isEqualTo(id);
    assertThat(cores.connectionCount(0)).isZero();
    onCore(1, () -> put(session.connection.get(), ascii("here"), new ByteArrayOutputStream()));
    assertThat(peer.receive(4)).isEqualTo(ascii("here"));
    peer.close();
    session.awaitEvent("closed OK");
    assertThat(session.closes).hasValue(1);
  }

  @Test
  void closeAfterFlushSendsAllThatIsQueued() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    ByteArrayOutputStream expected = new ByteArrayOutputStream();
    Loans loans = new Loans(30);

    atEndOfCycle(() -> {
      Connection connection = session.connection.get();
      for (int i = 0; i < 30; i++) {
        put(connection, ascii("part " + i), expected);
        lend(connection, i * 1000, 30_000, loans, i, expected);
      }
      connection.closeAfterFlush();
      connection.closeAfterFlush();
    });

    assertThat(peer.receive(expected.size() + 1)).isEqualTo(expected.toByteArray());
    assertThat(session.next()).isEqualTo("closed OK");
    loans.awaitAll();
    assertThat(session.closes).hasValue(1);
  }

  @Test
  void answersReachAPeerThatGoesOnSendingAfterTheLastOneWasLookedAt() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    ByteArrayOutputStream expected = new ByteArrayOutputStream();
    atEndOfCycle(() -> {
      Connection connection = session.connection.get();
      connection.pauseReceive();
      put(connection, ascii("the last words"), expected);
    });
    // Nobody reads these, and a socket that is closed with them unread resets the connection.
    peer.send(new byte[50_000]);

    onCore(0, () -> session.connection.get().closeAfterFlush());
    peer.send(new byte[50_000]);

    assertThat(peer.receive(expected.size() + 1)).isEqualTo(expected.toByteArray());
    peer.close();
    session.awaitEvent("closed OK");
  }

  @Test
  void aPeerThatNeverClosesItsEndIsNotWaitedForLong() throws Exception {
    Peer _ = connect(listener.address());
    Session session = accept();
    long start = cores.nowNs();

    onCore(0, () -> session.connection.get().closeAfterFlush());

    session.awaitEvent("closed OK");
    assertThat(cores.nowNs() - start)
        .isBetween(TimeUnit.MILLISECONDS.toNanos(500), TimeUnit.SECONDS.toNanos(10));
  }

  @Test
  void aSecondCloseIsIgnoredAndTheSessionIsToldOnce() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();

    atEndOfCycle(() -> {
      session.connection.get().close();
      session.connection.get().close();
      session.connection.get().closeAfterFlush();
    });

    assertThat(session.next()).isEqualTo("closed OK");
    assertThat(peer.receive(1)).as("end of stream").isEmpty();
    onCore(0, () -> session.connection.get().close());
    onCore(0, () -> {});
    assertThat(session.closes).hasValue(1);
  }

  @Test
  void aConnectionThatEndsWhileItIsPausedIsClosedOnce() throws Exception {
    Peer peer = connect(listener.address());
    Session session = accept();
    atEndOfCycle(() -> session.connection.get().pauseReceive());

    peer.close();

    session.awaitEvent("closed OK");
    assertThat(session.closes).hasValue(1);
  }

  /** Bytes that nobody reads lie in front of the end. */
  @Test
  void theEndOfThePeerIsKnownThoughNothingIsRead() throws Exception {
    for (boolean resets : List.of(false, true)) {
      Peer peer = connect(listener.address());
      Session session = accept();
      atEndOfCycle(() -> session.connection.get().pauseReceive());
      for (int i = 0; i < 4; i++) {
        peer.send(new byte[10_000]);
      }
      assertThat(hasEnded(session)).isFalse();

      if (resets) {
        peer.reset();
      } else {
        peer.close();
      }

      while (!hasEnded(session)) {
        cores.pass();
      }
      onCore(0, () -> session.connection.get().resumeReceive());
      session.awaitEvent("closed");
    }
  }

  private boolean hasEnded(Session session) throws Exception {
    boolean[] ended = new boolean[1];
    onCore(0, () -> ended[0] = session.connection.get().hasEnded());
    return ended[0];
  }

  /** Counts releases by token. */
  private final class Loans implements Releasable {
    private final List<AtomicInteger> counts = new ArrayList<>();

    Loans(int count) {
      for (int i = 0; i < count; i++) {
        counts.add(new AtomicInteger());
      }
    }

    @Override
    public void release(long token) {
      counts.get((int) token).incrementAndGet();
    }

    /** Makes one of the loans once more. */
    Releasable andOne() {
      return token -> {
        assertThat(counts.get((int) token).decrementAndGet()).isZero();
        release(token);
      };
    }

    void awaitAll() {
      for (int i = 0; i < counts.size(); i++) {
        while (counts.get(i).get() == 0) {
          cores.pass();
        }
        assertThat(counts.get(i)).as("releases of loan %d", i).hasValue(1);
      }
    }
  }

  /** Real cores, each with a thread. */
  private record EngineCores(Engine engine) implements Cores {
    @Override
    public Listener listen(Acceptor acceptor) throws Exception {
      return engine.callOn(0, () -> engine.network(0).listen("127.0.0.1:0", acceptor));
    }

    @Override
    public Dialler dialler() {
      return engine.network(0);
    }

    @Override
    public Core core(int id) {
      return engine.core(id);
    }

    @Override
    public void run(int core, Runnable work) throws Exception {
      boolean _ =
          engine.callOn(
              core,
              () -> {
                work.run();
                return true;
              });
    }

    @Override
    public int connectionCount(int core) {
      return engine.network(core).connectionCount();
    }

    @Override
    public void closeAll(int core) {
      engine.network(core).closeAll();
    }

    @Override
    public <T> T take(BlockingQueue<T> queue) throws InterruptedException {
      return queue.poll(20, TimeUnit.SECONDS);
    }

    @Override
    public void pass() {
      Thread.onSpinWait();
    }

    @Override
    public long nowNs() {
      return System.nanoTime();
    }

    @Override
    public void shutdown() throws Exception {
      engine.shutdown();
    }
  }

  static void put(Connection connection, byte[] bytes, ByteArrayOutputStream expected) {
    int offset = connection.claim(bytes.length);
    assertThat(offset).isNotNegative();
    connection.outputBuffer().putBytes(offset, bytes);
    expected.writeBytes(bytes);
  }

  private void lend(
      Connection connection,
      int offset,
      int length,
      Loans loans,
      int token,
      ByteArrayOutputStream expected) {
    assertThat(connection.send(memory.address() + offset, length, loans, token)).isTrue();
    byte[] bytes = new byte[length];
    buffer.getBytes(offset, bytes);
    expected.writeBytes(bytes);
  }

  final String address() {
    return listener.address();
  }

  final void setNextSession(Session session) {
    nextSession = session;
  }

  /** Waits until output leaves. */
  protected void awaitOpen(Session session) throws InterruptedException {}

  private Session accept() throws InterruptedException {
    Session session = acceptedSession();
    awaitOpen(session);
    return session;
  }

  final Session acceptedSession() throws InterruptedException {
    Session session = cores.take(accepted);
    assertThat(session).as("accepted session").isNotNull();
    return session;
  }

  /**
   * Runs something on core 0 after connections were served in a cycle, so that a new one is already
   * receiving.
   */
  private void atEndOfCycle(Runnable work) throws Exception {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    onCore(
        0,
        () ->
            cores
                .core(0)
                .timers()
                .schedule(
                    cores.core(0).clock().nowNs(),
                    now -> {
                      try {
                        work.run();
                        done.complete(true);
                      } catch (AssertionError e) {
                        done.completeExceptionally(e);
                      }
                    }));
    while (!done.isDone()) {
      cores.pass();
    }
    assertThat(done.get()).isTrue();
  }

  final void onCore(int core, Runnable work) throws Exception {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    cores.run(
        core,
        () -> {
          try {
            work.run();
          } catch (AssertionError e) {
            failure.set(e);
          }
        });
    if (failure.get() != null) {
      throw new AssertionError("on core " + core, failure.get());
    }
  }

  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
