package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import io.plinth.engine.uring.UringDriver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UringDiallerContractTest extends DiallerContractTest {
  private static final int CONNECTIONS = 16;

  private final List<AutoCloseable> sockets = new ArrayList<>();
  private final List<Listener> listeners = new ArrayList<>();
  private final BlockingQueue<Throwable> failures = new LinkedBlockingQueue<>();
  private Engine engine;

  @AfterEach
  void closeSockets() throws Exception {
    for (AutoCloseable socket : sockets) {
      socket.close();
    }
    assertThat(failures).as("failures of cores").isEmpty();
  }

  @Override
  protected World start() throws Exception {
    engine =
        Engine.start(
            2, CONNECTIONS, 0, (core, cause) -> failures.add(cause), core -> new UringDriver(64));
    return new World() {
      @Override
      public Dialler dialler() {
        return engine.network(0);
      }

      @Override
      public void run(Runnable work) throws Exception {
        runOn(0, work);
      }

      @Override
      public String listen(Acceptor acceptor) throws Exception {
        Listener listener =
            engine.callOn(1, () -> engine.network(1).listen("127.0.0.1:0", acceptor));
        listeners.add(listener);
        return listener.address();
      }

      @Override
      public String nobody() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, loopback())) {
          return "127.0.0.1:" + socket.getLocalPort();
        }
      }

      @Override
      public String silent() throws IOException {
        return fullBacklog();
      }

      @Override
      public String take(BlockingQueue<String> queue) throws InterruptedException {
        return queue.poll(20, TimeUnit.SECONDS);
      }

      @Override
      public int connectionCount() throws Exception {
        return engine.callOn(0, () -> engine.network(0).connectionCount());
      }

      @Override
      public void closeAll() {
        engine.network(0).closeAll();
      }

      @Override
      public long nowNs() {
        return System.nanoTime();
      }

      @Override
      public void shutdown() throws Exception {
        runOn(
            1,
            () -> {
              listeners.forEach(Listener::close);
              engine.network(1).closeAll();
            });
        while (engine.callOn(1, () -> engine.network(1).connectionCount()) > 0) {
          Thread.onSpinWait();
        }
        engine.shutdown();
      }
    };
  }

  private void runOn(int core, Runnable work) throws Exception {
    boolean _ =
        engine.callOn(
            core,
            () -> {
              work.run();
              return true;
            });
  }

  private static InetAddress loopback() {
    return InetAddress.getLoopbackAddress();
  }

  /** Returns a listening socket whose queue is full: the kernel answers no more. */
  private String fullBacklog() throws IOException {
    ServerSocket server = new ServerSocket(0, 1, loopback());
    sockets.add(server);
    for (int i = 0; i < 16; i++) {
      Socket socket = new Socket();
      sockets.add(socket);
      try {
        socket.connect(new InetSocketAddress(loopback(), server.getLocalPort()), 200);
      } catch (SocketTimeoutException e) {
        return "127.0.0.1:" + server.getLocalPort();
      }
    }
    throw new IllegalStateException("a backlog of 1 takes 16 connections");
  }

  private static final class Outcome implements Connector {
    final BlockingQueue<String> events = new LinkedBlockingQueue<>();

    @Override
    public ConnectionHandler onConnected(Connection connection) {
      events.add("connected");
      return null;
    }

    @Override
    public void onConnectFailed(int status) {
      events.add(Status.name(status));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"localhost:10809", "plinth.example:1", "127.0.0.1", "127.0.0.1:65536"})
  void anAddressThatWouldHaveToBeLookedUpOrIsNoneFails(String address) throws Exception {
    Outcome outcome = new Outcome();
    world.run(() -> assertThat(engine.network(0).connect(address, outcome)).isTrue());
    assertThat(world.take(outcome.events)).isEqualTo("EINVAL");
    assertThat(world.connectionCount()).isZero();
  }

  @Test
  void aUnixSocketIsDialledToo(@TempDir Path folder) throws Exception {
    String address = "unix:" + folder.resolve("socket");
    Outcome server = new Outcome();
    listeners.add(engine.callOn(1, () -> engine.network(1).listen(address, server::onConnected)));
    Outcome client = new Outcome();
    world.run(() -> assertThat(engine.network(0).connect(address, client)).isTrue());
    assertThat(world.take(client.events)).isEqualTo("connected");
    assertThat(world.take(server.events)).isEqualTo("connected");
    Outcome nobody = new Outcome();
    world.run(() -> assertThat(engine.network(0).connect(address + "-2", nobody)).isTrue());
    assertThat(world.take(nobody.events)).isEqualTo("ENOENT");
  }

  /** One connection too many is refused, and that leaves nothing behind. */
  @Test
  void attemptsAreConnectionsAsFarAsTheirNumberGoes() throws Exception {
    String silent = world.silent();
    List<Outcome> outcomes = new ArrayList<>();
    world.run(() -> {
      for (int i = 0; i < CONNECTIONS; i++) {
        outcomes.add(new Outcome());
        assertThat(engine.network(0).connect(silent, outcomes.get(i))).isTrue();
      }
      assertThat(engine.network(0).connect(silent, new Outcome())).isFalse();
    });
    for (Outcome outcome : outcomes) {
      assertThat(world.take(outcome.events)).isEqualTo("ETIMEDOUT");
    }
    assertThat(world.connectionCount()).isZero();
  }
}
