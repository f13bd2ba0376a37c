package io.plinth.engine.uring;

import io.netty.channel.IoEvent;
import io.netty.channel.IoRegistration;
import io.netty.channel.ManualIoEventLoop;
import io.netty.channel.uring.IoUring;
import io.netty.channel.uring.IoUringIoEvent;
import io.netty.channel.uring.IoUringIoHandle;
import io.netty.channel.uring.IoUringIoHandler;
import io.netty.channel.uring.IoUringIoHandlerConfig;
import io.netty.channel.uring.IoUringIoOps;
import io.netty.util.concurrent.Future;
import io.plinth.engine.api.Completion;
import io.plinth.engine.core.DriverException;
import io.plinth.engine.core.IoDriver;
import io.plinth.engine.memory.Posix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.agrona.collections.Long2LongHashMap;

/**
 * An {@link IoDriver} over Netty's io_uring loop. All operations go through one registration: the
 * slot number is the ring's user data, which keeps Netty on its path without garbage.
 *
 * <p>The completion path only stores results and queues slots; completions are called later, from
 * {@link #dispatch()}, because an exception thrown inside Netty's handler would put the loop to
 * sleep.
 */
public final class UringDriver implements IoDriver, IoUringIoHandle {
  /** Operations in flight at most: what fits the 16-bit user data that costs no garbage. */
  public static final int MAX_SLOTS = 64 * 1024;

  private static final byte OP_FSYNC = 3;
  private static final byte OP_SENDMSG = 9;
  private static final byte OP_ACCEPT = 13;
  private static final byte OP_ASYNC_CANCEL = 14;
  private static final byte OP_CONNECT = 16;
  private static final byte OP_FALLOCATE = 17;
  private static final byte OP_CLOSE = 19;
  private static final byte OP_READ = 22;

  /** IOSQE_ASYNC: a worker of the kernel carries it out. */
  private static final byte SQE_ASYNC = 1 << 4;

  private static final byte OP_WRITE = 23;
  private static final byte OP_SEND = 26;
  private static final byte OP_RECV = 27;
  private static final byte OP_SHUTDOWN = 34;

  private static final int FSYNC_DATASYNC = 1;
  private static final int RWF_DSYNC = 2;
  private static final int SOCK_CLOEXEC = 0x80000;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int MSG_WAITALL = 0x100;
  private static final int SHUT_WR = 1;
  private static final int SHUT_RDWR = 2;
  private static final int FALLOCATE_PUNCH_HOLE_KEEP_SIZE = 3;

  private static final int RING_ENTRIES = 1024;
  private static final int FILE_WORKERS = 4;

  private final ManualIoEventLoop loop;
  private final IoRegistration registration;
  private final Completion[] completions;
  private final long[] contexts;
  private final int[] results;
  private final int[] freeSlots;
  private final int[] completed;

  /** What the ring knows the newest accept or connect of each descriptor by. */
  private final Long2LongHashMap waitTokens = new Long2LongHashMap(0);

  private long lastToken;
  private int freeCount;
  private int completedCount;
  private boolean unregistered;

  /**
   * Creates the ring for the calling thread.
   *
   * @param slots operations in flight at most, up to {@link #MAX_SLOTS}
   * @throws DriverException when the kernel has no io_uring for us; the message says why and what
   *     to do
   */
  public UringDriver(int slots) throws DriverException {
    if (slots <= 0 || slots > MAX_SLOTS) {
      throw new IllegalArgumentException("slots=" + slots);
    }
    requireIoUring();
    completions = new Completion[slots];
    contexts = new long[slots];
    results = new int[slots];
    freeSlots = new int[slots];
    completed = new int[slots];
    for (int i = 0; i < slots; i++) {
      freeSlots[i] = slots - 1 - i;
    }
    freeCount = slots;
    try {
      IoUringIoHandlerConfig config =
          new IoUringIoHandlerConfig()
              .setRingSize(RING_ENTRIES)
              .setCqSize(Math.max(2 * RING_ENTRIES, Integer.highestOneBit(2 * slots - 1)))
              .setMaxBoundedWorker(FILE_WORKERS);
      loop = new ManualIoEventLoop(Thread.currentThread(), IoUringIoHandler.newFactory(config));
      registration = loop.register(this).syncUninterruptibly().getNow();
    } catch (RuntimeException e) {
      throw new DriverException(
          "io_uring refused to start: "
              + rootMessage(e)
              + "; if that is about memory, raise the locked-memory limit (ulimit -l, or LimitMEMLOCK= in the service unit)",
          e);
    }
  }

