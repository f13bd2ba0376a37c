package io.plinth.target.node;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import org.agrona.UnsafeApi;

/** A request of a simulated client to one node, at the granularity of {@link CellHistory}. */
final class StoreRequest extends VolumeRequest {
  /** Told how a request has ended. */
  interface Listener {
    void onEnd(StoreRequest request, int status);
  }

  final StoreNode node;
  final int life;
  final int group;
  final long beginNs;
  final CellHistory.Change change;
  private final NativeMemory memory;
  private final Listener listener;
  boolean done;

  /** What it came on; null for one that nobody disconnects. */
  StoreSession session;

  StoreRequest(
      StoreNode node,
      int group,
      Operation operation,
      int firstCell,
      int cells,
      CellHistory.Change change,
      long beginNs,
      NativeMemory memory,
      Listener listener) {
    this.node = node;
    this.life = node.life;
    this.group = group;
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

  /** Lies at the core before the core looks at its clock, as what has come over a network does. */
  void send() {
    boolean _ = node.core.execute(this::submit);
  }

  private void submit() {
    Volume volume = node.export(group);
    if (session == null) {
      submitTo(volume);
    } else {
      session.whenAdmitted(() -> submitTo(volume));
    }
  }

  @Override
  public boolean isAbandoned() {
    return session != null && session.isOver();
  }

  /** Submits until it is accepted. */
  void submitTo(Volume volume) {
    if (session != null && session.isOver()) {
      done = true;
      return;
    }
    if (operation == Operation.WRITE) {
      for (int i = 0; i < (int) (length / CellHistory.CELL_BYTES); i++) {
        long cell = memory.address() + (long) i * CellHistory.CELL_BYTES;
        UnsafeApi.putLong(cell, change.value);
        UnsafeApi.putLong(cell + Long.BYTES, firstCell() + (long) i);
      }
      payload.clear();
      payload.add(memory.address(), (int) length, null, 0);
    }
    if (!volume.submit(this)) {
      volume.awaitReady(() -> submitTo(volume));
    }
  }

  /** Returns the values of the cells that were read, and ends the loans. */
  long[] takeValues() {
    long[] values = new long[(int) (length / CellHistory.CELL_BYTES)];
    int cell = 0;
    for (int i = 0; i < data.count(); i++) {
      for (int at = 0; at < data.length(i); at += CellHistory.CELL_BYTES) {
        long address = data.address(i) == 0 ? 0 : data.address(i) + at;
        values[cell] = address == 0 ? 0 : UnsafeApi.getLong(address);
        long where = address == 0 ? 0 : UnsafeApi.getLong(address + Long.BYTES);
        if (values[cell] != 0 && where != firstCell() + cell) {
          throw new IllegalStateException(
              "cell " + (firstCell() + cell) + " has the content of cell " + where);
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
