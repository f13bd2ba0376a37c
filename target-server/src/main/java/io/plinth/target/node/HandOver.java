package io.plinth.target.node;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.log.replication.Replica;
import io.plinth.log.replication.Replicator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Hands the lead of the groups of a log to other nodes before this one stops, so that nobody has to
 * wait until it is missed.
 */
final class HandOver implements CycleTask {
  private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(1);

  /** How often those are asked again that could not begin, or were given up. */
  private static final long AGAIN_NS = TimeUnit.MILLISECONDS.toNanos(50);

  private final Core core;
  private final Replicator replicator;
  private final CompletableFuture<Void> done;
  private final long deadlineNs;
  private long nextNs;

  HandOver(Core core, Replicator replicator, CompletableFuture<Void> done) {
    this.core = core;
    this.replicator = replicator;
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
    boolean leads = false;
    for (Replica replica : replicator.replicas()) {
      if (replica.leads() && !replica.isAlone()) {
        leads |= offer(replica);
      }
    }
    if (!leads || nowNs >= deadlineNs) {
      core.removeCycleTask(this);
      boolean _ = done.complete(null);
    }
    return 1;
  }

  /** Returns whether anybody can take it. */
  private boolean offer(Replica replica) {
    boolean any = false;
    for (int node : replica.voters()) {
      if (replicator.isConnected(node)) {
        any = true;
        if (replica.transferLeadership(node)) {
          return true;
        }
      }
    }
    return any;
  }
}
