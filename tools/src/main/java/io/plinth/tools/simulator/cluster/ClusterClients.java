package io.plinth.tools.simulator.cluster;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimNetwork;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.tools.simulator.check.CellHistory;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Clients of a cluster: each of them uses one volume through one node until it is disconnected. A
 * client that is told ESTALE goes, as a front end lets it, and others come.
 */
final class ClusterClients {
  private static final int MAX_REQUESTS = 12;
  private static final int MEMORY_BYTES = 1 << 20;

  /** Of all that is asked for. */
  private static final int WANDERS_ONE_IN = 5;

  /** Some cells are asked for again and again. */
  private static final int HOT_CELLS = 40;

  private final SimRandom random;
  private final SimNetwork network;
  private final List<ClusterNode> nodes;
  private final Consumer<String> trace;
  private final NativeMemory memory = NativeMemory.reserve(MEMORY_BYTES);
  private final Map<String, ClusterSession> sessions = new TreeMap<>();
  private final Map<String, ClusterWanderer> wanderers = new TreeMap<>();
  private final List<ClusterRequest> requests = new ArrayList<>();
  private Runnable beforeErrors = () -> {};
  private Violation problem;
  private long nextNumber = 1;
  private long answered;
  private long unknown;
  private long refused;

  ClusterClients(
      SimRandom random, SimNetwork network, List<ClusterNode> nodes, Consumer<String> trace) {
    this.random = random;
    this.network = network;
    this.nodes = nodes;
    this.trace = trace;
  }

  void free() {
    memory.close();
  }

  boolean isIdle() {
    return requests.isEmpty();
  }

  /** Returns whether clients of a node wait for answers. */
  boolean isIdle(ClusterNode node) {
    return requests.stream().noneMatch(request -> request.node == node);
  }

  /** Returns how many requests had an answer that says something. */
  long answered() {
    return answered;
  }

  /** Returns how many did not. */
  long unknown() {
    return unknown;
  }

  /** Returns how many were refused, for a reason. */
  long refused() {
    return refused;
  }

  /** Forgets what has ended, and throws what was found since. */
  void check() {
    if (problem != null) {
      throw problem;
    }
    requests.removeIf(this::isOver);
  }

  /** What a dead node was asked for may have had its effect, or get it later. */
  private boolean isOver(ClusterRequest request) {
    boolean lost = !request.isDone() && request.isLost();
    unknown += lost ? 1 : 0;
    return lost || request.isDone();
  }

  /** Asks for something, by chance. */
  void act(List<ClusterVolume> volumes) {
    List<ClusterNode> open = nodes.stream().filter(ClusterNode::isOpen).toList();
    if (volumes.isEmpty() || open.isEmpty()) {
      return;
    }
    ClusterVolume volume = volumes.get(random.nextInt(volumes.size()));
    ClusterNode node = open.get(random.nextInt(open.size()));
    if (random.oneIn(WANDERS_ONE_IN)) {
      wanderers
          .computeIfAbsent(volume.name, name -> new ClusterWanderer(random, this, volume))
          .act(node);
      return;
    }
    long waiting = waiting(node);
    // What lies at a sleeper is to be younger than what others do meanwhile.
    if (waiting >= MAX_REQUESTS || (node.isPaused() && !random.oneIn(40))) {
      return;
    }
    ClusterSession session = session(node, volume);
    if (session == null) {
      return;
    }
    int most = random.oneIn(30) ? ClusterVolume.CELLS / 2 : 10;
    int cells = 1 + random.nextInt(most);
    int first = random.nextInt(random.oneIn(2) ? HOT_CELLS : ClusterVolume.CELLS - cells);
    switch (random.nextInt(12)) {
      case 0 -> change(session, volume, Operation.WRITE_ZEROES, first, cells);
      case 1 -> change(session, volume, Operation.TRIM, first & -2, (cells + 1) & -2);
      case 2, 3, 4 -> send(session, volume, Operation.READ, first, cells, null);
      case 5 -> {
        if (random.oneIn(4)) {
          send(session, volume, Operation.FLUSH, 0, 0, null);
        }
      }
      default -> change(session, volume, Operation.WRITE, first, cells);
    }
  }

  private long waiting(ClusterNode node) {
    return requests.stream().filter(request -> request.node == node).count();
  }

  /** Returns whether a node takes one more request. */
  boolean hasRoom(ClusterNode node) {
    return waiting(node) < MAX_REQUESTS;
  }

  /** Lets some node write to a volume, if it is open. */
  void write(ClusterNode node, ClusterVolume volume) {
    ClusterSession session = node.isOpen() ? session(node, volume) : null;
    if (session != null) {
      int first = random.nextInt(ClusterVolume.CELLS / 2);
      change(session, volume, Operation.WRITE, first, 1 + random.nextInt(ClusterVolume.CELLS / 2));
    }
  }

  /** Lets some node flush a volume; returns whether it was asked. */
  boolean flush(ClusterNode node, ClusterVolume volume) {
    ClusterSession session = session(node, volume);
    if (session != null) {
      send(session, volume, Operation.FLUSH, 0, 0, null);
    }
    return session != null;
  }