  /**
   * Checks that this kernel offers io_uring to this process.
   *
   * @throws DriverException when it does not; one line with what to do
   */
  public static void requireIoUring() throws DriverException {
    Path switchFile = Path.of("/proc/sys/kernel/io_uring_disabled");
    String value = "0";
    try {
      if (Files.exists(switchFile)) {
        value = Files.readString(switchFile).trim();
      }
    } catch (IOException e) {
      throw new DriverException("can't read " + switchFile + ": " + e.getMessage(), e);
    }
    if (value.equals("2")) {
      throw new DriverException(
          "io_uring is switched off (kernel.io_uring_disabled=2): run 'sysctl kernel.io_uring_disabled=0'",
          null);
    }
    if (!IoUring.isAvailable()) {
      Throwable cause = IoUring.unavailabilityCause();
      String hint =
          value.equals("1")
              ? "kernel.io_uring_disabled=1 allows it to members of kernel.io_uring_group only"
              : "it needs Linux 5.15 or later, a container profile that allows io_uring_setup, and a sufficient 'ulimit -l'";
      throw new DriverException(
          "io_uring is not available: " + rootMessage(cause) + "; " + hint, cause);
    }
  }

  @Override
  public boolean accept(int descriptor, Completion completion, long context) {
    boolean accepted = submit(OP_ACCEPT, descriptor, 0, 0, 0, SOCK_CLOEXEC, completion, context);
    if (accepted) {
      waitTokens.put(descriptor, lastToken);
    }
    return accepted;
  }

  @Override
  public boolean connect(
      int descriptor, long socketAddress, int length, Completion completion, long context) {
    // For CONNECT the length of the address travels as the offset.
    boolean accepted =
        submit(OP_CONNECT, descriptor, length, socketAddress, 0, 0, completion, context);
    if (accepted) {
      waitTokens.put(descriptor, lastToken);
    }
    return accepted;
  }

  @Override
  public boolean cancel(int descriptor, Completion completion, long context) {
    long token = waitTokens.get(descriptor);
    return submit(OP_ASYNC_CANCEL, -1, 0, token, 0, 0, completion, context);
  }

  @Override
  public boolean receive(
      int descriptor, long address, int length, Completion completion, long context) {
    return submit(OP_RECV, descriptor, 0, address, length, 0, completion, context);
  }

  @Override
  public boolean send(
      int descriptor, long address, int length, Completion completion, long context) {
    return submit(
        OP_SEND, descriptor, 0, address, length, MSG_NOSIGNAL | MSG_WAITALL, completion, context);
  }

  @Override
  public boolean sendMessage(
      int descriptor, long messageAddress, Completion completion, long context) {
    return submit(
        OP_SENDMSG,
        descriptor,
        0,
        messageAddress,
        1,
        MSG_NOSIGNAL | MSG_WAITALL,
        completion,
        context);
  }

  @Override
  public boolean read(
      int descriptor,
      long address,
      int length,
      long position,
      Completion completion,
      long context) {
    return submit(OP_READ, descriptor, position, address, length, 0, completion, context);
  }

  @Override
  public boolean readAside(
      int descriptor,
      long address,
      int length,
      long position,
      Completion completion,
      long context) {
    return submit(
        OP_READ, SQE_ASYNC, descriptor, position, address, length, 0, completion, context);
  }

  @Override
  public boolean write(
      int descriptor,
      long address,
      int length,
      long position,
      boolean durable,
      Completion completion,
      long context) {
    return submit(
        OP_WRITE,
        descriptor,
        position,
        address,
        length,
        durable ? RWF_DSYNC : 0,
        completion,
        context);
  }

