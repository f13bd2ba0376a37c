package io.plinth.tools.simulator.cluster;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.tools.simulator.check.CellHistory;
import io.plinth.tools.simulator.check.Guarantee;
import io.plinth.tools.simulator.check.Violation;
import org.agrona.UnsafeApi;

/** A request of a simulated client to one node, in whole cells of {@link CellHistory}. */
final class ClusterRequest extends VolumeRequest {
  /** Told how a request has ended. */
  interface Listener {
    void onEnd(ClusterRequest request, int status);
  }

  final ClusterNode node;
  final ClusterVolume volume;
  final long beginNs;
  final CellHistory.Change change;
  private final int life;
  private final NativeMemory memory;
  private final Listener listener;
  private boolean done;

  /** What it came on; null for one that nobody disconnects. */
  ClusterSession session;

  ClusterRequest(
      ClusterNode node,
      ClusterVolume volume,
      Operation operation,
      int firstCell,
      int cells,
      CellHistory.Change change,
      long beginNs,
      NativeMemory memory,
      Listener listener) {
    this.node = node;
    this.life = node.life();
    this.volume = volume;
    this.operation = operation;
    this.offset = (long) firstCell * CellHistory.CELL_BYTES;
    this.length = (long) cells * CellHistory.CELL_BYTES;
    this.change = change;
    this.beginNs = beginNs;
    this.memory = memory;
    this.listener = listener;
  }

  int firstCell() {
    return (int) (offset / CellHistory.CELL_BYTES);
  }

  int cells() {
    return (int) (length / CellHistory.CELL_BYTES);
  }

  boolean isDone() {
    return done;
  }

  /** Returns whether who was asked is gone: what was asked for may have its effect all the same. */
  boolean isLost() {
    return !node.isUp() || node.life() != life;
  }

  /** Returns whether its effect is durable when it is acknowledged. */
  boolean isDurable() {
    return fua || volume.isAlwaysDurable();
  }

  /** Lies at the core before the core looks at its clock, as what has come over a network does. */
  void send(Volume export) {
    if (session == null) {
      boolean _ = export.core().execute(() -> submitTo(export));
    } else {
      session.onSent();
      boolean _ = export.core().execute(() -> session.whenAdmitted(() -> submitTo(export)));
    }
  }

  @Override
  public boolean isAbandoned() {
    return session != null && session.isOver();
  }

  /** Submits until it is accepted. */
  private void submitTo(Volume export) {
    if (session != null && session.isOver()) {
      done = true;
      return;
    }
    if (operation == Operation.WRITE) {
      for (int i = 0; i < cells(); i++) {
        long cell = memory.address() + (long) i * CellHistory.CELL_BYTES;
        UnsafeApi.putLong(cell, change.value());
        UnsafeApi.putLong(cell + Long.BYTES, firstCell() + (long) i);
      }
      payload.clear();
      payload.add(memory.address(), (int) length, null, 0);
    }
    if (!export.submit(this)) {
      export.awaitReady(() -> submitTo(export));
    } else if (session != null) {
      session.onTaken();
    }
  }

  /** Returns the values of the cells that were read, and ends the loans. */
  long[] takeValues() {
    long[] values = new long[cells()];
    int cell = 0;
    for (int i = 0; i < data.count(); i++) {
      for (int at = 0; at < data.length(i); at += CellHistory.CELL_BYTES) {
        long address = data.address(i) == 0 ? 0 : data.address(i) + at;
        values[cell] = address == 0 ? 0 : UnsafeApi.getLong(address);
        long where = address == 0 ? 0 : UnsafeApi.getLong(address + Long.BYTES);
        if (values[cell] != 0 && where != firstCell() + cell) {
          throw new Violation(
              Guarantee.G5, "cell " + (firstCell() + cell) + " has the content of cell " + where);
        }
        cell++;
      }
    }
    data.releaseAll();
    return values;
  }

  @Override
  protected void onCompleted(int status) {
    if (done) {
      throw new IllegalStateException("a " + operation + " was completed twice");
    }
    done = true;
    listener.onEnd(this, status);
  }
}
