package io.plinth.engine.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Connection;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimHost;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;
import org.junit.jupiter.api.Test;

/** The faults of a {@link SimNetwork}. */
class SimNetworkTest {
  private static final long STEP_NS = 10_000;
  private static final int MS = 1_000_000;

  private final SimNetwork network = new SimNetwork(new SimRandom(5));
  private final SimCore[] cores = {new SimCore(0, 0), new SimCore(0, 0), new SimCore(0, 0)};
  private final SimHost[] hosts = new SimHost[3];
  private final List<End> accepted = new ArrayList<>();
  private final StringBuilder trace = new StringBuilder();

  SimNetworkTest() {
    for (int i = 0; i < 3; i++) {
      hosts[i] = network.attach(i, cores[i]);
      listen(i);
    }
  }

  private void listen(int i) {
    hosts[i].listen(
        "host-" + i,
        connection -> {
          End end = new End("server");
          end.connection = connection;
          accepted.add(end);
          return end;
        });
  }

  private final class End implements ConnectionHandler, Connector {
    final String name;
    final StringBuilder received = new StringBuilder();
    Connection connection;
    int failure;
    int closed = 1;

    End(String name) {
      this.name = name;
    }

    @Override
    public ConnectionHandler onConnected(Connection newConnection) {
      connection = newConnection;
      return this;
    }

    @Override
    public void onConnectFailed(int status) {
      failure = status;
    }

    @Override
    public int onReceive(Connection from, DirectBuffer buffer, int offset, int length) {
      for (int i = 0; i < length; i++) {
        received.append((char) buffer.getByte(offset + i));
      }
      trace.append(name).append(network.nowNs()).append(' ');
      return length;
    }

    @Override
    public void onDirectReceived(Connection from) {}

    @Override
    public void onWritable(Connection from) {}

    @Override
    public void onClosed(Connection from, int reason) {
      closed = reason;
    }

    void send(String text) {
      int offset = connection.claim(text.length());
      for (int i = 0; i < text.length(); i++) {
        connection.outputBuffer().putByte(offset + i, (byte) text.charAt(i));
      }
    }
  }

  private void pass(long durationNs) {
    for (long ns = 0; ns < durationNs; ns += STEP_NS) {
      network.advance(STEP_NS);
      for (SimCore core : cores) {
        core.cycle(STEP_NS);
      }
    }
  }

  private End dial(int from, int to) {
    End end = new End("client");
    boolean _ = hosts[from].connect("host-" + to, end);
    pass(MS);
    return end;
  }

  @Test
  void whatOneMachineSendsWaitsInAOneWayPartitionAndTheOtherWayIsOpen() {
    End client = dial(0, 1);
    network.block(0, 1);
    client.send("there");
    accepted.get(0).send("back");
    pass(50 * MS);
    assertThat(accepted.get(0).received).isEmpty();
    assertThat(client.received.toString()).isEqualTo("back");
    network.heal();
    pass(MS);
    assertThat(accepted.get(0).received.toString()).isEqualTo("there");
  }

  @Test
  void aConnectionAcrossAPartitionTimesOut() {
    network.block(1, 0);
    End client = dial(0, 1);
    assertThat(client.failure).as("not yet").isZero();
    pass(600L * MS);
    assertThat(client.failure).isEqualTo(Status.ETIMEDOUT);
    assertThat(accepted).isEmpty();
  }

  @Test
  void nobodyListeningRefuses() {
    hosts[1].crash(false);
    assertThat(dial(0, 1).failure).isEqualTo(Status.ECONNREFUSED);
  }

  @Test
  void aLostTransmissionTakesTheConnectionOnBothEnds() {
    End client = dial(0, 1);
    network.lose(1);
    client.send("lost");
    pass(MS);
    assertThat(client.closed).isEqualTo(Status.ECONNRESET);
    assertThat(accepted.get(0).closed).isEqualTo(Status.ECONNRESET);
    assertThat(accepted.get(0).received).isEmpty();
    assertThat(network.resets()).isEqualTo(1);
  }

  @Test
  void theDeathOfAProcessIsTold() {
    End client = dial(0, 1);
    hosts[1].crash(false);
    pass(MS);
    assertThat(client.closed).isEqualTo(Status.ECONNRESET);
    assertThat(accepted.get(0).closed).as("the dead are told nothing").isEqualTo(1);
  }

  @Test
  void theDeathOfAMachineIsFoundOutBySendingToItsNextLife() {
    End client = dial(0, 1);
    hosts[1].crash(true);
    client.send("hello?");
    pass(50 * MS);
    assertThat(client.closed).as("nobody answers").isEqualTo(1);
    cores[1] = new SimCore(0, 0);
    hosts[1] = network.attach(1, cores[1]);
    client.send("hello?");
    pass(MS);
    assertThat(client.closed).isEqualTo(Status.ECONNRESET);
  }

  /** Order is kept within a connection only. */
  @Test
  void connectionsOvertakeEachOther() {
    End first = dial(0, 1);
    End second = dial(0, 1);
    network.late(2, 20 * MS);
    int overtaken = 0;
    for (int i = 0; i < 50; i++) {
      first.send("a");
      pass(STEP_NS);
      second.send("b");
      End firstServer = accepted.get(0);
      End secondServer = accepted.get(1);
      for (int j = 0; j < 5000 && secondServer.received.length() <= i; j++) {
        pass(STEP_NS);
      }
      overtaken += firstServer.received.length() <= i ? 1 : 0;
      pass(25L * MS);
      assertThat(firstServer.received.length()).isEqualTo(i + 1);
    }
    assertThat(overtaken).isBetween(5, 45);
  }

  @Test
  void aSlowWayTakesTimeForEveryByte() {
    End client = dial(0, 1);
    network.slow(0, 1, 5 * MS, 10_000);
    client.send("x".repeat(1000));
    pass(14L * MS);
    assertThat(accepted.get(0).received).isEmpty();
    pass(2L * MS);
    assertThat(accepted.get(0).received.length()).isEqualTo(1000);
  }

  @Test
  void theSameSeedGivesTheSameRun() {
    SimNetworkTest other = new SimNetworkTest();
    for (SimNetworkTest run : List.of(this, other)) {
      End client = run.dial(0, 1);
      run.network.late(3, MS);
      run.network.lose(40);
      for (int i = 0; i < 60; i++) {
        client.send("data");
        run.accepted.get(0).send("answer");
        run.pass(200_000);
      }
    }
    assertThat(trace.toString()).isNotEmpty().isEqualTo(other.trace.toString());
  }
}