  @Override
  public boolean sync(int descriptor, Completion completion, long context) {
    return submit(OP_FSYNC, descriptor, 0, 0, 0, FSYNC_DATASYNC, completion, context);
  }

  @Override
  public boolean syncRange(
      int descriptor, long position, int length, Completion completion, long context) {
    return submit(OP_FSYNC, descriptor, position, 0, length, FSYNC_DATASYNC, completion, context);
  }

  @Override
  public boolean punchHole(
      int descriptor, long position, long length, Completion completion, long context) {
    // For FALLOCATE the mode travels in len and the length in the address field.
    return submit(
        OP_FALLOCATE,
        descriptor,
        position,
        length,
        FALLOCATE_PUNCH_HOLE_KEEP_SIZE,
        0,
        completion,
        context);
  }

  @Override
  public boolean shutdown(int descriptor, Completion completion, long context) {
    return submit(OP_SHUTDOWN, descriptor, 0, 0, SHUT_RDWR, 0, completion, context);
  }

  @Override
  public boolean shutdownOutput(int descriptor, Completion completion, long context) {
    return submit(OP_SHUTDOWN, descriptor, 0, 0, SHUT_WR, 0, completion, context);
  }

  @Override
  public boolean hasEnded(int descriptor) {
    return Posix.hasEnded(descriptor);
  }

  @Override
  public boolean close(int descriptor, Completion completion, long context) {
    return submit(OP_CLOSE, descriptor, 0, 0, 0, 0, completion, context);
  }

  @Override
  public int inFlight() {
    return completions.length - freeCount;
  }

  @Override
  public int poll(long waitNs) {
    if (waitNs > 0 && completedCount == 0) {
      loop.run(waitNs, -1);
    } else {
      loop.runNow(-1);
    }
    return completedCount;
  }

  @Override
  public int dispatch() {
    int count = completedCount;
    for (int i = 0; i < count; i++) {
      int slot = completed[i];
      Completion completion = completions[slot];
      long context = contexts[slot];
      completions[slot] = null;
      freeSlots[freeCount++] = slot;
      completion.onComplete(context, results[slot]);
    }
    completedCount = 0;
    return count;
  }

  @Override
  public void wakeup() {
    loop.wakeup();
  }

  @Override
  public void close() {
    if (inFlight() > 0) {
      throw new IllegalStateException(inFlight() + " operations in flight");
    }
    registration.cancel();
    if (!unregistered) {
      throw new IllegalStateException("registration outlives its operations");
    }
    Future<?> termination = loop.shutdownGracefully(0, 0, TimeUnit.NANOSECONDS);
    while (!termination.isDone()) {
      loop.runNow();
    }
  }

  @Override
  public void registered() {}

  @Override
  public void unregistered() {
    unregistered = true;
  }

  @Override
  public void handle(IoRegistration source, IoEvent event) {
    IoUringIoEvent completion = (IoUringIoEvent) event;
    int slot = (int) completion.userData() & 0xFFFF;
    results[slot] = completion.res();
    completed[completedCount++] = slot;
  }

  private boolean submit(
      byte opcode,
      int descriptor,
      long union1,
      long union2,
      int length,
      int union3,
      Completion completion,
      long context) {
    return submit(
        opcode, (byte) 0, descriptor, union1, union2, length, union3, completion, context);
  }

  private boolean submit(
      byte opcode,
      byte flags,
      int descriptor,
      long union1,
      long union2,
      int length,
      int union3,
      Completion completion,
      long context) {
    if (freeCount == 0) {
      return false;
    }
    int slot = freeSlots[freeCount - 1];
    long token =
        registration.submit(
            new IoUringIoOps(
                opcode,
                flags,
                (short) 0,
                descriptor,
                union1,
                union2,
                length,
                union3,
                (long) (short) slot,
                (short) 0,
                (short) 0,
                0,
                0L));
    if (token == 0) {
      throw new IllegalStateException(
          "the ring dropped an operation: its registration is cancelled");
    }
    lastToken = token;
    freeCount--;
    completions[slot] = completion;
    contexts[slot] = context;
    return true;
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root.getMessage() == null ? root.toString() : root.getMessage();
  }
}
