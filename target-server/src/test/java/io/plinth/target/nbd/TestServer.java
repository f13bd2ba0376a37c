package io.plinth.target.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.ConnectionHandler;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeDirectory;
import java.util.ArrayList;
import java.util.List;

/** NBD front ends of a few cores over volumes in memory, run by hand on the test's thread. */
final class TestServer implements VolumeDirectory, AutoCloseable {
  static final int CHUNK_BYTES = 256 << 10;

  final List<FakeCore> cores = new ArrayList<>();
  final List<NbdCoreContext> contexts = new ArrayList<>();
  final List<BufferPool> pools = new ArrayList<>();
  final List<MemoryVolume> volumes = new ArrayList<>();
  final List<TestClient> clients = new ArrayList<>();
  final NbdAcceptor acceptor;

  /** How many pieces of output a connection can hold. */
  int connectionEntries = 512;

  /** How the changes of size end that clients ask for, and what is said of it. */
  int resizeStatus = Status.OK;

  String resizeProblem;

  /** Lets them end only when the test says so. */
  boolean holdsResizes;

  private final List<Runnable> heldResizes = new ArrayList<>();

  private long nextSeed = 1;

  /** Two cores, and chunks for two of the largest payloads. */
  TestServer() {
    this(NbdLimits.DEFAULT, 2, 2 * NbdLimits.DEFAULT.maxPayloadBytes() / CHUNK_BYTES);
  }

  TestServer(NbdLimits limits, int coreCount, int chunks) {
    this(limits, NbdTls.NONE, coreCount, chunks);
  }

  TestServer(NbdTls tls) {
    this(NbdLimits.DEFAULT, tls, 2, 2 * NbdLimits.DEFAULT.maxPayloadBytes() / CHUNK_BYTES);
  }

  private TestServer(NbdLimits limits, NbdTls tls, int coreCount, int chunks) {
    for (int i = 0; i < coreCount; i++) {
      FakeCore core = new FakeCore(i);
      BufferPool pool = new BufferPool(CHUNK_BYTES, chunks);
      NbdCoreContext context = new NbdCoreContext(core, limits, pool);
      context.start();
      cores.add(core);
      pools.add(pool);
      contexts.add(context);
    }
    acceptor = new NbdAcceptor(this, limits, tls, contexts);
  }

  MemoryVolume volume(String name, int coreId, int sizeBytes) {
    MemoryVolume volume = new MemoryVolume(name, cores.get(coreId), sizeBytes);
    volumes.add(volume);
    volumes.sort((a, b) -> a.name().compareTo(b.name()));
    return volume;
  }

  /** Connects a client to the listener of core 0; the greeting has been sent. */
  TestClient connect(Split split) {
    Link link = new Link(new Split.Pieces(split, nextSeed++));
    FakeConnection connection = new FakeConnection(link, cores.get(0), connectionEntries);
    ConnectionHandler handler = acceptor.onAccept(connection);
    if (handler == null) {
      link.closed = true;
    } else {
      connection.open(handler);
    }
    TestClient client = new TestClient(this, link);
    clients.add(client);
    run();
    return client;
  }

  /** Turns the duty cycles of all cores until nothing is left to do. */
  void run() {
    for (int i = 0; i < 100_000; i++) {
      int work = 0;
      for (FakeCore core : cores) {
        work += core.cycle();
      }
      if (work == 0) {
        return;
      }
    }
    throw new AssertionError("the server never comes to rest");
  }

  void advance(long ns) {
    cores.forEach(core -> core.advance(ns));
    run();
  }

  int requestsInUse() {
    return contexts.stream().mapToInt(NbdCoreContext::requestsInUse).sum();
  }

  int chunksInUse() {
    return pools.stream().mapToInt(pool -> pool.capacity() - pool.available()).sum();
  }

  /** Nothing may be held once all clients are gone and the volumes have nothing pending. */
  void assertNothingHeld() {
    assertThat(requestsInUse()).as("requests in use").isZero();
    assertThat(chunksInUse()).as("chunks in use").isZero();
    for (MemoryVolume volume : volumes) {
      assertThat(volume.loansOut()).as("loans of " + volume.name()).isZero();
      assertThat(volume.listenerCount()).as("listeners of " + volume.name()).isZero();
      assertThat(volume.attachmentCount()).as("attachments of " + volume.name()).isZero();
    }
    for (NbdCoreContext context : contexts) {
      assertThat(context.sessionCount()).as("sessions").isZero();
      assertThat(context.starvingSessions()).as("starving sessions").isZero();
      assertThat(context.readBytesInFlight()).as("bytes of reads").isZero();
    }
  }

  /** Ends whatever the test left open and looks for leaks. */
  @Override
  public void close() {
    for (TestClient client : clients) {
      client.hangUp();
    }
    run();
    volumes.forEach(MemoryVolume::completeAll);
    endResizes();
    run();
    assertNothingHeld();
    contexts.forEach(NbdCoreContext::close);
    pools.forEach(BufferPool::close);
    volumes.forEach(MemoryVolume::close);
  }

  @Override
  public Volume find(String name) {
    if (name.isEmpty()) {
      return volumes.size() == 1 ? volumes.get(0) : null;
    }
    return volumes.stream().filter(volume -> volume.name().equals(name)).findFirst().orElse(null);
  }

  @Override
  public List<String> snapshots(String volume) {
    return volumes.stream()
        .map(MemoryVolume::name)
        .filter(name -> name.startsWith(volume + "@"))
        .map(name -> name.substring(volume.length() + 1))
        .toList();
  }

  @Override
  public void resize(Volume volume, long sizeBytes, Resized done) {
    assertThat(volume.readOnly()).as("read-only").isFalse();
    Runnable end =
        () -> {
          MemoryVolume changed = (MemoryVolume) volume;
          int status = sizeBytes > changed.capacity() ? Status.ENOSPC : resizeStatus;
          if (status == Status.OK) {
            changed.sizeBytes = sizeBytes;
          }
          done.resized(status, resizeProblem);
        };
    if (holdsResizes) {
      heldResizes.add(end);
    } else {
      end.run();
    }
  }

  void endResizes() {
    heldResizes.forEach(Runnable::run);
    heldResizes.clear();
  }

  @Override
  public List<Volume> list() {
    return List.copyOf(volumes);
  }
}
