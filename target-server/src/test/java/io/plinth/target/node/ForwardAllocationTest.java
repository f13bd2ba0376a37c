package io.plinth.target.node;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.plinth.engine.api.Connector;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.target.cluster.ClusterMap;
import io.plinth.target.forward.ForwardClient;
import io.plinth.target.forward.ForwardIdentity;
import io.plinth.target.forward.ForwardServer;
import io.plinth.target.forward.ForwardedVolume;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.target.volume.VolumeSettings;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What requests allocate on their way to another node and back, on both sides together. The
 * simulated core allocates in each cycle, which is subtracted, and the simulated disk now and then:
 * what each request allocates is there in every round, so the best one counts.
 */
@Timeout(120)
class ForwardAllocationTest {
  private static final int SEGMENT_BYTES = 32 << 20;
  private static final int SEGMENTS = 16;
  private static final long VOLUME_BYTES = 16 << 20;
  private static final int BATCH = 256;
  private static final int WARM_UP = 200;
  private static final int ROUNDS = 20;
  private static final int BATCHES = 5;
  private static final UUID CLUSTER = new UUID(5, 6);

  private final SimRandom random = new SimRandom(1);
  private final SimCore core = new SimCore(0, 0);
  private final SimDisk disk = new SimDisk(SEGMENT_BYTES, SEGMENTS);
  private final NodeLog log =
      new NodeLog(new LogResources("log", core, new SimLogStorage(disk, core, random)), Set.of());
  private final LoopConnection near = new LoopConnection(core);
  private final LoopConnection far = new LoopConnection(core);
  private final ForwardServer server =
      new ForwardServer(core, new ForwardIdentity(CLUSTER, 1, 0, 1), log.store()::volume);
  private final ForwardClient client =
      new ForwardClient(
          core, new ForwardIdentity(CLUSTER, 2, 0, 1), this::dial, random::nextLong, Set.of());
  private final Request[] requests = new Request[BATCH];
  private final NativeMemory memory = NativeMemory.reserve(Volume.BLOCK_BYTES);
  private Connector dialled;
  private LogVolume volume;
  private ForwardedVolume facade;
  private int ended;
  private int cycles;
  private long next;

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

  private final class Request extends VolumeRequest {
    @Override
    protected void onCompleted(int status) {
      if (status != Status.OK) {
        throw new IllegalStateException(Status.name(status));
      }
      data.releaseAll();
      ended++;
    }
  }

  private boolean dial(String address, Connector connector) {
    dialled = connector;
    return true;
  }

  @BeforeEach
  void start() throws Exception {
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
    CompletableFuture<Void> opened = log.open(settings, random, null, new LoneContent());
    while (!opened.isDone()) {
      core.cycle(10_000);
    }
    log.store().create(1, "v", VOLUME_BYTES, FlushPolicy.FLUSH, null, (v, status) -> volume = v);
    while (volume == null) {
      core.cycle(10_000);
    }
    server.start();
    client.start();
    client.addPeer(1, "far");
    facade = client.add(1, new Facts(), List.of(1));
    for (int i = 0; i < BATCH; i++) {
      requests[i] = new Request();
    }
    facade.awaitReady(() -> {});
    while (dialled == null) {
      core.cycle(10_000);
    }
    far.handler = server.accept(far);
    near.handler = dialled.onConnected(near);
  }

  @AfterEach
  void free() {
    client.stop();
    server.stop();
    near.end();
    far.end();
    client.free();
    server.free();
    log.free();
    memory.close();
    disk.close();
  }

  private void cycle() {
    cycles++;
    near.deliverTo(far);
    core.cycle(10_000);
    far.deliverTo(near);
  }

  private void run(Operation operation, int cycles) {
    for (int i = 0; i < cycles; i++) {
      int goal = ended + BATCH;
      for (Request request : requests) {
        request.operation = operation;
        request.offset = next;
        request.length = Volume.BLOCK_BYTES;
        request.payload.clear();
        if (operation == Operation.WRITE) {
          request.payload.add(memory.address(), Volume.BLOCK_BYTES, null, 0);
        }
        if (!facade.submit(request)) {
          throw new IllegalStateException("refused");
        }
        next = (next + Volume.BLOCK_BYTES) % VOLUME_BYTES;
      }
      while (ended < goal) {
        cycle();
      }
    }
  }

  private static long allocated() {
    return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
  }

  @Test
  void aForwardedRequestAllocatesAtMostOneByte() {
    connect();
    for (Operation operation : List.of(Operation.WRITE, Operation.READ)) {
      run(operation, WARM_UP);
      double perCycle = perIdleCycle();
      double best = Double.MAX_VALUE;
      for (int round = 0; round < ROUNDS; round++) {
        int cyclesBefore = cycles;
        long before = allocated();
        run(operation, BATCHES);
        long bytes = allocated() - before;
        best = Math.min(best, bytes - perCycle * (cycles - cyclesBefore));
      }
      double each = best / BATCHES / BATCH;
      System.out.printf("%s: %.2f bytes for each request%n", operation, each);
      assertThat(each).as("%s", operation).isLessThanOrEqualTo(1);
    }
  }

  private double perIdleCycle() {
    long least = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS; round++) {
      long before = allocated();
      for (int i = 0; i < 100; i++) {
        cycle();
      }
      least = Math.min(least, allocated() - before);
    }
    return least / 100.0;
  }

  private void connect() {
    Request request = requests[0];
    request.operation = Operation.FLUSH;
    while (!facade.submit(request)) {
      cycle();
    }
    while (ended == 0) {
      cycle();
    }
  }
}
