package io.plinth.tools.simulator;

import io.plinth.tools.simulator.check.Digest;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** Runs many seeds, each on one thread, several at a time. */
final class SeedRunner {
  /** No more seeds are begun once so many have failed: their reports would hide the first. */
  private static final int MAX_FAILURES = 10;

  private final Job job;
  private final LongAdder stepCount = new LongAdder();
  private final AtomicLong nextSeed = new AtomicLong();
  private final TreeMap<String, Long> faults = new TreeMap<>();
  private final Map<String, Long> figures = new LinkedHashMap<>();
  private final TreeMap<Long, Throwable> failures = new TreeMap<>();
  private long lastSeed;
  private long finished;
  private long operations;
  private long digestSum;

  /** Told of what happens; never by two threads at once. */
  interface Listener {
    /** A seed has failed. */
    void onFailure(long seed, Throwable failure);

    /** Some time has passed. */
    void onProgress();
  }

  /** What is done with each seed. */
  interface Job {
    /** Runs a seed; counts its steps as they are done. */
    SeedResult run(long seed, LongAdder stepCount);
  }

  SeedRunner(Job job) {
    this.job = job;
  }

  /** Runs all seeds of a range; tells of progress every so often. */
  void run(SeedRange seeds, int threadCount, long progressMs, Listener listener)
      throws InterruptedException {
    nextSeed.set(seeds.first());
    lastSeed = seeds.last();
    int count = (int) Math.min(threadCount, seeds.count());
    CountDownLatch running = new CountDownLatch(count);
    for (int i = 0; i < count; i++) {
      Thread.ofPlatform()
          .name("simulate-" + i)
          .daemon()
          .start(() -> {
            try {
              runSeeds(listener);
            } finally {
              running.countDown();
            }
          });
    }
    while (!running.await(progressMs, TimeUnit.MILLISECONDS)) {
      synchronized (this) {
        listener.onProgress();
      }
    }
  }

  /** Returns how many steps were done in all, in seeds that have not ended too. */
  long steps() {
    return stepCount.sum();
  }

  /** Returns how many seeds have ended. */
  synchronized long finished() {
    return finished;
  }

  /** Returns how many requests were answered in all. */
  synchronized long operations() {
    return operations;
  }

  /** Returns the failures by seed. */
  synchronized Map<Long, Throwable> failures() {
    return new TreeMap<>(failures);
  }

  /** Returns whether seeds were left out because too many have failed. */
  synchronized boolean gaveUp() {
    return failures.size() >= MAX_FAILURES && nextSeed.get() <= lastSeed;
  }

  /** Returns a digest of all seeds, in whatever order they ended. */
  synchronized long digest() {
    return digestSum;
  }

  /** Returns how often each fault happened in seeds that did not fail. */
  synchronized Map<String, Long> faults() {
    return new TreeMap<>(faults);
  }

  /** Returns what else was counted in seeds that did not fail. */
  synchronized Map<String, Long> figures() {
    return new LinkedHashMap<>(figures);
  }

  private void runSeeds(Listener listener) {
    while (true) {
      long seed = takeSeed();
      if (seed > lastSeed) {
        return;
      }
      SeedResult result = null;
      Throwable failure = null;
      try {
        result = job.run(seed, stepCount);
      } catch (RuntimeException | Error e) {
        failure = e;
      }
      end(seed, result, failure, listener);
    }
  }

  private synchronized long takeSeed() {
    return failures.size() >= MAX_FAILURES ? Long.MAX_VALUE : nextSeed.getAndIncrement();
  }

  private synchronized void end(
      long seed, SeedResult result, Throwable failure, Listener listener) {
    finished++;
    if (failure == null) {
      operations += result.operations();
      result.faults().forEach((fault, count) -> faults.merge(fault, count, Long::sum));
      result.figures().forEach((figure, count) -> figures.merge(figure, count, Long::sum));
      Digest digest = new Digest();
      digest.accept(seed);
      digest.accept(result.digest());
      digestSum += digest.value();
    } else {
      failures.put(seed, failure);
      listener.onFailure(seed, failure);
    }
  }
}
