package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Listener;
import io.plinth.engine.api.Status;
import io.plinth.engine.device.SegmentDirectory;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.net.Engine;
import io.plinth.engine.uring.UringDriver;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardClient;
import io.plinth.target.forward.ForwardIdentity;
import io.plinth.target.forward.ForwardServer;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.forward.PeerPort;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.target.volume.VolumeSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A volume of one real core, used on another one over 127.0.0.1. */
@Timeout(120)
class ForwardOverSocketsTest {
  private static final int SEGMENT_BYTES = 64 << 20;
  private static final int SEGMENTS = 64;
  private static final long VOLUME_BYTES = 64 << 20;
  private static final int GROUP = 1;
  private static final int DEPTH = 32;
  private static final int BLOCK = Volume.BLOCK_BYTES;
  private static final int LARGE = 4 << 20;
  private static final int WARM_UP = 60_000;
  private static final int REQUESTS = 60_000;
  private static final UUID CLUSTER = new UUID(5, 6);

  private final BlockingQueue<String> failures = new LinkedBlockingQueue<>();
  private Engine engine;
  private SegmentDirectory storage;
  private NodeLog log;
  private LogVolume volume;
  private ForwardServer server;
  private ForwardClient client;
  private ForwardedVolume facade;
  private Listener listener;

  @TempDir private Path folder;

  private record Facts() implements ForwardedVolume.Facts {
    @Override
    public String name() {
      return "v";
    }

    @Override
    public long sizeBytes() {
      return VOLUME_BYTES;
    }

    @Override
    public VolumeSettings settings() {
      return VolumeSettings.DEFAULT;
    }
  }

  /** One of those that are with a volume at a time. */
  private static final class Request extends VolumeRequest {
    boolean busy;
    boolean checks;
    long stamp;

    @Override
    protected void onCompleted(int status) {
      busy = false;
      if (status != Status.OK) {
        throw new IllegalStateException(operation + " failed with " + Status.name(status));
      }
      if (operation == Operation.READ) {
        if (checks) {
          check();
        }
        data.releaseAll();
      }
    }

    private void check() {
      long at = offset;
      for (int i = 0; i < data.count(); i++) {
        for (int j = 0; j < data.length(i); j += Long.BYTES) {
          long found = data.address(i) == 0 ? 0 : UnsafeApi.getLong(data.address(i) + j);
          if (found != at + stamp) {
            throw new IllegalStateException("at " + at + " is " + found);
          }
          at += Long.BYTES;
        }
      }
      if (at != offset + length) {
        throw new IllegalStateException("a read of " + length + " has " + (at - offset));
      }
    }
  }

  /** Keeps a number of requests with a volume until enough have ended; on the volume's core. */
  private static final class Load implements CycleTask {
    private final Volume volume;
    private final Operation operation;
    private final int bytes;
    private final long stamp;
    private final Request[] requests;
    private final NativeMemory memory;
    private final CompletableFuture<Long> ended = new CompletableFuture<>();
    private final long beginNs;
    private final Volume.ReadyListener ready = () -> waits = false;
    private boolean waits;
    private long next;
    private int begun;
    private final int count;

    Load(Volume volume, Operation operation, int bytes, int depth, int count, long stamp) {
      this.volume = volume;
      this.operation = operation;
      this.bytes = bytes;
      this.stamp = stamp;
      this.count = count;
      memory = NativeMemory.reserve(Math.max(bytes, BLOCK));
      requests = new Request[depth];
      for (int i = 0; i < depth; i++) {
        requests[i] = new Request();
      }
      beginNs = volume.core().clock().preciseNs();
      volume.core().addCycleTask(this);
    }

    @Override
    public int doWork(long nowNs) {
      int work = 0;
      int busy = 0;
      for (Request request : requests) {
        if (!request.busy && begun < count && !waits) {
          submit(request);
          work++;
        }
        busy += request.busy ? 1 : 0;
      }
      if (begun == count && busy == 0) {
        volume.core().removeCycleTask(this);
        memory.close();
        boolean _ = ended.complete(volume.core().clock().preciseNs() - beginNs);
      }
      return work;
    }

    private void submit(Request request) {
      request.operation = operation;
      request.offset = next;
      request.length = bytes;
      request.checks = stamp != 0;
      request.stamp = stamp;
      request.payload.clear();
      if (operation == Operation.WRITE) {
        if (stamp != 0) {
          for (int j = 0; j < bytes; j += Long.BYTES) {
            UnsafeApi.putLong(memory.address() + j, next + j + stamp);
          }
        }
        request.payload.add(memory.address(), bytes, null, 0);
      }
      request.busy = true;
      if (volume.submit(request)) {
        begun++;
        next = (next + bytes) % VOLUME_BYTES;
      } else {
        request.busy = false;
        waits = true;
        volume.awaitReady(ready);
      }
    }
  }

