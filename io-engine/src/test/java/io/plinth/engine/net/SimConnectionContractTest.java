package io.plinth.engine.net;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Listener;
import io.plinth.engine.core.DriverFactory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.function.BooleanSupplier;
import org.agrona.DirectBuffer;

/** The contract of connections, kept by those of {@link SimNetwork}. */
class SimConnectionContractTest extends ConnectionContractTest {
  private static final int LIMIT = 2_000_000;
  private static final long STEP_NS = 20_000;
  private static final int SERVER = 1;
  private static final int CLIENT = 2;

  private final SimNetwork network = new SimNetwork(new SimRandom(1));
  private final List<SimCore> cores =
      List.of(new SimCore(0, 0), new SimCore(1, 0), new SimCore(2, 0));
  private final List<SimHost> hosts =
      List.of(
          network.attach(SERVER, cores.get(0)),
          network.attach(SERVER, cores.get(1)),
          network.attach(CLIENT, cores.get(2)));

  private void step() {
    network.advance(STEP_NS);
    cores.forEach(core -> core.cycle(STEP_NS));
  }

  private void stepUntil(BooleanSupplier condition) {
    for (int i = 0; i < LIMIT && !condition.getAsBoolean(); i++) {
      step();
    }
  }

  @Override
  protected DriverFactory driverFactory() {
    throw new IllegalStateException("simulated cores have no driver");
  }

  @Override
  protected Cores startCores() {
    return new Cores() {
      @Override
      public Listener listen(Acceptor acceptor) {
        return hosts.get(0).listen("server", acceptor);
      }

      @Override
      public Dialler dialler() {
        return hosts.get(0);
      }

      @Override
      public Core core(int id) {
        return cores.get(id);
      }

      @Override
      public void run(int core, Runnable work) {
        boolean[] done = new boolean[1];
        boolean _ =
            cores
                .get(core)
                .execute(() -> {
                  work.run();
                  done[0] = true;
                });
        stepUntil(() -> done[0]);
      }

      @Override
      public int connectionCount(int core) {
        return hosts.get(core).connectionCount();
      }

      @Override
      public void closeAll(int core) {
        hosts.get(core).closeAll();
      }

      @Override
      public <T> T take(BlockingQueue<T> queue) {
        stepUntil(() -> !queue.isEmpty());
        return queue.poll();
      }

      @Override
      public void pass() {
        step();
      }

      @Override
      public long nowNs() {
        return network.nowNs();
      }

      @Override
      public void shutdown() {}
    };
  }

  /** The client's end, which waits by letting time pass. */
  private final class Client implements Peer, Connector, ConnectionHandler {
    private final ByteArrayOutputStream received = new ByteArrayOutputStream();
    private Connection connection;
    private int taken;
    private boolean closed;

    @Override
    public ConnectionHandler onConnected(Connection newConnection) {
      connection = newConnection;
      // It reads when asked to, as a blocking client does.
      newConnection.pauseReceive();
      return this;
    }

    @Override
    public void onConnectFailed(int status) {
      throw new IllegalStateException("connect: " + status);
    }

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      byte[] bytes = new byte[length];
      buffer.getBytes(offset, bytes);
      received.writeBytes(bytes);
      if (received.size() >= wanted) {
        from.pauseReceive();
      }
      return length;
    }

    private int wanted;

    @Override
    public void onDirectReceived(Connection from) {
      throw new IllegalStateException("not asked for");
    }

    @Override
    public void onWritable(Connection from) {}

    @Override
    public void onClosed(Connection from, int reason) {
      closed = true;
    }

    @Override
    public void send(byte[] bytes) {
      int at = 0;
      while (at < bytes.length) {
        int piece = Math.min(Connection.MAX_CLAIM_BYTES, bytes.length - at);
        int offset = connection.claim(piece);
        if (offset < 0) {
          step();
          continue;
        }
        connection.outputBuffer().putBytes(offset, bytes, at, piece);
        at += piece;
      }
    }

    @Override
    public byte[] receive(int length) {
      wanted = taken + length;
      connection.resumeReceive();
      stepUntil(() -> closed || received.size() >= wanted);
      byte[] all = received.toByteArray();
      int end = Math.min(all.length, wanted);
      byte[] result = Arrays.copyOfRange(all, taken, end);
      taken = end;
      return result;
    }

    @Override
    public void close() {
      connection.close();
    }

    @Override
    public void reset() {
      network.reset(SERVER, CLIENT);
    }
  }

  /** Returns a client that is connected to instead of connecting. */
  final Peer awaitDial(String address) throws Exception {
    Client client = new Client();
    Listener listener = hosts.get(2).listen(address, client::onConnected);
    dial(address);
    stepUntil(() -> client.connection != null);
    listener.close();
    return client;
  }

  @Override
  protected Peer connect(String address) {
    Client client = new Client();
    boolean _ = hosts.get(2).connect(address, client);
    stepUntil(() -> client.connection != null);
    return client;
  }
}
