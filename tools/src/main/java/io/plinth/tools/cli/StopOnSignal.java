package io.plinth.tools.cli;

import java.io.PrintWriter;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntConsumer;

/**
 * Turns SIGTERM and SIGINT into a clean stop with exit code 0. The Java machine's own way ends with
 * 128 + the signal after its shutdown hooks have run, so the hook ends the process itself.
 */
final class StopOnSignal implements Runnable {
  private final Runnable stop;
  private final PrintWriter err;
  private final IntConsumer end;
  private final AtomicBoolean stopping = new AtomicBoolean();
  private final AtomicBoolean disarmed = new AtomicBoolean();

  StopOnSignal(Runnable stop, PrintWriter err) {
    this(stop, err, Processes::halt);
  }

  StopOnSignal(Runnable stop, PrintWriter err, IntConsumer end) {
    this.stop = stop;
    this.err = err;
    this.end = end;
  }

  void install() {
    Runtime.getRuntime().addShutdownHook(new Thread(this, "plinth-stop"));
  }

  /** Lets the process end with whatever exit code it has: the server is gone already. */
  void disarm() {
    disarmed.set(true);
  }

  boolean isStopping() {
    return stopping.get();
  }

  @Override
  public void run() {
    if (disarmed.get()) {
      return;
    }
    stopping.set(true);
    int exitCode = ExitCodes.OK;
    try {
      stop.run();
    } catch (RuntimeException e) {
      err.println("plinth: did not stop cleanly: " + e.getMessage());
      exitCode = ExitCodes.FAILED;
    }
    err.flush();
    end.accept(exitCode);
  }
}
