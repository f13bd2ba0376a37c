package io.plinth.log.journal.planted;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.ReentrantLock;

/** Planted: everything that would leave the core's thread, or stop it. */
public final class StartsThreads {
  Thread thread() {
    return new Thread(() -> {});
  }

  ExecutorService executor() {
    return Executors.newCachedThreadPool();
  }

  ReentrantLock lock() {
    return new ReentrantLock();
  }

  Object wait(CompletableFuture<Object> future) {
    return future.join();
  }
}
