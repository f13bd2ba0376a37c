package io.plinth.target.nbd;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Timers;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.memory.NativeMemory;
import java.util.ArrayDeque;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What the NBD sessions of one core share: pre-allocated requests, chunks for large payloads, the
 * list of sessions, and the wake-ups of sessions that waited.
 *
 * <p>A session that can go on is not called from where room appeared but in the context's next turn
 * of the duty cycle: so one session never runs inside another, however many wait.
 */
public final class NbdCoreContext implements CycleTask {
  /** Zeroes to send by reference; never written, so the kernel backs them with its zero page. */
  private static final int ZERO_BYTES = 256 << 10;

  private static final int SHORT_READ_BYTES = 64 << 10;

  /** How often it is checked, while others wait, who holds without progress what they wait for. */
  private static final long STALL_CHECK_NS = 500_000_000L;

  /** So often within the idle timeout it is looked who is idle. */
  private static final int IDLE_CHECKS = 8;

  private final Core core;
  private final NbdLimits limits;
  private final BufferPool chunks;
  private final NativeMemory zeroes;
  private final NbdCounters counters = new NbdCounters();

  private final NbdRequest[] freeRequests;
  private int freeRequestCount;

  /** Free requests promised to sessions that waited and have not yet come for them. */
  private int promisedRequests;

  private final ArrayDeque<Transmission> requestWaiters = new ArrayDeque<>();

  /**
   * Chunks that only the elder may take: as many as the largest payload needs. So one payload can
   * always be completed, however many others are stuck halfway, and they can't block each other.
   */
  private final int reservedChunks;

  /** The session that took or was promised a chunk of the reserve, until its payload has ended. */
  private Transmission chunkElder;

  private final ArrayDeque<Transmission> chunkWaiters = new ArrayDeque<>();

  private final ReadBudget shortReads;
  private final ReadBudget longReads;

  private final ArrayDeque<Transmission> runnable = new ArrayDeque<>();

  /** Sessions of this core, linked through the sessions themselves. */
  private NbdSession firstSession;

  private int sessionCount;

  /** Sessions that wait for what another session may hold. */
  private int starving;

  private boolean stallCheckArmed;
  private final Timers.Task stallCheck = this::onStallCheck;

  private long idleTimer;

  private boolean draining;
  private Runnable whenDrained;

  /** To view memory by its address. */
  final UnsafeBuffer view = new UnsafeBuffer(0, 0);

  /** Where the answer to an option is put together. */
  final UnsafeBuffer replyScratch = new UnsafeBuffer(new byte[OptionReplies.ROOM_BYTES]);

  /**
   * Makes the context of one core; nothing runs before {@link #start}.
   *
   * @param chunks buffers for payloads that don't fit a receive buffer, together at least {@link
   *     NbdLimits#maxPayloadBytes()}; nobody else takes from it
   */
  public NbdCoreContext(Core core, NbdLimits limits, BufferPool chunks) {
    if ((long) chunks.bufferBytes() * chunks.capacity() < limits.maxPayloadBytes()) {
      throw new IllegalArgumentException(
          "the largest payload of "
              + limits.maxPayloadBytes()
              + " bytes does not fit "
              + chunks.capacity()
              + " chunks of "
              + chunks.bufferBytes());
    }
    this.core = core;
    this.limits = limits;
    this.chunks = chunks;
    this.zeroes = NativeMemory.reserve(ZERO_BYTES);
    this.reservedChunks =
        (limits.maxPayloadBytes() + chunks.bufferBytes() - 1) / chunks.bufferBytes();
    this.shortReads = new ReadBudget(this, 0, limits.readBytesPerCore() / 4);
    this.longReads =
        new ReadBudget(this, 1, limits.readBytesPerCore() - limits.readBytesPerCore() / 4);
    this.freeRequests = new NbdRequest[limits.requestsPerCore()];
    for (int i = 0; i < freeRequests.length; i++) {
      freeRequests[i] = new NbdRequest(this);
    }
    this.freeRequestCount = freeRequests.length;
  }

