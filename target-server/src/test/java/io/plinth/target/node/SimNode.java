package io.plinth.target.node;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimCore;
import io.plinth.engine.sim.SimDisk;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.recovery.RecoveryException;
import io.plinth.target.volume.FlushPolicy;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeRequest;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;

/** A real node on a simulated core and disk, which can be killed and started again. */
final class SimNode {
  static final int SECTOR_BYTES = 512;
  private static final int CYCLE_LIMIT = 200_000;
  private static final long CYCLE_NS = 20_000;

  final SimDisk disk;
  final SimRandom random;
  private UUID bootId = new UUID(1, 1);
  private long residentBytes = 1 << 30;
  SimCore core;
  SimLogStorage storage;
  StorageNode node;

  SimNode(SimDisk disk, SimRandom random) {
    this.disk = disk;
    this.random = random;
  }

  void residentBytes(long bytes) {
    residentBytes = bytes;
  }

  void start() throws RecoveryException {
    core = new SimCore(0);
    storage = new SimLogStorage(disk, core, random);
    node =
        new StorageNode(
            new NodeSettings(bootId, residentBytes, Optional.empty()),
            random,
            List.of(new LogResources("log-0", core, storage)));
    CompletableFuture<Void> open = node.openLog(0);
    await(open::isDone);
    if (open.isCompletedExceptionally()) {
      throw new IllegalStateException("not opened", open.exceptionNow());
    }
    node.publishRecovered();
  }

  LogVolume createVolume(String name, long sizeBytes, FlushPolicy policy)
      throws ExecutionException {
    CompletableFuture<LogVolume> created = node.createVolume(name, sizeBytes, policy);
    await(created::isDone);
    if (created.isCompletedExceptionally()) {
      throw new ExecutionException(created.exceptionNow());
    }
    return created.resultNow();
  }

  /** Stops in order. */
  void close() {
    CompletableFuture<Void> closed = node.closeLog(0);
    await(closed::isDone);
    if (closed.isCompletedExceptionally()) {
      throw new IllegalStateException("not closed", closed.exceptionNow());
    }
    node.free();
  }

  /** The process dies: whatever it had in flight never completes. */
  void kill() {
    node.free();
  }

  /** The machine loses power. */
  void losePower() {
    node.free();
    disk.losePower(random);
    bootId = new UUID(random.nextLong(), random.nextLong());
  }

  void cycle() {
    core.cycle(CYCLE_NS);
  }

  void await(BooleanSupplier condition) {
    for (int i = 0; i < CYCLE_LIMIT; i++) {
      if (condition.getAsBoolean()) {
        return;
      }
      cycle();
    }
    throw new IllegalStateException("stuck: condition not reached in " + CYCLE_LIMIT + " cycles");
  }

  /** Submits until accepted. */
  void submit(LogVolume volume, Request request) {
    await(() -> volume.submit(request));
  }

  int run(LogVolume volume, Request request) {
    submit(volume, request);
    await(() -> request.done);
    return request.status;
  }

  /** A request with memory of its own; payload sectors are filled with a stamp. */
  static final class Request extends VolumeRequest {
    final long stamp;
    private final NativeMemory memory;
    boolean done;
    int status;
    long[] sectors = new long[0];

    Request(Operation operation, long offset, long length, long stamp) {
      this.operation = operation;
      this.offset = offset;
      this.length = length;
      this.stamp = stamp;
      if (operation == Operation.WRITE) {
        memory = NativeMemory.reserve(length);
        for (long at = 0; at < length; at += Long.BYTES) {
          org.agrona.UnsafeApi.putLong(memory.address() + at, stamp);
        }
        long half = length / 2 / SECTOR_BYTES * SECTOR_BYTES;
        if (half > 0) {
          payload.add(memory.address(), (int) half, null, 0);
        }
        payload.add(memory.address() + half, (int) (length - half), null, 0);
      } else {
        memory = null;
      }
    }

    @Override
    protected void onCompleted(int result) {
      if (done) {
        throw new IllegalStateException("completed twice");
      }
      done = true;
      status = result;
      if (operation == Operation.READ && result == Status.OK) {
        takeData();
      }
      if (memory != null) {
        memory.close();
      }
    }

    private void takeData() {
      byte[] bytes = new byte[(int) length];
      int at = 0;
      for (int i = 0; i < data.count(); i++) {
        if (data.address(i) != 0) {
          for (int b = 0; b < data.length(i); b++) {
            bytes[at + b] = org.agrona.UnsafeApi.getByte(data.address(i) + b);
          }
        }
        at += data.length(i);
      }
      if (at != length) {
        throw new IllegalStateException("read of " + length + " bytes gave " + at);
      }
      data.releaseAll();
      sectors = new long[(int) (length / SECTOR_BYTES)];
      var buffer = java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.nativeOrder());
      for (int s = 0; s < sectors.length; s++) {
        sectors[s] = buffer.getLong(s * SECTOR_BYTES);
        for (int b = 0; b < SECTOR_BYTES; b += Long.BYTES) {
          if (buffer.getLong(s * SECTOR_BYTES + b) != sectors[s]) {
            throw new IllegalStateException("sector " + s + " is mixed of several writes");
          }
        }
      }
    }
  }
}
