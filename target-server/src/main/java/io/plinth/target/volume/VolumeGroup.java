package io.plinth.target.volume;

import io.plinth.engine.api.Status;
import io.plinth.log.journal.PlantedBug;
import io.plinth.log.replication.RecoveredGroup;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.ReplicaListener;
import io.plinth.log.replication.ReplicaStart;
import io.plinth.log.replication.Replicator;

/**
 * The replica of a volume, and the writing requests that are on their way through it.
 *
 * <p>Three stages: begun in the journal's open batch (queue {@code begun}); committed, which
 * applies it to the index (same queue, from its head); and, where durability is asked for, durable
 * (queue {@code undurable}). A request that is not committed holds up nothing of other volumes.
 */
public final class VolumeGroup implements ReplicaListener {
  private final VolumeStore store;
  private final LogVolume volume;
  private final int id;
  private final RequestQueue begun = new RequestQueue();
  private final RequestQueue undurable = new RequestQueue();
  private final boolean acksBeforeAppend;
  private final boolean acksFuaEarly;
  private Replica replica;

  /** The newest command that changes more than blocks here, or takes this volume's content. */
  private VolumeRequest command;

  VolumeGroup(VolumeStore store, LogVolume volume, int id) {
    this.store = store;
    this.volume = volume;
    this.id = id;
    this.acksBeforeAppend = store.isPlanted(PlantedBug.ACK_BEFORE_APPEND);
    this.acksFuaEarly = store.isPlanted(PlantedBug.ACK_FUA_EARLY);
  }

  /** Returns the number of the group, unique on this node. */
  public int id() {
    return id;
  }

  void start(Replicator replicator, RecoveredGroup recovered, boolean clean) {
    replica = replicator.add(id, ReplicaStart.of(recovered, clean), this);
  }

  /** Leaves the group: who waits is told that the volume is gone. */
  void leave(Replicator replicator) {
    replicator.remove(replica);
    fail(Status.ESHUTDOWN);
  }

  /**
   * Proposes a record: see {@link Replica#propose}. Of the journal's refusals {@link
   * VolumeStore#journal} tells which, all others end with a commit or a change of the role.
   */
  long propose(int type, int flags, long firstBlock, int count) {
    return replica.propose(type, flags, firstBlock, count);
  }

  /** Returns what would be refused: see {@link Replica#refusal}. */
  long refusal(int entries) {
    return replica.refusal(entries);
  }

  boolean isStopped() {
    return replica.isStopped();
  }

  /** Queues a request whose records have been begun, the last of them with that index. */
  void addBegun(VolumeRequest request, long index) {
    request.groupIndex = index;
    request.applied = false;
    begun.add(request);
    if (acksBeforeAppend && !request.fua && volume.flushPolicy() == FlushPolicy.FLUSH) {
      store.complete(request, Status.OK);
    }
  }

  /** Returns whether a begun request that is not yet applied touches any of these blocks. */
  boolean isBegun(long firstBlock, long lastBlock) {
    for (VolumeRequest request = begun.peek(); request != null; request = request.next) {
      if (request.offset / Volume.BLOCK_BYTES <= lastBlock
          && (request.offset + request.length - 1) / Volume.BLOCK_BYTES >= firstBlock) {
        return true;
      }
    }
    return false;
  }

  /** Lets what follows wait until a command is applied. */
  void holdFor(VolumeRequest newest) {
    command = newest;
  }

  /** Returns whether requests that write have to wait for a command. */
  boolean isHeld() {
    return command != null && !command.applied;
  }

  /**
   * Completes a request once all that was acknowledged before it is durable, and with that all
   * batches of this log up to now: a position that was told before a flush names no other batch
   * after it.
   */
  void flush(VolumeRequest request) {
    awaitDurable(request, replica.committedIndex(), store.journal().sealedSequence());
  }

  private void awaitDurable(VolumeRequest request, long index, long position) {
    request.awaitedPosition = position;
    if (replica.isStopped()) {
      store.complete(request, Status.EIO);
    } else if (replica.flush(index)) {
      store.completeDurable(request);
    } else {
      request.awaitedIndex = index;
      undurable.add(request);
    }
  }

  private void fail(int status) {
    while (!begun.isEmpty()) {
      VolumeRequest request = begun.poll();
      request.applied = true;
      if (!acksBeforeAppend) {
        store.complete(request, status);
      }
    }
    while (!undurable.isEmpty()) {
      store.complete(undurable.poll(), status);
    }
    store.noteProgress();
  }

  @Override
  public void onCommitted(Replica source, long from, long to) {
    while (!begun.isEmpty() && begun.peek().groupIndex <= to) {
      VolumeRequest request = begun.poll();
      volume.apply(request);
      request.applied = true;
      if ((request.fua || volume.flushPolicy() == FlushPolicy.ALWAYS) && !acksFuaEarly) {
        awaitDurable(request, request.groupIndex, 0);
      } else if (!acksBeforeAppend) {
        store.complete(request, Status.OK);
      }
    }
    source.applied(to);
    store.noteProgress();
  }

  @Override
  public void onFlushed(Replica source, long index) {
    while (!undurable.isEmpty() && undurable.peek().awaitedIndex <= index) {
      store.completeDurable(undurable.poll());
    }
  }

  @Override
  public void onRole(Replica source, boolean leads, long term, int leader) {
    if (!leads) {
      // Whether they will be committed is not for us to say.
      fail(Status.EIO);
    }
    store.noteProgress();
  }

  @Override
  public void onReadGranted(Replica source, long readId, long index) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onReadRefused(Replica source, long readId) {
    throw new IllegalStateException("no read was asked for");
  }

  @Override
  public void onCommittedLost(Replica source, long index) {
    volume.disconnect();
  }

  @Override
  public void onEpochRaised(Replica source, long epoch) {
    volume.disconnect();
  }

  @Override
  public void onResyncNeeded(Replica source, int node) {
    // There are no other members yet.
  }

  @Override
  public void onStopped(Replica source, String why) {
    fail(Status.EIO);
  }
}