  /** Takes part in the duty cycle from now on; on the core's thread. */
  public void start() {
    core.addCycleTask(this);
    if (limits.idleTimeoutNs() > 0) {
      armIdleCheck(core.clock().nowNs());
    }
  }

  /** Returns the counters, for any thread. */
  public NbdCounters counters() {
    return counters;
  }

  /**
   * Ends all sessions: requests that are in flight are finished, further ones are answered with
   * ESHUTDOWN, and who has nothing in flight is disconnected. On the core's thread, after the
   * listeners were closed.
   *
   * @param whenDone runs on the core's thread once no session and no request is left; clients that
   *     do not take their last replies are cut off after {@link NbdLimits#drainTimeoutNs()}
   */
  public void drain(Runnable whenDone) {
    draining = true;
    whenDrained = whenDone;
    core.timers().schedule(core.clock().nowNs() + limits.drainTimeoutNs(), this::onDrainTimeout);
    NbdSession session = firstSession;
    while (session != null) {
      NbdSession next = session.nextSession;
      session.onDrain();
      session = next;
    }
  }

  /** Leaves the duty cycle and returns the memory; on the core's thread, with no session left. */
  public void close() {
    core.removeCycleTask(this);
    if (limits.idleTimeoutNs() > 0) {
      core.timers().cancel(idleTimer);
    }
    zeroes.close();
  }

  @Override
  public int doWork(long nowNs) {
    int work = 0;
    while (!requestWaiters.isEmpty() && freeRequestCount > promisedRequests) {
      Transmission next = requestWaiters.poll();
      promisedRequests++;
      next.onRequestPromised();
      work++;
    }
    work += grantChunks() + shortReads.grant() + longReads.grant();
    // Sessions that become runnable meanwhile wait for the next cycle: the work is bounded.
    for (int i = runnable.size(); i > 0; i--) {
      Transmission next = runnable.poll();
      if (next != null) {
        next.resume();
        work++;
      }
    }
    if (whenDrained != null && sessionCount == 0 && freeRequestCount == freeRequests.length) {
      Runnable done = whenDrained;
      whenDrained = null;
      done.run();
      work++;
    }
    return work;
  }

  Core core() {
    return core;
  }

  NbdLimits limits() {
    return limits;
  }

  BufferPool chunks() {
    return chunks;
  }

  int chunkBytes() {
    return chunks.bufferBytes();
  }

  long zeroAddress() {
    return zeroes.address();
  }

  int zeroBytes() {
    return ZERO_BYTES;
  }

  boolean isDraining() {
    return draining;
  }

  /** Returns how many requests are not free; for tests and checks at shutdown. */
  int requestsInUse() {
    return freeRequests.length - freeRequestCount;
  }

  int sessionCount() {
    return sessionCount;
  }

  int starvingSessions() {
    return starving;
  }

  // Requests.

  /**
   * Returns how many requests a connection may have in flight now: the fewer are free, the fewer,
   * but always one.
   */
  int requestWindow() {
    return Math.max(1, Math.min(limits.requestsPerConnection(), freeRequestCount / 4));
  }

  /** Returns a request, or null when none is free or sessions that asked before wait for one. */
  NbdRequest acquireRequest() {
    if (!requestWaiters.isEmpty() || freeRequestCount <= promisedRequests) {
      return null;
    }
    return freeRequests[--freeRequestCount];
  }

  /** Returns the request that was promised. */
  NbdRequest acquirePromisedRequest() {
    promisedRequests--;
    return freeRequests[--freeRequestCount];
  }

  void forgetPromise() {
    promisedRequests--;
  }

  void releaseRequest(NbdRequest request) {
    request.reset();
    freeRequests[freeRequestCount++] = request;
  }

  void awaitRequest(Transmission waiter) {
    requestWaiters.add(waiter);
  }

  void cancelAwaitRequest(Transmission waiter) {
    requestWaiters.remove(waiter);
  }

  // Chunks.

