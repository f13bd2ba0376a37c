package io.plinth.engine.sim;

import io.plinth.engine.api.Acceptor;
import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Dialler;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The network of one core of one simulated process. What arrives is taken in front of the core's
 * other tasks, so attach it before those; what they queue is sent behind them.
 */
public final class SimHost implements Dialler {
  private final SimNetwork network;
  private final int number;
  private final SimCore core;
  private final List<SimConnection> connections = new ArrayList<>();
  private final Map<String, Acceptor> listeners = new TreeMap<>();
  private final ArrayDeque<Arrival> arrivals = new ArrayDeque<>();

  /** Something to come: one end of a connection, or the end of an attempt of {@code connector}. */
  private record Arrival(
      long dueNs, SimConnection connection, Connector connector, Runnable what) {}

  SimHost(SimNetwork network, int number, SimCore core) {
    this.network = network;
    this.number = number;
    this.core = core;
    CycleTask receiver = this::receive;
    CycleTask sender = this::send;
    core.addCycleTask(receiver);
    core.addLastTask(sender);
  }

  /** Returns the number of the machine. */
  public int number() {
    return number;
  }

  SimCore core() {
    return core;
  }

  /** Returns how many connections there are, those among them that are being made. */
  public int connectionCount() {
    int count = connections.size();
    for (Arrival arrival : arrivals) {
      count += arrival.connector == null ? 0 : 1;
    }
    return count;
  }

  /** Listens on an address, which is any text that no other listener of the network has. */
  public Listener listen(String address, Acceptor acceptor) {
    listeners.put(address, acceptor);
    return new Listener() {
      @Override
      public String address() {
        return address;
      }

      @Override
      public void close() {
        listeners.remove(address);
      }
    };
  }

  @Override
  public boolean connect(String address, Connector connector) {
    network.dial(this, address, connector);
    return true;
  }

  /** Ends all connections and attempts, as for a shutdown. */
  public void closeAll() {
    for (int i = arrivals.size(); i > 0; i--) {
      Arrival arrival = arrivals.remove();
      if (arrival.connector == null) {
        arrivals.add(arrival);
        continue;
      }
      if (arrival.connection != null) {
        arrival.connection.vanish();
        tellOfEnd(arrival.connection);
      }
      connectFailed(arrival.connector, Status.ESHUTDOWN, network.nowNs());
    }
    for (SimConnection connection : connections) {
      connection.close(Status.ESHUTDOWN);
    }
  }

  /**
   * The process is gone, with whatever it had; its handlers are told nothing.
   *
   * @param silent whether the machine is gone too: then the other ends do not learn it by
   *     themselves
   */
  public void crash(boolean silent) {
    listeners.clear();
    for (Arrival arrival : arrivals) {
      if (arrival.connection != null) {
        connections.add(arrival.connection);
      }
    }
    arrivals.clear();
    for (SimConnection connection : connections) {
      connection.vanish();
      if (!silent) {
        tellOfEnd(connection);
      }
    }
    connections.clear();
    network.remove(this);
  }

  private void tellOfEnd(SimConnection connection) {
    connection
        .other()
        .resetAt(network.arrival(number, connection.remoteHost(), 0), Status.ECONNRESET);
  }

  boolean listensOn(String address) {
    return listeners.containsKey(address);
  }

  /** Takes one end of a new connection at a time to come. */
  void accept(String address, SimConnection connection, long dueNs) {
    arrivals.add(
        new Arrival(
            dueNs,
            connection,
            null,
            () -> {
              Acceptor acceptor = listeners.get(address);
              enter(connection, acceptor == null ? null : acceptor.onAccept(connection));
            }));
  }

  void connected(Connector connector, SimConnection connection, long dueNs) {
    arrivals.add(
        new Arrival(
            dueNs,
            connection,
            connector,
            () -> enter(connection, connector.onConnected(connection))));
  }

  void connectFailed(Connector connector, int status, long dueNs) {
    arrivals.add(new Arrival(dueNs, null, connector, () -> connector.onConnectFailed(status)));
  }

  private void enter(SimConnection connection, ConnectionHandler handler) {
    connections.add(connection);
    if (handler == null) {
      connection.close();
    } else {
      connection.open(handler);
    }
  }

  void add(SimConnection connection) {
    connections.add(connection);
  }

  void remove(SimConnection connection) {
    connections.remove(connection);
  }

  /** Lets every connection to another machine fail. */
  void resetAll(int otherNumber) {
    for (SimConnection connection : connections) {
      if (connection.remoteHost() == otherNumber) {
        connection.resetAt(network.nowNs(), Status.ECONNRESET);
      }
    }
  }

  private int receive(long coreNowNs) {
    long nowNs = network.nowNs();
    for (int i = arrivals.size(); i > 0; i--) {
      Arrival arrival = arrivals.remove();
      if (arrival.dueNs <= nowNs) {
        arrival.what.run();
      } else {
        arrivals.add(arrival);
      }
    }
    for (SimConnection connection : List.copyOf(connections)) {
      connection.receive();
    }
    return 0;
  }

  private int send(long coreNowNs) {
    for (SimConnection connection : List.copyOf(connections)) {
      connection.send();
    }
    return 0;
  }
}
