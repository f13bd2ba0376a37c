package io.plinth.tools.simulator;

import io.plinth.engine.api.Status;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.Operation;
import io.plinth.tools.simulator.check.Change;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import io.plinth.tools.simulator.check.VolumeModel;
import java.util.ArrayList;
import java.util.List;

/** Sends random requests to the volumes of a node and holds each answer to the volume's model. */
final class SimClient {
  private static final int MAX_CHANGES = 12;
  private static final int MAX_READS = 4;
  private static final int MAX_FLUSHES = 2;
  private static final int HOT_SECTORS = 40 * VolumeModel.SECTORS_PER_BLOCK;

  /**
   * How many requests that free space must still succeed once the log had to begin its reserve.
   * Each takes a block of it, and so may each note of the durable position between them.
   */
  private static final int RESERVED_REQUESTS = 50;

  private final SimRandom random;
  // Some clients hardly ever ask for durability, so that whole segments are not durable.
  private final int fuaOneIn;
  private final List<Flight> flights = new ArrayList<>();
  private SimDisk disk;
  private SimNode node;
  private long nextVersion = 1;
  private long operations;
  private long step;
  private int reservedRequests;

  SimClient(SimRandom random) {
    this.random = random;
    this.fuaOneIn = random.oneIn(3) ? 300 : 8;
  }

  /** Goes on with a node that has just been started. */
  void connect(SimDisk newDisk, SimNode newNode) {
    disk = newDisk;
    node = newNode;
    flights.clear();
    reservedRequests = 0;
  }

  /** Returns how many requests have ended. */
  long operations() {
    return operations;
  }

  void countOperation() {
    operations++;
  }

  boolean isUsing(SimVolume volume) {
    return flights.stream().anyMatch(flight -> flight.volume().equals(volume));
  }

  /** Begins a WRITE, WRITE_ZEROES or TRIM; returns what it is, or null when it is none. */
  String beginChange(SimVolume volume) {
    int sectors = volume.model.sectors();
    int most = random.oneIn(10) ? (random.oneIn(6) ? 1200 : 400) : 24;
    int count = 1 + random.nextInt(Math.min(most, sectors));
    int first = random.nextInt((random.oneIn(2) ? Math.min(HOT_SECTORS, sectors) : sectors));
    if (first + count > sectors) {
      first = sectors - count;
    }
    if (count(Flight.OfChange.class) >= MAX_CHANGES || volume.model.isBusy(first, count)) {
      return null;
    }
    Operation operation =
        switch (random.nextInt(10)) {
          case 0 -> Operation.WRITE_ZEROES;
          case 1 -> Operation.TRIM;
          default -> Operation.WRITE;
        };
    boolean fua = random.oneIn(fuaOneIn);
    boolean noHole = operation == Operation.WRITE_ZEROES && random.oneIn(2);
    long version = nextVersion++;
    Change change =
        volume.model.beginChange(
            kind(operation), first, count, version, fua || volume.policy == FlushPolicy.ALWAYS);
    SimRequest request = new SimRequest(operation, first, count, version);
    request.fua = fua;
    request.noHole = noHole;
    boolean frees = operation != Operation.WRITE && takeReserved();
    flights.add(new Flight.OfChange(volume, request, change, frees && operation == Operation.TRIM));
    node.submit(volume.handle, request);
    return operation
        + " "
        + version
        + " of "
        + count
        + " sectors from "
        + volume.name
        + ":"
        + first
        + (fua ? " with FUA" : "")
        + (noHole ? ", no hole" : "");
  }

  /** Begins a READ of a random range. */
  void beginRead(SimVolume volume) {
    int count = 1 + random.nextInt(64);
    int first = random.nextInt(Math.max(1, volume.model.sectors() - count));
    count = Math.min(count, volume.model.sectors() - first);
    if (count(Flight.OfRead.class) < MAX_READS) {
      beginRead(volume, first, count);
    }
  }

  /** Begins a READ of a range. */
  void beginRead(SimVolume volume, int first, int count) {
    SimRequest request = new SimRequest(Operation.READ, first, count, 0);
    long takenAt = step + (random.oneIn(4) ? random.nextInt(8) : 0);
    flights.add(new Flight.OfRead(volume, request, volume.model.beginRead(first, count), takenAt));
    node.submit(volume.handle, request);
  }

