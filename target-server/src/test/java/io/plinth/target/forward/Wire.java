package io.plinth.target.forward;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.io.ByteArrayOutputStream;
import java.util.function.Function;
import org.agrona.DirectBuffer;

/** Two simulated machines, one of which has what is tested; the other end is in a test's hands. */
final class Wire {
  private static final long STEP_NS = 20_000;

  final SimNetwork network = new SimNetwork(new SimRandom(9));
  final SimCore core = new SimCore(0, 0);
  final SimHost host = network.attach(1, core);
  private final SimCore farCore = new SimCore(0, 0);
  final SimHost farHost = network.attach(2, farCore);

  /** The test's end of the newest connection. */
  Raw raw;

  /** What a test has of a connection. */
  static final class Raw implements ConnectionHandler {
    final Connection connection;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    boolean closed;

    Raw(Connection connection) {
      this.connection = connection;
    }

    /** Returns what has arrived since the last time. */
    byte[] take() {
      byte[] taken = bytes.toByteArray();
      bytes.reset();
      return taken;
    }

    void send(byte[] sent) {
      int at = connection.claim(sent.length);
      connection.outputBuffer().putBytes(at, sent);
    }

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      byte[] part = new byte[length];
      buffer.getBytes(offset, part);
      bytes.writeBytes(part);
      return length;
    }

    @Override
    public void onDirectReceived(Connection from) {}

    @Override
    public void onWritable(Connection from) {}

    @Override
    public void onClosed(Connection from, int reason) {
      closed = true;
    }
  }

  /** Connects to what listens on {@code near}. */
  Raw dial(Function<Connection, ConnectionHandler> near) {
    Raw before = raw;
    host.listen("near", near::apply);
    boolean _ =
        farHost.connect(
            "near",
            new Connector() {
              @Override
              public ConnectionHandler onConnected(Connection connection) {
                raw = new Raw(connection);
                return raw;
              }

              @Override
              public void onConnectFailed(int status) {
                throw new IllegalStateException("connect: " + status);
              }
            });
    while (raw == before) {
      step();
    }
    return raw;
  }

  /** Accepts what is connected to {@code far}. */
  void accept() {
    Object _ =
        farHost.listen(
            "far",
            connection -> {
              raw = new Raw(connection);
              return raw;
            });
  }

  void step() {
    network.advance(STEP_NS);
    core.cycle(STEP_NS);
    farCore.cycle(STEP_NS);
  }

  /** Lets so many milliseconds pass. */
  void pass(int ms) {
    for (int i = 0; i < 50 * ms; i++) {
      step();
    }
  }
}