  @BeforeEach
  void start() throws Exception {
    engine =
        Engine.start(
            2,
            16,
            0,
            (core, cause) -> failures.add("core " + core + ": " + cause),
            core -> new UringDriver(4096));
    Path segments = Files.createDirectory(folder.resolve("log"));
    storage =
        new SegmentDirectory(segments, engine.core(0).driver(), SEGMENT_BYTES, SEGMENTS, 1 << 20);
    log = new NodeLog(new LogResources("log", engine.core(0), storage), Set.of());
    SplittableRandom random = new SplittableRandom(1);
    NodeSettings settings =
        new NodeSettings(
            new UUID(1, 1),
            1 << 30,
            0,
            2,
            0,
            Scrubber.Settings.OFF,
            Optional.empty(),
            ClusterMap.alone(),
            Set.of());
    CompletableFuture<Void> opened =
        engine.callOn(0, () -> log.open(settings, random::nextLong, null, new LoneContent()));
    opened.get(60, TimeUnit.SECONDS);
    CompletableFuture<LogVolume> made = new CompletableFuture<>();
    on(
        0,
        () ->
            log.store()
                .create(
                    GROUP,
                    "v",
                    VOLUME_BYTES,
                    FlushPolicy.FLUSH,
                    null,
                    (v, status) -> made.complete(v)));
    volume = made.get(60, TimeUnit.SECONDS);
    on(0, this::serve);
    on(1, this::forward);
  }

  private void serve() {
    server =
        new ForwardServer(
            engine.core(0), new ForwardIdentity(CLUSTER, 1, 0, 1), log.store()::volume);
    server.start();
    try {
      listener =
          engine.network(0).listen("127.0.0.1:0", new PeerPort(connection -> null, server::accept));
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private void forward() {
    SplittableRandom chance = new SplittableRandom(2);
    client =
        new ForwardClient(
            engine.core(1),
            new ForwardIdentity(CLUSTER, 2, 0, 1),
            engine.network(1),
            chance::nextLong,
            Set.of());
    client.addPeer(1, listener.address());
    client.start();
    facade = client.add(GROUP, new Facts(), List.of(1));
  }

  private void on(int core, Runnable work) throws Exception {
    boolean _ =
        engine.callOn(
            core,
            () -> {
              work.run();
              return true;
            });
  }

  @AfterEach
  void stop() throws Exception {
    on(1, client::stop);
    on(
        0,
        () -> {
          server.stop();
          listener.close();
        });
    for (int i = 0; i < 2; i++) {
      int core = i;
      on(core, () -> engine.network(core).closeAll());
      while (engine.callOn(core, () -> engine.network(core).connectionCount()) > 0) {
        Thread.onSpinWait();
      }
    }
    CompletableFuture<Void> closed = engine.callOn(0, () -> log.close());
    closed.get(60, TimeUnit.SECONDS);
    engine.shutdown();
    client.free();
    server.free();
    log.free();
    storage.close();
    assertThat(failures).isEmpty();
  }

  /** Returns how long it took, in nanoseconds. */
  private long run(Volume target, Operation operation, int bytes, int depth, int count, long stamp)
      throws Exception {
    CompletableFuture<Long> ended =
        engine.callOn(
            target.core().id(),
            () -> new Load(target, operation, bytes, depth, count, stamp).ended);
    return ended.get(100, TimeUnit.SECONDS);
  }

  @Test
  void whatIsWrittenThroughAnyNodeIsReadThroughAnyOther() throws Exception {
    int blocks = (int) (VOLUME_BYTES / BLOCK);
    long _ = run(facade, Operation.WRITE, BLOCK, DEPTH, blocks, 7);
    long _ = run(volume, Operation.READ, BLOCK, DEPTH, blocks, 7);
    long _ = run(facade, Operation.READ, LARGE, 4, 16, 7);
    long _ = run(facade, Operation.WRITE, LARGE, 4, 16, 9);
    long _ = run(facade, Operation.READ, BLOCK, DEPTH, blocks, 9);
    long _ = run(volume, Operation.READ, LARGE, 4, 16, 9);
    long _ = run(facade, Operation.FLUSH, 0, 1, 1, 0);
    assertThat(engine.callOn(1, client::isIdle)).isTrue();
  }

  /** What it costs is told, and depends on the machine; that all of it succeeds is checked. */
  @Test
  void whatForwardingCosts() throws Exception {
    for (Operation operation : List.of(Operation.WRITE, Operation.READ)) {
      long _ = run(facade, operation, BLOCK, DEPTH, WARM_UP, 0);
      long forwardedNs = run(facade, operation, BLOCK, DEPTH, REQUESTS, 0);
      long _ = run(volume, operation, BLOCK, DEPTH, WARM_UP, 0);
      long localNs = run(volume, operation, BLOCK, DEPTH, REQUESTS, 0);
      System.out.printf(
          "%s of 4 KiB, %d at a time: %.1f us each forwarded, %.1f us locally%n",
          operation, DEPTH, forwardedNs / 1e3 / REQUESTS, localNs / 1e3 / REQUESTS);
    }
    assertThat(engine.callOn(1, client::isIdle)).isTrue();
  }
}