  void beginFlush(SimVolume volume) {
    if (count(Flight.OfFlush.class) >= MAX_FLUSHES) {
      return;
    }
    SimRequest request = new SimRequest(Operation.FLUSH, 0, 0, 0);
    flights.add(new Flight.OfFlush(volume, request, volume.model.beginFlush()));
    node.submit(volume.handle, request);
  }

  /** Looks at the answers that have come. */
  void collect() {
    takeAnswers(++step);
  }

  private void takeAnswers(long now) {
    for (Flight flight : List.copyOf(flights)) {
      if (!flight.request().isDone()
          || (flight instanceof Flight.OfRead read && read.takenAt() > now)) {
        continue;
      }
      flights.remove(flight);
      operations++;
      if (node.storage().hasFailedSync()) {
        flight.volume().model.syncFailed();
      }
      switch (flight) {
        case Flight.OfChange change -> endChange(change);
        case Flight.OfRead read -> endRead(read);
        case Flight.OfFlush flush -> endFlush(flush);
      }
    }
  }

  /** Waits for all answers. */
  void finish() {
    node.await(() -> flights.stream().allMatch(flight -> flight.request().isDone()));
    takeAnswers(Long.MAX_VALUE);
  }

  /**
   * Takes note of a request that frees space; returns whether it must succeed on a full disk: the
   * log has its reserve, or has not used much of it.
   */
  boolean takeReserved() {
    if (node.node().journal(0).hasReserve()) {
      reservedRequests = RESERVED_REQUESTS;
    }
    return reservedRequests-- > 0;
  }

  private void endChange(Flight.OfChange flight) {
    VolumeModel model = flight.volume().model;
    int status = flight.request().status();
    if (status == Status.OK) {
      if (flight.request().operation == Operation.WRITE || flight.request().fua) {
        checkFailStop(flight.request());
      }
      model.acknowledge(flight.change());
      flight.volume().mayVanish &= !flight.change().isDurable();
    } else if (status == Status.EIO && node.storage().hasFailedSync()) {
      model.leaveOpen(flight.change());
    } else if (status == Status.EIO && model.mayFail(flight.change())) {
      model.refuse(flight.change());
    } else if (status == Status.ENOSPC && disk.isFull() && !flight.mustSucceed()) {
      model.refuse(flight.change());
    } else {
      Guarantee broken =
          switch (status) {
            case Status.EIO -> Guarantee.G5;
            case Status.ENOSPC -> Guarantee.G8;
            default -> Guarantee.PROGRESS;
          };
      throw new Violation(
          broken,
          flight.request().operation
              + " failed with "
              + Status.name(status)
              + (disk.isFull() ? " on a full disk" : ""));
    }
  }

  private static void endRead(Flight.OfRead flight) {
    VolumeModel model = flight.volume().model;
    switch (flight.request().status()) {
      case Status.OK -> model.endRead(flight.read(), flight.request().takeStamps());
      case Status.EIO -> model.failRead(flight.read());
      default ->
          throw new Violation(
              Guarantee.PROGRESS, "READ failed with " + Status.name(flight.request().status()));
    }
  }

  private void endFlush(Flight.OfFlush flight) {
    if (flight.request().status() == Status.OK) {
      checkFailStop(flight.request());
      flight.volume().model.endFlush(flight.flush());
      flight.volume().mayVanish = false;
    } else if (!node.storage().hasFailedSync()) {
      throw new Violation(
          Guarantee.PROGRESS, "FLUSH failed with " + Status.name(flight.request().status()));
    }
  }

  private static void checkFailStop(SimRequest request) {
    if (request.endedAfterFailedSync()) {
      throw new Violation(
          Guarantee.FAIL_STOP, request.operation + " was acknowledged after a failed sync");
    }
  }

  private static Change.Kind kind(Operation operation) {
    return switch (operation) {
      case WRITE -> Change.Kind.WRITE;
      case TRIM -> Change.Kind.TRIM;
      default -> Change.Kind.ZERO;
    };
  }

  private long count(Class<? extends Flight> kind) {
    return flights.stream().filter(kind::isInstance).count();
  }
}
