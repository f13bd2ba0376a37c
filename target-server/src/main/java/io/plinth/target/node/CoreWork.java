package io.plinth.target.node;

import io.plinth.engine.api.Core;
import java.util.concurrent.CompletableFuture;

/**
 * What is done for a caller on a core.
 *
 * @param <T> what the caller gets
 */
@FunctionalInterface
interface CoreWork<T> {
  /** Begins, and completes the result at some time; what it throws completes it as well. */
  void run(CompletableFuture<T> result) throws NodeException;

  /** Has it done; any thread. */
  static <T> CompletableFuture<T> on(Core core, CoreWork<T> work) {
    CompletableFuture<T> result = new CompletableFuture<>();
    boolean accepted =
        core.execute(() -> {
          try {
            work.run(result);
          } catch (NodeException e) {
            result.completeExceptionally(e);
          }
        });
    if (!accepted) {
      result.completeExceptionally(NodeException.unavailable());
    }
    return result;
  }
}
