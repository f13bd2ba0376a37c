package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.log.replication.Replica;
import io.plinth.target.volume.LogVolume;
import io.plinth.target.volume.VolumeGroup;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Hands the lead of one volume to another node that has a replica. On the volume's core. */
final class LeadMove implements CycleTask {
  private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(5);
  private static final long AGAIN_NS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Core core;
  private final String name;
  private final VolumeGroup group;
  private final int target;
  private final CompletableFuture<Void> done;
  private final long deadlineNs;
  private long nextNs;

  LeadMove(LogVolume volume, int target, CompletableFuture<Void> done) {
    this.core = volume.core();
    this.name = volume.name();
    this.group = volume.group();
    this.target = target;
    this.done = done;
    this.nextNs = core.clock().nowNs();
    this.deadlineNs = nextNs + PATIENCE_NS;
  }

  @Override
  public int doWork(long nowNs) {
    if (nowNs < nextNs) {
      return 0;
    }
    nextNs = nowNs + AGAIN_NS;
    Replica replica = group.replica();
    if (group.leader() == target) {
      core.removeCycleTask(this);
      boolean _ = done.complete(null);
    } else if (group.isStopped()) {
      core.removeCycleTask(this);
      boolean _ =
          done.completeExceptionally(
              new NodeException(
                  NodeException.Reason.UNAVAILABLE,
                  "the replica of volume " + name + " on this node has stopped: ask another node"));
    } else if (nowNs >= deadlineNs) {
      core.removeCycleTask(this);
      boolean _ =
          done.completeExceptionally(
              new NodeException(
                  NodeException.Reason.UNAVAILABLE,
                  "node "
                      + target
                      + " has not taken the lead of volume "
                      + name
                      + ": it is behind, or can't be reached"));
    } else if (replica.leads()) {
      boolean _ = replica.transferLeadership(target);
    }
    return 1;
  }
}