  /** Returns the address of a chunk, or zero when the session has to wait for one. */
  long acquireChunk(Transmission session) {
    if (chunkWaiters.isEmpty()) {
      if (chunks.available() > reservedChunks) {
        return chunks.acquire();
      }
      if (chunkElder == null) {
        chunkElder = session;
      }
    }
    return session.equals(chunkElder) ? chunks.acquire() : 0;
  }

  void awaitChunk(Transmission waiter) {
    chunkWaiters.add(waiter);
    beginStarving();
  }

  void cancelAwaitChunk(Transmission waiter) {
    chunkWaiters.remove(waiter);
    endStarving();
  }

  /** The session needs no further chunk for now, and has given back what it had. */
  void endPayload(Transmission session) {
    if (session.equals(chunkElder)) {
      chunkElder = null;
    }
  }

  private int grantChunks() {
    int granted = 0;
    while (!chunkWaiters.isEmpty() && (chunkElder == null || chunks.available() > reservedChunks)) {
      Transmission next = chunkWaiters.poll();
      if (chunks.available() <= reservedChunks) {
        chunkElder = next;
      }
      endStarving();
      next.onChunkGranted(chunks.acquire());
      granted++;
    }
    return granted;
  }

  // Bytes of reads.

  /**
   * Returns what a READ of some length is counted against. Short ones have a part of their own, so
   * that they need not queue behind long ones.
   */
  ReadBudget readBudget(long length) {
    return length <= SHORT_READ_BYTES ? shortReads : longReads;
  }

  long readBytesInFlight() {
    return shortReads.inFlight() + longReads.inFlight();
  }

  // Wake-ups.

  void makeRunnable(Transmission transmission) {
    runnable.add(transmission);
  }

  void cancelRunnable(Transmission transmission) {
    runnable.remove(transmission);
  }

  // Sessions.

  /** Adds a session, or returns false when the core has as many as it may have. */
  boolean register(NbdSession session) {
    if (sessionCount >= limits.connectionsPerCore()) {
      counters.connectionRefused();
      return false;
    }
    session.previousSession = null;
    session.nextSession = firstSession;
    if (firstSession != null) {
      firstSession.previousSession = session;
    }
    firstSession = session;
    sessionCount++;
    counters.connectionsOpen(sessionCount);
    return true;
  }

  void unregister(NbdSession session) {
    if (session.previousSession == null) {
      firstSession = session.nextSession;
    } else {
      session.previousSession.nextSession = session.nextSession;
    }
    if (session.nextSession != null) {
      session.nextSession.previousSession = session.previousSession;
    }
    session.previousSession = null;
    session.nextSession = null;
    sessionCount--;
    counters.connectionsOpen(sessionCount);
  }

  // Sessions that hold what others wait for.

  /** A session waits for what another one may hold; stalled clients are looked for from now on. */
  void beginStarving() {
    starving++;
    if (!stallCheckArmed) {
      stallCheckArmed = true;
      core.timers().schedule(core.clock().nowNs() + STALL_CHECK_NS, stallCheck);
    }
  }

  void endStarving() {
    starving--;
  }

  private void onStallCheck(long nowNs) {
    stallCheckArmed = false;
    if (starving == 0) {
      return;
    }
    NbdSession session = firstSession;
    while (session != null) {
      NbdSession next = session.nextSession;
      session.evictIfStalled(nowNs);
      session = next;
    }
    stallCheckArmed = true;
    core.timers().schedule(nowNs + STALL_CHECK_NS, stallCheck);
  }

  private void armIdleCheck(long nowNs) {
    idleTimer =
        core.timers().schedule(nowNs + limits.idleTimeoutNs() / IDLE_CHECKS + 1, this::onIdleCheck);
  }

  private void onIdleCheck(long nowNs) {
    NbdSession session = firstSession;
    while (session != null) {
      NbdSession next = session.nextSession;
      session.evictIfIdle(nowNs);
      session = next;
    }
    armIdleCheck(nowNs);
  }

  private void onDrainTimeout(long nowNs) {
    NbdSession session = firstSession;
    while (session != null) {
      NbdSession next = session.nextSession;
      session.closeNow("it does not take its last replies");
      session = next;
    }
  }
}
