package io.plinth.engine.sim;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.core.IoDriver;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * An {@link IoDriver} without a kernel: files are arrays, sockets are pipes of bounded capacity
 * between two ends. Operations are tried in the order of submission, in {@link #poll}; so what
 * happens on one thread repeats exactly.
 *
 * <p>Drivers of several cores share a {@link Machine}, which owns the descriptors; its monitor
 * guards everything that is not the driver's own. Descriptors start above those of the kernel, so
 * that one passed to a system call by mistake hits nothing. A socket is over when it is shut down
 * or closed through a driver; close(2) does not reach it.
 */
public final class MemoryDriver implements IoDriver {
  private static final int EBADF = -9;
  private static final int ENOTSOCK = -88;

  private static final int ACCEPT = 0;
  private static final int RECEIVE = 1;
  private static final int SEND = 2;
  private static final int SEND_MESSAGE = 3;
  private static final int READ = 4;
  private static final int WRITE = 5;
  private static final int SYNC = 6;
  private static final int PUNCH_HOLE = 7;
  private static final int SHUTDOWN = 8;
  private static final int CLOSE = 9;
  private static final int CANCEL = 10;
  private static final int SHUTDOWN_OUTPUT = 11;
  private static final int CONNECT = 12;

  /** Result of an attempt after which the operation goes on waiting. */
  private static final int PENDING = Integer.MIN_VALUE;

  private static final int MESSAGE_VECTORS_OFFSET = 16;
  private static final int MESSAGE_VECTOR_COUNT_OFFSET = 24;
  private static final int VECTOR_BYTES = 16;

  private final Machine machine;
  private final Operation[] free;
  private final ArrayDeque<Operation> pending = new ArrayDeque<>();
  private final ArrayDeque<Operation> completed = new ArrayDeque<>();
  private final UnsafeBuffer view = new UnsafeBuffer(0, 0);
  private int freeCount;
  private boolean woken;
  private boolean closed;

  /** One accepted operation. */
  private static final class Operation {
    int kind;
    int descriptor;
    long address;
    long length;
    long position;
    Completion completion;
    long context;
    int done;
    int result;
  }

  /**
   * Creates a driver.
   *
   * @param machine what its descriptors belong to
   * @param slots operations in flight at most
   */
  public MemoryDriver(Machine machine, int slots) {
    this.machine = machine;
    this.free = new Operation[slots];
    for (int i = 0; i < slots; i++) {
      free[i] = new Operation();
    }
    this.freeCount = slots;
  }

  @Override
  public boolean accept(int descriptor, Completion completion, long context) {
    synchronized (machine) {
      machine.listeners.computeIfAbsent(descriptor, key -> new ArrayDeque<>());
    }
    return submit(ACCEPT, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public boolean connect(
      int descriptor, long socketAddress, int length, Completion completion, long context) {
    return submit(CONNECT, descriptor, socketAddress, length, 0, completion, context);
  }

  @Override
  public boolean cancel(int descriptor, Completion completion, long context) {
    return submit(CANCEL, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public boolean receive(
      int descriptor, long address, int length, Completion completion, long context) {
    return submit(RECEIVE, descriptor, address, length, 0, completion, context);
  }

  @Override
  public boolean send(
      int descriptor, long address, int length, Completion completion, long context) {
    return submit(SEND, descriptor, address, length, 0, completion, context);
  }

  @Override
  public boolean sendMessage(
      int descriptor, long messageAddress, Completion completion, long context) {
    return submit(SEND_MESSAGE, descriptor, messageAddress, 0, 0, completion, context);
  }

  @Override
  public boolean read(
      int descriptor,
      long address,
      int length,
      long position,
      Completion completion,
      long context) {
    return submit(READ, descriptor, address, length, position, completion, context);
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
    return submit(WRITE, descriptor, address, length, position, completion, context);
  }

  @Override
  public boolean sync(int descriptor, Completion completion, long context) {
    return submit(SYNC, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public boolean punchHole(
      int descriptor, long position, long length, Completion completion, long context) {
    return submit(PUNCH_HOLE, descriptor, 0, length, position, completion, context);
  }

  @Override
  public boolean shutdown(int descriptor, Completion completion, long context) {
    return submit(SHUTDOWN, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public boolean shutdownOutput(int descriptor, Completion completion, long context) {
    return submit(SHUTDOWN_OUTPUT, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public boolean hasEnded(int descriptor) {
    synchronized (machine) {
      Stream stream = machine.streams.get(descriptor);
      return stream == null || stream.reset || stream.ended();
    }
  }

  @Override
  public boolean close(int descriptor, Completion completion, long context) {
    return submit(CLOSE, descriptor, 0, 0, 0, completion, context);
  }

  @Override
  public int inFlight() {
    return free.length - freeCount;
  }

  @Override
  public int poll(long waitNs) {
    long deadlineNs = System.nanoTime() + Math.max(0, waitNs);
    synchronized (machine) {
      attemptAll();
      while (completed.isEmpty() && !woken) {
        long leftNs = deadlineNs - System.nanoTime();
        if (leftNs <= 0) {
          break;
        }
        try {
          TimeUnit.NANOSECONDS.timedWait(machine, Math.max(leftNs, 1_000_000));
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          break;
        }
        attemptAll();
      }
      woken = false;
    }
    return completed.size();
  }

  @Override
  public int dispatch() {
    int count = completed.size();
    for (int i = 0; i < count; i++) {
      Operation operation = completed.poll();
      Completion completion = operation.completion;
      long context = operation.context;
      int result = operation.result;
      operation.completion = null;
      free[freeCount++] = operation;
      completion.onComplete(context, result);
    }
    return count;
  }

  @Override
  public void wakeup() {
    synchronized (machine) {
      woken = true;
      machine.notifyAll();
    }
  }

  @Override
  public void close() {
    if (inFlight() > 0) {
      throw new IllegalStateException(inFlight() + " operations in flight");
    }
    if (closed) {
      throw new IllegalStateException("driver closed twice");
    }
    closed = true;
  }

  private boolean submit(
      int kind,
      int descriptor,
      long address,
      long length,
      long position,
      Completion completion,
      long context) {
    if (freeCount == 0) {
      return false;
    }
    Operation operation = free[--freeCount];
    operation.kind = kind;
    operation.descriptor = descriptor;
    operation.address = address;
    operation.length = length;
    operation.position = position;
    operation.completion = completion;
    operation.context = context;
    operation.done = 0;
    pending.add(operation);
    return true;
  }

  private void attemptAll() {
    boolean progress = true;
    boolean any = false;
    while (progress) {
      progress = false;
      for (int i = pending.size(); i > 0; i--) {
        Operation operation = pending.poll();
        int before = operation.done;
        operation.result = attempt(operation);
        if (operation.result == PENDING) {
          pending.add(operation);
          progress |= operation.done > before;
        } else {
          completed.add(operation);
          progress = true;
        }
      }
      any |= progress;
    }
    if (any) {
      machine.notifyAll();
    }
  }

  private int attempt(Operation operation) {
    return switch (operation.kind) {
      case ACCEPT -> accept(operation);
      case RECEIVE -> receive(operation);
      case SEND, SEND_MESSAGE -> send(operation);
      case SHUTDOWN -> shutdown(operation.descriptor);
      case SHUTDOWN_OUTPUT -> shutdownOutput(operation.descriptor);
      case CANCEL -> cancel(operation.descriptor);
      case CONNECT -> connect(operation.descriptor);
      case CLOSE -> machine.closeDescriptor(operation.descriptor);
      default -> file(operation);
    };
  }

  private int accept(Operation operation) {
    ArrayDeque<Stream> backlog = machine.listeners.get(operation.descriptor);
    if (backlog == null) {
      return Status.EINVAL;
    }
    Stream stream = backlog.poll();
    return stream == null ? PENDING : machine.register(stream);
  }

  /** Addresses mean nothing here: see {@link Machine#connect()}. */
  private int connect(int descriptor) {
    if (machine.listeners.isEmpty()) {
      return Status.ECONNREFUSED;
    }
    machine.streams.put(descriptor, machine.dial(machine.listeners.lastKey()));
    return Status.OK;
  }

  /** Only an accept can be pending: a connect never waits. */
  private int cancel(int descriptor) {
    for (Operation other : pending) {
      if (other.kind == ACCEPT && other.descriptor == descriptor) {
        pending.remove(other);
        other.result = Status.ECANCELED;
        completed.add(other);
        return Status.OK;
      }
    }
    return Status.ENOENT;
  }

  private int receive(Operation operation) {
    Stream stream = machine.streams.get(operation.descriptor);
    if (stream == null) {
      return EBADF;
    }
    int count = (int) Math.min(operation.length, stream.available());
    if (count > 0) {
      view.wrap(operation.address, count);
      stream.take(view, count);
      return count;
    }
    if (stream.reset) {
      return Status.ECONNRESET;
    }
    return stream.ended() ? 0 : PENDING;
  }

  /** Sends as much as there is room for; the rest waits, as with MSG_WAITALL. */
  private int send(Operation operation) {
    Stream stream = machine.streams.get(operation.descriptor);
    if (stream == null) {
      return EBADF;
    }
    if (!stream.canSend()) {
      return operation.done > 0 ? operation.done : Status.EPIPE;
    }
    boolean all = true;
    if (operation.kind == SEND) {
      all = sendRange(operation, stream, operation.address, operation.length, 0);
    } else {
      view.wrap(operation.address, MESSAGE_VECTOR_COUNT_OFFSET + Long.BYTES);
      long vectors = view.getLong(MESSAGE_VECTORS_OFFSET);
      long count = view.getLong(MESSAGE_VECTOR_COUNT_OFFSET);
      long start = 0;
      for (long i = 0; i < count && all; i++) {
        view.wrap(vectors + i * VECTOR_BYTES, VECTOR_BYTES);
        long length = view.getLong(Long.BYTES);
        all = sendRange(operation, stream, view.getLong(0), length, start);
        start += length;
      }
    }
    return all ? operation.done : PENDING;
  }

  /**
   * Sends what is left of one range.
   *
   * @param start how many bytes of the operation lie before the range
   * @return whether all of it has left
   */
  private boolean sendRange(
      Operation operation, Stream stream, long address, long length, long start) {
    long skip = operation.done - start;
    if (skip >= length) {
      return true;
    }
    int count = (int) Math.min(length - skip, stream.peer.room());
    if (count > 0) {
      UnsafeBuffer range = new UnsafeBuffer(address + skip, count);
      byte[] bytes = new byte[count];
      range.getBytes(0, bytes);
      stream.peer.put(bytes, 0, count);
      operation.done += count;
    }
    return skip + count == length;
  }

  private int shutdown(int descriptor) {
    if (machine.listeners.containsKey(descriptor)) {
      machine.listeners.remove(descriptor);
      return Status.OK;
    }
    Stream stream = machine.streams.get(descriptor);
    if (stream == null) {
      return machine.files.containsKey(descriptor) ? ENOTSOCK : EBADF;
    }
    stream.shutDown = true;
    return Status.OK;
  }

  private int shutdownOutput(int descriptor) {
    Stream stream = machine.streams.get(descriptor);
    if (stream == null) {
      return machine.files.containsKey(descriptor) ? ENOTSOCK : EBADF;
    }
    stream.outputEnded = true;
    return Status.OK;
  }

  private int file(Operation operation) {
    MemoryFile file = machine.files.get(operation.descriptor);
    if (file == null) {
      return machine.streams.containsKey(operation.descriptor) ? Status.EINVAL : EBADF;
    }
    if (operation.position < 0) {
      return Status.EINVAL;
    }
    return switch (operation.kind) {
      case READ -> file.read(operation.address, (int) operation.length, operation.position);
      case WRITE -> file.write(operation.address, (int) operation.length, operation.position);
      case PUNCH_HOLE -> file.punchHole(operation.position, operation.length);
      default -> Status.OK;
    };
  }

  /**
   * The descriptors that drivers and their tests share. All methods may be called on any thread.
   */
  public static final class Machine {
    private static final int FIRST_DESCRIPTOR = 1 << 30;
    private static final int STREAM_BYTES = 64 * 1024;

    private final Map<Integer, MemoryFile> files = new HashMap<>();
    private final Map<Integer, Stream> streams = new HashMap<>();
    private final TreeMap<Integer, ArrayDeque<Stream>> listeners = new TreeMap<>();
    private int nextDescriptor = FIRST_DESCRIPTOR;

    /** Makes a file with the given content; returns its descriptor. */
    public synchronized int openFile(byte[] content) {
      files.put(nextDescriptor, new MemoryFile(content.clone(), false));
      return nextDescriptor++;
    }

    /** Makes a file that can't be written; returns its descriptor. */
    public synchronized int openFileForReading(byte[] content) {
      files.put(nextDescriptor, new MemoryFile(content.clone(), true));
      return nextDescriptor++;
    }

    /** Returns a copy of a file's content. */
    public synchronized byte[] content(int descriptor) {
      return files.get(descriptor).content.clone();
    }

    /** Makes a listening socket; returns its descriptor. */
    public synchronized int listen() {
      listeners.put(nextDescriptor, new ArrayDeque<>());
      return nextDescriptor++;
    }

    /**
     * Connects to the listening socket with the highest descriptor. One of the kernel that was
     * given to {@link MemoryDriver#accept} counts too: it stands for its address only.
     */
    public synchronized Endpoint connect() {
      return connect(listeners.lastKey());
    }

    /** Connects to a listening socket; returns the other end. */
    public synchronized Endpoint connect(int listener) {
      Stream here = dial(listener);
      notifyAll();
      return new Endpoint(this, here);
    }

    /** Makes a socket that is to be connected; returns its descriptor. */
    public synchronized int socket() {
      return nextDescriptor++;
    }

    private Stream dial(int listener) {
      Stream here = new Stream(STREAM_BYTES);
      Stream there = new Stream(STREAM_BYTES);
      here.peer = there;
      there.peer = here;
      listeners.get(listener).add(there);
      return here;
    }

    private int register(Stream stream) {
      streams.put(nextDescriptor, stream);
      return nextDescriptor++;
    }

    private int closeDescriptor(int descriptor) {
      Stream stream = streams.remove(descriptor);
      if (stream != null) {
        stream.shutDown = true;
        return Status.OK;
      }
      return files.remove(descriptor) != null || listeners.remove(descriptor) != null
          ? Status.OK
          : EBADF;
    }
  }

  /** The end of a connection that no driver owns: a client, with calls that wait. */
  public static final class Endpoint {
    private final Machine machine;
    private final Stream stream;

    private Endpoint(Machine machine, Stream stream) {
      this.machine = machine;
      this.stream = stream;
    }

    /**
     * Sends all bytes.
     *
     * @return whether they have left; false when the other end is gone
     */
    public boolean send(byte[] bytes) throws InterruptedException {
      synchronized (machine) {
        int done = 0;
        while (done < bytes.length) {
          if (!stream.canSend()) {
            return false;
          }
          int count = Math.min(bytes.length - done, stream.peer.room());
          if (count == 0) {
            machine.wait();
            continue;
          }
          stream.peer.put(bytes, done, count);
          done += count;
          machine.notifyAll();
        }
        return true;
      }
    }

    /** Receives up to {@code length} bytes, at least one; none at the end of the stream. */
    public byte[] receive(int length) throws InterruptedException {
      synchronized (machine) {
        while (stream.available() == 0 && !stream.ended()) {
          machine.wait();
        }
        byte[] bytes = new byte[Math.min(length, stream.available())];
        stream.take(new UnsafeBuffer(bytes), bytes.length);
        machine.notifyAll();
        return bytes;
      }
    }

    /** Ends the connection in order. */
    public void close() {
      synchronized (machine) {
        stream.shutDown = true;
        machine.notifyAll();
      }
    }

    /** Ends the connection as a crash of the peer does; what it has not read is lost. */
    public void reset() {
      synchronized (machine) {
        stream.shutDown = true;
        stream.peer.reset = true;
        machine.notifyAll();
      }
    }
  }

  /** One end of a connection with the bytes that wait to be received there. */
  private static final class Stream {
    private final byte[] ring;
    private Stream peer;
    private int head;
    private int size;
    private boolean shutDown;
    private boolean outputEnded;
    private boolean reset;

    Stream(int capacity) {
      ring = new byte[capacity];
    }

    int available() {
      return shutDown || reset ? 0 : size;
    }

    int room() {
      return ring.length - size;
    }

    boolean ended() {
      return shutDown || peer.shutDown || peer.outputEnded;
    }

    boolean canSend() {
      return !shutDown && !outputEnded && !reset && !peer.shutDown;
    }

    void put(byte[] bytes, int offset, int count) {
      for (int i = 0; i < count; i++) {
        ring[(head + size + i) % ring.length] = bytes[offset + i];
      }
      size += count;
    }

    void take(UnsafeBuffer into, int count) {
      for (int i = 0; i < count; i++) {
        into.putByte(i, ring[(head + i) % ring.length]);
      }
      head = (head + count) % ring.length;
      size -= count;
    }
  }

  /** The content of a file. */
  private static final class MemoryFile {
    private final boolean readOnly;
    private byte[] content;

    MemoryFile(byte[] content, boolean readOnly) {
      this.content = content;
      this.readOnly = readOnly;
    }

    int read(long address, int length, long position) {
      int count = (int) Math.min(length, Math.max(0, content.length - position));
      new UnsafeBuffer(address, count)
          .putBytes(0, content, (int) (count == 0 ? 0 : position), count);
      return count;
    }

    int write(long address, int length, long position) {
      if (readOnly) {
        return EBADF;
      }
      long end = position + length;
      if (end > Integer.MAX_VALUE - 8) {
        return Status.ENOSPC;
      }
      if (end > content.length) {
        content = Arrays.copyOf(content, (int) end);
      }
      new UnsafeBuffer(address, length).getBytes(0, content, (int) position, length);
      return length;
    }

    int punchHole(long position, long length) {
      if (readOnly) {
        return EBADF;
      }
      if (length <= 0) {
        return Status.EINVAL;
      }
      int from = (int) Math.min(content.length, position);
      Arrays.fill(content, from, (int) Math.min(content.length, position + length), (byte) 0);
      return Status.OK;
    }
  }
}
