package io.plinth.log.wire;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.util.function.Function;

/** Two simulated machines and a connection between them. */
final class Pipe {
  private static final long STEP_NS = 20_000;
  private static final int LIMIT = 100_000;

  final SimNetwork network = new SimNetwork(new SimRandom(9));
  final SimCore nearCore = new SimCore(0, 0);
  final SimCore farCore = new SimCore(0, 0);
  final SimHost nearHost = network.attach(1, nearCore);
  final SimHost farHost = network.attach(2, farCore);
  Connection near;
  Connection far;

  Pipe(
      Function<Connection, ConnectionHandler> nearHandler,
      Function<Connection, ConnectionHandler> farHandler) {
    farHost.listen(
        "far",
        connection -> {
          far = connection;
          return farHandler.apply(connection);
        });
    boolean _ =
        nearHost.connect(
            "far",
            new Connector() {
              @Override
              public ConnectionHandler onConnected(Connection connection) {
                near = connection;
                return nearHandler.apply(connection);
              }

              @Override
              public void onConnectFailed(int status) {
                throw new IllegalStateException("connect: " + status);
              }
            });
    for (int i = 0; i < LIMIT && (near == null || far == null); i++) {
      step();
    }
  }

  void step() {
    network.advance(STEP_NS);
    nearCore.cycle(STEP_NS);
    farCore.cycle(STEP_NS);
  }

  /** Lets a millisecond pass: all that was sent has arrived, unless it is much. */
  void pass() {
    for (int i = 0; i < 50; i++) {
      step();
    }
  }

  /** Sends bytes as they are. */
  void send(Connection from, byte[] bytes) {
    int at = 0;
    while (at < bytes.length) {
      int piece = Math.min(Connection.MAX_CLAIM_BYTES, bytes.length - at);
      int offset = from.claim(piece);
      if (offset >= 0) {
        from.outputBuffer().putBytes(offset, bytes, at, piece);
        at += piece;
      } else {
        step();
      }
    }
    pass();
  }
}
