package io.plinth.engine.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.sim.MemoryDriver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a core tells about its own duty cycles. */
class EngineCoreTest {
  private static final long LONG_NS = TimeUnit.MILLISECONDS.toNanos(15);

  private final EngineCore core =
      new EngineCore(
          0,
          0,
          id -> new MemoryDriver(new MemoryDriver.Machine(), 4),
          (id, cause) -> {
            throw new IllegalStateException(cause);
          });

  @BeforeEach
  void start() throws DriverException {
    core.start();
  }

  @AfterEach
  void stop() throws InterruptedException {
    core.stop();
  }

  @Test
  void aDutyCycleOfMoreThanTenMillisecondsIsAStall() {
    execute(EngineCoreTest::workForLong);
    awaitLongCycle();
    execute(() -> assertThat(core.stalls()).isPositive());
  }

  @Test
  void stallsAreForgottenWhenToldSo() {
    execute(EngineCoreTest::workForLong);
    awaitLongCycle();
    execute(() -> {
      core.forgetCycles();
      assertThat(core.stalls()).isZero();
      assertThat(core.longestCycleNs()).isZero();
    });
  }

  /** Runs on the core's thread; returns, or throws what it threw, when it has ended. */
  private void execute(Runnable work) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    boolean accepted =
        core.execute(() -> {
          try {
            work.run();
            done.complete(null);
          } catch (Throwable e) {
            done.completeExceptionally(e);
          }
        });
    assertThat(accepted).isTrue();
    done.join();
  }

  private static void workForLong() {
    long startNs = System.nanoTime();
    while (System.nanoTime() - startNs < LONG_NS) {
      Thread.onSpinWait();
    }
  }

  /** A cycle is counted when the next one begins. */
  private void awaitLongCycle() {
    while (core.longestCycleNs() < LONG_NS) {
      Thread.onSpinWait();
    }
  }
}
