package io.plinth.engine.core;

import io.plinth.engine.api.Clock;
import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Timers;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jctools.queues.varhandle.MpscVarHandleArrayQueue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The thread of one core and its duty cycle: collect completions, read the clock, run completions,
 * drain the inbox, run the cycle tasks (sealing a batch is one), send replies, fire timers, idle.
 *
 * <p>The order of the last steps matters: replies are sent after the cycle tasks, so that nothing
 * that a batch must hold is told to a client before the batch is sealed.
 */
public final class EngineCore implements Core {
  private static final Logger LOG = LoggerFactory.getLogger(EngineCore.class);
  private static final int INBOX_TASKS = 4096;
  private static final int INBOX_TASKS_PER_CYCLE = 256;
  private static final long MAX_WAIT_NS = TimeUnit.SECONDS.toNanos(1);
  private static final int MAX_CYCLE_TASKS = 64;
  private static final long STALL_NS = TimeUnit.MILLISECONDS.toNanos(10);

  private final int id;
  private final DriverFactory driverFactory;
  private final CoreClock clock = new CoreClock();
  private final TimerQueue timers = new TimerQueue();
  private final MpscVarHandleArrayQueue<Runnable> inbox =
      new MpscVarHandleArrayQueue<>(INBOX_TASKS);
  private final IdleStrategy idle;
  private final CycleTask[] tasks = new CycleTask[MAX_CYCLE_TASKS];
  private final CountDownLatch started = new CountDownLatch(1);
  private final Thread thread;
  private final FailureHandler failureHandler;
  private int taskCount;
  private CycleTask sender = nowNs -> 0;
  private IoDriver driver;
  private Throwable startFailure;
  private volatile boolean sleeping;
  private volatile boolean stopping;
  private volatile boolean terminated;
  private long lastCycleNs;

  // Written by the core's thread only.
  private volatile long longestCycleNs;
  private volatile long stalls;

  /** Told when a core has died of a defect: the process can't keep its promises any more. */
  @FunctionalInterface
  public interface FailureHandler {
    /** Called on the dying core's thread. */
    void onCoreFailure(int coreId, Throwable cause);
  }

  /**
   * Creates a core; {@link #start()} runs it.
   *
   * @param id its number
   * @param spinNs how long an idle core spins at most before it blocks
   * @param driverFactory makes the driver on the core's own thread
   */
  public EngineCore(
      int id, long spinNs, DriverFactory driverFactory, FailureHandler failureHandler) {
    this.id = id;
    this.driverFactory = driverFactory;
    this.failureHandler = failureHandler;
    this.idle = new IdleStrategy(spinNs);
    this.thread = new Thread(this::run, "plinth-core-" + id);
    this.thread.setDaemon(true);
  }

  /**
   * Starts the thread and waits until its driver works.
   *
   * @throws DriverException when the driver can't be made; the message says why and what to do
   */
  public void start() throws DriverException {
    thread.start();
    try {
      started.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DriverException("interrupted while core " + id + " was starting", e);
    }
    if (startFailure instanceof DriverException e) {
      throw e;
    }
    if (startFailure != null) {
      throw new DriverException(
          "core " + id + " can't start: " + startFailure.getMessage(), startFailure);
    }
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public Clock clock() {
    return clock;
  }

  @Override
  public Timers timers() {
    return timers;
  }

  @Override
  public boolean inCore() {
    return Thread.currentThread() == thread;
  }

  @Override
  public boolean execute(Runnable task) {
    if (terminated || !inbox.offer(task)) {
      return false;
    }
    if (sleeping) {
      driver.wakeup();
    }
    return true;
  }

  @Override
  public void addCycleTask(CycleTask task) {
    if (taskCount == MAX_CYCLE_TASKS) {
      throw new IllegalStateException("more than " + MAX_CYCLE_TASKS + " cycle tasks on a core");
    }
    tasks[taskCount++] = task;
  }

  @Override
  public void removeCycleTask(CycleTask task) {
    for (int i = 0; i < taskCount; i++) {
      if (tasks[i].equals(task)) {
        System.arraycopy(tasks, i + 1, tasks, i, taskCount - i - 1);
        tasks[--taskCount] = null;
        return;
      }
    }
  }

  /** Sets what sends replies at the end of each cycle. On the core's thread. */
  public void setSender(CycleTask sender) {
    this.sender = sender;
  }

  /** Returns the driver; on the core's thread. */
  public IoDriver driver() {
    return driver;
  }

  /**
   * Returns the longest duty cycle so far in nanoseconds, without the time that the core waited for
   * work; for any thread.
   */
  public long longestCycleNs() {
    return longestCycleNs;
  }

  /** Returns how many duty cycles took more than 10 ms; for any thread. */
  public long stalls() {
    return stalls;
  }

  /**
   * Forgets the cycles so far: those of a start, which replays a log, say nothing about service. On
   * the core's thread.
   */
  public void forgetCycles() {
    longestCycleNs = 0;
    stalls = 0;
  }

  /** Asks the core to stop once its driver has nothing in flight, and waits for it. */
  public void stop() throws InterruptedException {
    stopping = true;
    if (driver != null) {
      driver.wakeup();
    }
    thread.join();
  }

  private void run() {
    try {
      driver = driverFactory.create(id);
    } catch (DriverException | RuntimeException e) {
      startFailure = e;
      terminated = true;
      started.countDown();
      return;
    }
    started.countDown();
    try {
      lastCycleNs = clock.nowNs();
      boolean mayBlock = false;
      while (!stopping || driver.inFlight() > 0) {
        mayBlock = !cycle(mayBlock);
      }
      terminated = true;
      driver.close();
    } catch (Throwable e) {
      terminated = true;
      LOG.error("core {} failed", id, e);
      failureHandler.onCoreFailure(id, e);
    }
  }

  /** One duty cycle; returns whether the next one should poll rather than block. */
  private boolean cycle(boolean mayBlock) {
    long waitNs = mayBlock && !stopping ? timers.untilNextNs(clock.nowNs(), MAX_WAIT_NS) : 0;
    if (waitNs > 0) {
      sleeping = true;
      // A producer offers first and looks at the flag second; we do the opposite, so one of us sees
      // the other.
      driver.poll(inbox.isEmpty() ? waitNs : 0);
      sleeping = false;
    } else {
      driver.poll(0);
    }
    clock.update();
    long startNs = clock.nowNs();
    if (waitNs <= 0) {
      noteCycle(startNs - lastCycleNs);
    }
    lastCycleNs = startNs;
    int work = driver.dispatch();
    work += drainInbox();
    for (int i = 0; i < taskCount; i++) {
      work += tasks[i].doWork(startNs);
    }
    work += sender.doWork(startNs);
    work += timers.fire(startNs);
    if (work > 0) {
      idle.onWork();
      return true;
    }
    if (idle.shouldSpin(startNs)) {
      Thread.onSpinWait();
      return true;
    }
    return false;
  }

  private void noteCycle(long lengthNs) {
    if (lengthNs > longestCycleNs) {
      longestCycleNs = lengthNs;
    }
    if (lengthNs > STALL_NS) {
      long before = stalls;
      stalls = before + 1;
    }
  }

  private int drainInbox() {
    int count = 0;
    while (count < INBOX_TASKS_PER_CYCLE) {
      Runnable task = inbox.relaxedPoll();
      if (task == null) {
        break;
      }
      task.run();
      count++;
    }
    return count;
  }
}