  void change(
      ClusterSession session, ClusterVolume volume, Operation operation, int first, int cells) {
    int count = Math.min(cells, ClusterVolume.CELLS - first);
    CellHistory.Change change =
        volume.history.begin(
            nextNumber++,
            operation != Operation.WRITE,
            first,
            count,
            network.nowNs(),
            session.sender);
    send(session, volume, operation, first, count, change);
  }

  void send(
      ClusterSession session,
      ClusterVolume volume,
      Operation operation,
      int first,
      int cells,
      CellHistory.Change change) {
    int count = Math.min(cells, ClusterVolume.CELLS - first);
    ClusterRequest request =
        new ClusterRequest(
            session.node,
            volume,
            operation,
            first,
            count,
            change,
            network.nowNs(),
            memory,
            this::onEnd);
    request.fua = change != null && random.oneIn(10);
    request.noHole = operation == Operation.WRITE_ZEROES && random.oneIn(2);
    request.session = session;
    requests.add(request);
    request.send(session.export);
  }

  private ClusterSession session(ClusterNode node, ClusterVolume volume) {
    String key = node.number + " " + volume.name;
    ClusterSession session = sessions.get(key);
    if (session == null || session.isOver()) {
      Volume export = node.node().find(volume.name);
      if (export == null) {
        return null;
      }
      session = new ClusterSession(node, export, null);
      sessions.put(key, session);
    }
    return session;
  }

  /** Is called before an answer that is an error is judged. */
  void beforeErrors(Runnable look) {
    beforeErrors = look;
  }

  private void onEnd(ClusterRequest request, int status) {
    if (status != Status.OK) {
      beforeErrors.run();
    }
    long nowNs = network.nowNs();
    ClusterVolume volume = request.volume;
    ClusterSession session = request.session;
    if (status == Status.ESTALE || status == Status.ESHUTDOWN) {
      session.close();
    }
    boolean isDurable = request.change != null && request.isDurable();
    if (session.isOver()
        || session.isLeft()
        || volume.isGoing
        || (request.beginNs <= volume.lossNs && !isDurable)) {
      // Its client does not hear how it has ended; or an answer has come over the network from
      // somebody who has lost his memory meanwhile, and what it promises with it.
      request.data.releaseAll();
      unknown++;
      return;
    }
    if (status == Status.EIO
        && volume.mayBeDamaged(request.firstCell(), request.cells(), request.beginNs)) {
      // Of a change, too: it needed what else is in the block.
      refused++;
      if (request.change != null) {
        volume.history.refuse(request.change);
      }
      return;
    }
    if (status == Status.EIO && volume.failedNs >= request.beginNs) {
      // It may have its effect all the same.
      unknown++;
      return;
    }
    boolean needsRoom =
        request.operation == Operation.WRITE || request.operation == Operation.WRITE_ZEROES;
    if (status == Status.ENOSPC && needsRoom && volume.fullNs >= request.beginNs) {
      refused++;
      volume.history.refuse(request.change);
      return;
    }
    if (status != Status.OK) {
      String what = request.operation + " of " + volume.name + " through node ";
      fail(Guarantee.PROGRESS, what + request.node.number + " failed: " + Status.name(status));
      return;
    }
    answered++;
    session.servedNs = session.servedNs < 0 ? nowNs : session.servedNs;
    if (session.servedNs < volume.allLostNs && request.beginNs > volume.allLostNs) {
      fail(
          Guarantee.G7,
          "a client of node "
              + request.node.number
              + " and "
              + volume.name
              + " from before all of its nodes have lost power is served still");
      return;
    }
    switch (request.operation) {
      case READ -> {
        long[] values = request.takeValues();
        for (int i = 0; i < values.length && problem == null; i++) {
          String wrong =
              volume.history.read(
                  request.firstCell() + i, values[i], request.beginNs, nowNs, session.sender);
          if (wrong != null) {
            fail(
                Guarantee.G1,
                "read of "
                    + volume.name
                    + " through node "
                    + request.node.number
                    + " from "
                    + request.beginNs / 1000
                    + " us on: "
                    + wrong);
          }
        }
      }
      case FLUSH -> volume.history.flushed(request.beginNs);
      default -> volume.history.acknowledge(request.change, isDurable, nowNs);
    }
  }

  private void fail(Guarantee guarantee, String what) {
    if (problem == null) {
      problem = new Violation(guarantee, what);
      trace.accept(problem.getMessage());
    }
  }

  /** A read of all of a volume or snapshot as one node has it, outside of all sessions. */
  static final class WholeRead {
    private final ClusterRequest request;
    private long[] values;
    private int status = Status.OK;

    private WholeRead(
        ClusterNode node, ClusterVolume volume, Volume export, long nowNs, NativeMemory memory) {
      int cells = (int) (export.sizeBytes() / CellHistory.CELL_BYTES);
      request =
          new ClusterRequest(
              node,
              volume,
              Operation.READ,
              0,
              cells,
              null,
              nowNs,
              memory,
              (done, result) -> {
                status = result;
                if (result == Status.OK) {
                  values = done.takeValues();
                }
              });
      request.send(export);
    }

    boolean isOver() {
      return request.isDone() || request.isLost();
    }

    int status() {
      return status;
    }

    /** Returns what it has; null when it has failed. */
    long[] values() {
      return values;
    }
  }

  WholeRead readWhole(ClusterNode node, ClusterVolume volume, Volume export) {
    return new WholeRead(node, volume, export, network.nowNs(), memory);
  }
}
