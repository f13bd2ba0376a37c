package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Status;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.agrona.DirectBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What {@link Dialler} promises, over real sockets and simulated ones. */
@Timeout(60)
abstract class DiallerContractTest {
  /** A core that dials, and another that listens. */
  interface World {
    Dialler dialler();

    /** Runs something on the core that dials and waits for it. */
    void run(Runnable work) throws Exception;

    /** Lets the other core listen; returns the address. */
    String listen(Acceptor acceptor) throws Exception;

    /** Returns an address at which nobody listens. */
    String nobody() throws Exception;

    /** Returns an address at which nobody answers. */
    String silent() throws Exception;

    /** Waits for an element, or returns null when none comes for long. */
    String take(BlockingQueue<String> queue) throws InterruptedException;

    /** Returns how many connections and attempts the core that dials has. */
    int connectionCount() throws Exception;

    /** Closes all connections of the core that dials; on it. */
    void closeAll();

    /** Returns the time that attempts live in. */
    long nowNs();

    void shutdown() throws Exception;
  }

  /** One end: notes what happens, and answers {@code ping}. */
  private static final class End implements Connector, ConnectionHandler {
    final BlockingQueue<String> events = new LinkedBlockingQueue<>();
    final AtomicInteger ends = new AtomicInteger();
    final boolean wanted;
    Connection connection;

    End(boolean wanted) {
      this.wanted = wanted;
    }

    @Override
    public ConnectionHandler onConnected(Connection newConnection) {
      connection = newConnection;
      events.add("connected");
      return wanted ? this : null;
    }

    @Override
    public void onConnectFailed(int status) {
      ends.incrementAndGet();
      events.add("failed " + Status.name(status));
    }

    void say(String text) {
      int offset = connection.claim(text.length());
      connection.outputBuffer().putStringWithoutLengthAscii(offset, text);
    }

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      byte[] bytes = new byte[length];
      buffer.getBytes(offset, bytes);
      String text = new String(bytes, StandardCharsets.US_ASCII);
      events.add(text);
      if (text.equals("ping")) {
        say("pong");
      }
      return length;
    }

    @Override
    public void onDirectReceived(Connection from) {}

    @Override
    public void onWritable(Connection from) {}

    @Override
    public void onClosed(Connection from, int reason) {
      ends.incrementAndGet();
      events.add("closed " + Status.name(reason));
    }
  }

  protected World world;

  /** Starts the cores. */
  protected abstract World start() throws Exception;

  @BeforeEach
  void open() throws Exception {
    world = start();
  }

  @AfterEach
  void close() throws Exception {
    world.run(() -> world.closeAll());
    while (world.connectionCount() > 0) {
      Thread.onSpinWait();
    }
    world.shutdown();
  }

  private End dial(String address) throws Exception {
    return dial(address, new End(true));
  }

  private End dial(String address, End end) throws Exception {
    boolean[] begun = new boolean[1];
    boolean[] toldInside = new boolean[1];
    world.run(() -> {
      begun[0] = world.dialler().connect(address, end);
      toldInside[0] = !end.events.isEmpty();
    });
    assertThat(begun[0]).isTrue();
    assertThat(toldInside[0]).as("told from inside the call").isFalse();
    return end;
  }

  private String next(End end) throws InterruptedException {
    return world.take(end.events);
  }

  @Test
  void aConnectionIsMadeAndBothEndsSend() throws Exception {
    End server = new End(true);
    End client = dial(world.listen(server::onConnected));

    assertThat(next(client)).isEqualTo("connected");
    assertThat(next(server)).isEqualTo("connected");
    world.run(() -> client.say("ping"));

    assertThat(next(server)).isEqualTo("ping");
    assertThat(next(client)).isEqualTo("pong");
    assertThat(world.connectionCount()).isEqualTo(1);
    world.run(() -> client.connection.close());
    assertThat(next(client)).isEqualTo("closed OK");
    assertThat(next(server)).isEqualTo("closed OK");
    assertThat(client.ends).hasValue(1);
  }

  @Test
  void theEndOfThePeerIsTold() throws Exception {
    End server = new End(true);
    String address =
        world.listen(connection -> {
          ConnectionHandler handler = server.onConnected(connection);
          server.say("bye");
          connection.closeAfterFlush();
          return handler;
        });
    End client = dial(address);

    assertThat(next(client)).isEqualTo("connected");
    assertThat(next(client)).isEqualTo("bye");
    assertThat(next(client)).isEqualTo("closed OK");
    assertThat(world.connectionCount()).isZero();
  }

  @Test
  void nobodyListeningRefuses() throws Exception {
    End client = dial(world.nobody());

    assertThat(next(client)).isEqualTo("failed ECONNREFUSED");
    assertThat(world.connectionCount()).isZero();
    assertThat(client.ends).hasValue(1);
  }

  @Test
  void whoDoesNotAnswerIsNotWaitedForLong() throws Exception {
    String silent = world.silent();
    long startNs = world.nowNs();
    End client = dial(silent);

    assertThat(next(client)).isEqualTo("failed ETIMEDOUT");
    assertThat(world.nowNs() - startNs)
        .isBetween(Dialler.CONNECT_TIMEOUT_NS, Dialler.CONNECT_TIMEOUT_NS + 10_000_000_000L);
    assertThat(world.connectionCount()).isZero();
    assertThat(client.ends).hasValue(1);
  }

  @Test
  void closingAllEndsAttemptsAtOnce() throws Exception {
    String silent = world.silent();
    long startNs = world.nowNs();
    End client = dial(silent);
    assertThat(world.connectionCount()).isEqualTo(1);

    world.run(() -> {
      world.closeAll();
      world.closeAll();
    });

    assertThat(next(client)).isEqualTo("failed ESHUTDOWN");
    assertThat(world.nowNs() - startNs).isLessThan(Dialler.CONNECT_TIMEOUT_NS);
    assertThat(world.connectionCount()).isZero();
    assertThat(client.ends).hasValue(1);
  }

  @Test
  void aConnectionThatIsNotWantedAnyMoreIsClosed() throws Exception {
    End server = new End(true);
    End client = dial(world.listen(server::onConnected), new End(false));

    assertThat(next(client)).isEqualTo("connected");
    assertThat(next(server)).isEqualTo("connected");
    assertThat(next(server)).isEqualTo("closed OK");
    while (world.connectionCount() > 0) {
      Thread.onSpinWait();
    }
    assertThat(client.events).as("nothing is told after that").isEmpty();
  }

  @Test
  void whatHasFailedCanBeTriedAgain() throws Exception {
    for (int i = 0; i < 40; i++) {
      assertThat(next(dial(world.nobody()))).isEqualTo("failed ECONNREFUSED");
    }
    End server = new End(true);
    String address = world.listen(server::onConnected);
    for (int i = 0; i < 40; i++) {
      End client = dial(address);
      assertThat(next(client)).isEqualTo("connected");
      world.run(() -> client.connection.close());
      assertThat(next(client)).isEqualTo("closed OK");
    }
  }
}
