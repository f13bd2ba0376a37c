package io.plinth.tools.simulator;

import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimLogStorage;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.tools.simulator.check.Pattern;

/** A request of the simulator's client, whose payload carries a stamp. */
final class SimRequest extends VolumeRequest {
  static final int SECTOR_BYTES = Pattern.SECTOR_BYTES;

  private final long stamp;
  private SimLogStorage storage;
  private boolean endedAfterFailedSync;
  private boolean done;
  private int status;

  SimRequest(Operation operation, long firstSector, long sectors, long stamp) {
    this.operation = operation;
    this.offset = firstSector * SECTOR_BYTES;
    this.length = sectors * SECTOR_BYTES;
    this.stamp = stamp;
  }

  boolean isDone() {
    return done;
  }

  int status() {
    return status;
  }

  /** Returns whether the answer came after the node was told that a sync had failed. */
  boolean endedAfterFailedSync() {
    return endedAfterFailedSync;
  }

  /** Tells what the node that is asked works on. */
  void askedOf(SimLogStorage nodeStorage) {
    storage = nodeStorage;
  }

  /** Puts the payload of a WRITE into memory, in two ranges. */
  void fill(NativeMemory memory) {
    if (operation != Operation.WRITE) {
      return;
    }
    int sectors = (int) (length / SECTOR_BYTES);
    for (int i = 0; i < sectors; i++) {
      Pattern.fill(memory.address() + (long) i * SECTOR_BYTES, stamp, offset / SECTOR_BYTES + i);
    }
    int half = sectors / 2 * SECTOR_BYTES;
    payload.clear();
    if (half > 0) {
      payload.add(memory.address(), half, null, 0);
    }
    payload.add(memory.address() + half, (int) length - half, null, 0);
  }

  /** Returns the stamps of a completed READ's sectors and ends its loans of memory. */
  long[] takeStamps() {
    long[] stamps = new long[(int) (length / SECTOR_BYTES)];
    int sector = 0;
    for (int i = 0; i < data.count(); i++) {
      for (int at = 0; at < data.length(i); at += SECTOR_BYTES) {
        long address = data.address(i) == 0 ? 0 : data.address(i) + at;
        stamps[sector] = Pattern.stamp(address, offset / SECTOR_BYTES + sector);
        sector++;
      }
    }
    if (sector != stamps.length) {
      throw new IllegalStateException("a read of " + stamps.length + " sectors gave " + sector);
    }
    data.releaseAll();
    return stamps;
  }

  @Override
  protected void onCompleted(int result) {
    if (done) {
      throw new IllegalStateException("a " + operation + " was completed twice");
    }
    done = true;
    status = result;
    endedAfterFailedSync = storage.hasFailedSync();
    if (Status.isError(result) && data.count() > 0) {
      throw new IllegalStateException("a failed " + operation + " has loans");
    }
  }
}
