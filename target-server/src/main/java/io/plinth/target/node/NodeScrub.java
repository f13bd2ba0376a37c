package io.plinth.target.node;

import io.plinth.target.volume.DamageReport;
import io.plinth.target.volume.DamageReport.Damage;
import io.plinth.target.volume.Mends;
import io.plinth.target.volume.Scrubber;
import io.plinth.target.volume.VolumeStore;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;

/** The scrubs of a node's logs, asked for together; any thread. */
public final class NodeScrub {
  private final List<NodeLog> logs;

  /**
   * How it stands with one log.
   *
   * @param damage what was found and is still there, the first of it
   * @param mended what was mended from other nodes since the start, the newest of it
   * @param mendedBlocks how many blocks these are
   */
  public record LogScrub(
      Scrubber.Progress progress,
      List<Damage> damage,
      List<Mends.Mended> mended,
      long mendedBlocks) {}

  NodeScrub(List<NodeLog> logs) {
    this.logs = logs;
  }

  /**
   * Begins a pass over every log that has none at work.
   *
   * @return fails with a {@link NodeException} when a log can't be scrubbed
   */
  public CompletableFuture<Void> start() {
    return onEach(
            (NodeLog log, CompletableFuture<Void> result) -> {
              if (log.store().scrubber().start()) {
                result.complete(null);
              } else {
                result.completeExceptionally(
                    new NodeException(
                        NodeException.Reason.UNAVAILABLE,
                        log.store().scrubber().progress().settings().bytesPerSecond() == 0
                            ? "scrubs are switched off: log.scrub-rate is 0"
                            : "the log has failed"));
              }
            })
        .thenApply(all -> null);
  }

  /** Ends the passes at work before their time. */
  public CompletableFuture<Void> stop() {
    return onEach(
            (NodeLog log, CompletableFuture<Void> result) -> {
              log.store().scrubber().stop();
              result.complete(null);
            })
        .thenApply(all -> null);
  }

  /** Tells how it stands with each log, log 0 first. */
  public CompletableFuture<List<LogScrub>> status() {
    return onEach((NodeLog log, CompletableFuture<LogScrub> result) -> {
      VolumeStore store = log.store();
      log.run(
          new DamageReport(
              store,
              damage ->
                  result.complete(
                      new LogScrub(
                          store.scrubber().progress(),
                          damage,
                          store.mends().mended(),
                          store.mends().mendedBlocks()))));
    });
  }

  private <T> CompletableFuture<List<T>> onEach(BiConsumer<NodeLog, CompletableFuture<T>> work) {
    CompletableFuture<List<T>> all = CompletableFuture.completedFuture(new ArrayList<>());
    for (NodeLog log : logs) {
      CompletableFuture<T> one = new CompletableFuture<>();
      if (!log.core().execute(() -> work.accept(log, one))) {
        one.completeExceptionally(NodeException.unavailable());
      }
      all =
          all.thenCombine(
              one,
              (list, value) -> {
                list.add(value);
                return list;
              });
    }
    return all;
  }
}
