package io.plinth.engine.core;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Completion;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What {@link IoDriver} promises, for every implementation. */
public abstract class IoDriverContractTest {
  protected static final int SLOTS = 16;
  private static final int MEMORY_BYTES = 1 << 20;
  private static final long STEP_NS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final int EBADF = -9;

  /** The client's end of a connection, with calls that wait. */
  protected interface Peer {
    void send(byte[] bytes) throws Exception;

    /** Receives exactly so many bytes, or fewer when the stream ends before. */
    byte[] receive(int length) throws Exception;

    void close() throws Exception;
  }

  private final NativeMemory memory = NativeMemory.reserve(MEMORY_BYTES);
  private final UnsafeBuffer buffer = memory.buffer(0, MEMORY_BYTES);
  private final long address = memory.address();
  private final Map<Long, List<Integer>> results = new HashMap<>();
  private final Completion completion =
      (context, result) -> results.computeIfAbsent(context, key -> new ArrayList<>()).add(result);
  private IoDriver driver;

  /** Makes a driver with {@link #SLOTS} slots. */
  protected abstract IoDriver createDriver() throws Exception;

  /** Opens a new file with content; returns its descriptor. */
  protected abstract int openFile(byte[] content) throws Exception;

  /** Opens a new file that can't be written. */
  protected abstract int openFileForReading(byte[] content) throws Exception;

  /** Makes a listening socket; returns its descriptor. */
  protected abstract int listen() throws Exception;

  /** Connects to a listening socket. */
  protected abstract Peer connect(int listener) throws Exception;

  /** Makes a socket that is not connected; returns its descriptor. */
  protected abstract int socket() throws Exception;

  /** Returns the encoded address of a listening socket. */
  protected abstract byte[] addressOf(int listener) throws Exception;

  @BeforeEach
  void open() throws Exception {
    driver = createDriver();
  }

  @AfterEach
  void close() {
    assertThat(driver.inFlight()).as("operations left in flight").isZero();
    driver.close();
    memory.close();
  }

  @Test
  void anAcceptedOperationCompletesExactlyOnceWithItsContext() throws Exception {
    int file = openFile(bytes("0123456789"));

    assertThat(driver.read(file, address, 10, 0, completion, 77)).isTrue();
    awaitResults(1);
    for (int i = 0; i < 3; i++) {
      driver.poll(0);
      driver.dispatch();
    }

    assertThat(results).containsOnly(Map.entry(77L, List.of(10)));
  }

  @Test
  void aReadAsideIsCompletedAsAnyOther() throws Exception {
    int file = openFile(bytes("0123456789"));

    assertThat(driver.readAside(file, address, 6, 4, completion, 78)).isTrue();
    awaitResults(1);

    assertThat(results).containsOnly(Map.entry(78L, List.of(6)));
    byte[] found = new byte[6];
    buffer.getBytes(0, found);
    assertThat(found).isEqualTo(bytes("456789"));
    assertThat(driver.inFlight()).isZero();
  }

  @Test
  void aCompletionIsCalledFromDispatchOnly() throws Exception {
    int file = openFile(bytes("0123456789"));

    driver.read(file, address, 10, 0, completion, 1);
    while (driver.poll(STEP_NS) == 0) {}
    assertThat(results).isEmpty();
    assertThat(driver.inFlight()).isEqualTo(1);
    assertThat(driver.dispatch()).isEqualTo(1);

    assertThat(results).hasSize(1);
    assertThat(driver.inFlight()).isZero();
  }

  @Test
  void whatACompletionSubmitsCompletesInALaterDispatch() throws Exception {
    int file = openFile(bytes("0123456789"));
    Completion again =
        (context, result) -> {
          completion.onComplete(context, result);
          assertThat(driver.read(file, address, 4, 0, completion, 2)).isTrue();
        };

    driver.read(file, address, 10, 0, again, 1);
    awaitResults(1);
    assertThat(results).containsOnlyKeys(1L);
    awaitResults(2);

    assertThat(results.get(2L)).containsExactly(4);
  }

  @Test
  void anOperationBeyondTheSlotsIsRejectedAndNeverCompletes() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);
    for (int i = 0; i < SLOTS; i++) {
      assertThat(driver.receive(socket, address + i, 1, completion, i)).isTrue();
    }
    assertThat(driver.inFlight()).isEqualTo(SLOTS);

    assertThat(driver.receive(socket, address, 1, completion, 99)).isFalse();
    assertThat(driver.sync(socket, completion, 99)).isFalse();
    assertThat(driver.inFlight()).isEqualTo(SLOTS);
    peer.send(new byte[SLOTS]);
    awaitResults(SLOTS);

    assertThat(results).hasSize(SLOTS).doesNotContainKey(99L);
    assertThat(driver.receive(socket, address, 1, completion, 99))
        .as("accepted when slots are free again")
        .isTrue();
    peer.close();
    awaitResults(SLOTS + 1);
    assertThat(results.get(99L)).containsExactly(0);
  }

  @Test
  void aFileGivesBackWhatWasWritten() throws Exception {
    int file = openFile(new byte[0]);
    buffer.putBytes(0, bytes("written"));

    assertThat(run(() -> driver.write(file, address, 7, 100, false, completion, 1))).isEqualTo(7);
    assertThat(run(() -> driver.read(file, address + 4096, 7, 100, completion, 2))).isEqualTo(7);

    assertThat(text(4096, 7)).isEqualTo("written");
  }

  @Test
  void aDurableWriteAndASyncSucceed() throws Exception {
    int file = openFile(new byte[4096]);

    assertThat(run(() -> driver.write(file, address, 512, 0, true, completion, 1))).isEqualTo(512);
    assertThat(run(() -> driver.sync(file, completion, 2))).isEqualTo(Status.OK);
  }

  @Test
  void aReadAcrossTheEndIsShortAndOneBehindItIsEmpty() throws Exception {
    int file = openFile(bytes("0123456789"));

    assertThat(run(() -> driver.read(file, address, 100, 6, completion, 1))).isEqualTo(4);
    assertThat(text(0, 4)).isEqualTo("6789");
    assertThat(run(() -> driver.read(file, address, 100, 10, completion, 2))).isZero();
  }

  @Test
  void aPunchedHoleReadsAsZeroesAndKeepsTheSize() throws Exception {
    byte[] content = new byte[3 * 4096];
    java.util.Arrays.fill(content, (byte) 'x');
    int file = openFile(content);

    assertThat(run(() -> driver.punchHole(file, 4096, 4096, completion, 1))).isEqualTo(Status.OK);
    assertThat(run(() -> driver.read(file, address, content.length, 0, completion, 2)))
        .isEqualTo(content.length);

    assertThat(buffer.getByte(4095)).isEqualTo((byte) 'x');
    assertThat(buffer.getLong(4096)).isZero();
    assertThat(buffer.getByte(8191)).isZero();
    assertThat(buffer.getByte(8192)).isEqualTo((byte) 'x');
  }

  @Test
  void aFailureIsTheNegatedErrno() throws Exception {
    int readOnly = openFileForReading(bytes("0123456789"));
    int file = openFile(bytes("0123456789"));

    assertThat(run(() -> driver.write(readOnly, address, 1, 0, false, completion, 1)))
        .as("write to a file opened for reading")
        .isEqualTo(EBADF);
    assertThat(run(() -> driver.punchHole(file, 0, 0, completion, 2)))
        .as("empty hole")
        .isEqualTo(Status.EINVAL);
    assertThat(run(() -> driver.shutdown(file, completion, 3)))
        .as("shutdown of a file")
        .isEqualTo(-88);
    assertThat(run(() -> driver.close(file, completion, 4))).isEqualTo(Status.OK);
    assertThat(run(() -> driver.read(file, address, 1, 0, completion, 5)))
        .as("read of a closed file")
        .isEqualTo(EBADF);
    assertThat(run(() -> driver.close(file, completion, 6))).as("second close").isEqualTo(EBADF);
  }

  @Test
  void anAcceptWaitsForAClientAndGivesItsSocket() throws Exception {
    int listener = listen();
    assertThat(driver.accept(listener, completion, 1)).isTrue();
    driver.poll(0);
    assertThat(driver.dispatch()).isZero();

    Peer peer = connect(listener);
    awaitResults(1);
    int socket = results.get(1L).get(0);

    assertThat(socket).isNotNegative();
    peer.send(bytes("hello"));
    assertThat(run(() -> driver.receive(socket, address, 100, completion, 2))).isEqualTo(5);
    assertThat(text(0, 5)).isEqualTo("hello");
    peer.close();
  }

  @Test
  void aCancelledAcceptLeavesTheSocketListening() throws Exception {
    int listener = listen();
    assertThat(driver.accept(listener, completion, 1)).isTrue();
    driver.poll(0);
    assertThat(driver.cancel(listener, completion, 2)).isTrue();
    awaitResults(2);
    assertThat(results.get(1L)).containsExactly(Status.ECANCELED);
    assertThat(results.get(2L)).containsExactly(0);

    Peer peer = connect(listener);
    assertThat(accept(listener)).isNotNegative();
    peer.close();
  }

  @Test
  void aConnectReachesWhoListens() throws Exception {
    int listener = listen();
    int near = socket();
    byte[] name = addressOf(listener);
    buffer.putBytes(0, name);

    assertThat(run(() -> driver.connect(near, address, name.length, completion, 1)))
        .isEqualTo(Status.OK);
    int far = accept(listener);

    buffer.putBytes(0, bytes("hello"));
    assertThat(run(() -> driver.send(near, address, 5, completion, 2))).isEqualTo(5);
    assertThat(run(() -> driver.receive(far, address + 64, 100, completion, 3))).isEqualTo(5);
    assertThat(text(64, 5)).isEqualTo("hello");
    assertThat(run(() -> driver.close(far, completion, 4))).isEqualTo(Status.OK);
    assertThat(run(() -> driver.receive(near, address, 100, completion, 5))).isZero();
    assertThat(run(() -> driver.close(near, completion, 6))).isEqualTo(Status.OK);
  }

  @Test
  void aConnectIsRefusedWhereNobodyListens() throws Exception {
    int listener = listen();
    byte[] name = addressOf(listener);
    buffer.putBytes(0, name);
    assertThat(run(() -> driver.close(listener, completion, 1))).isEqualTo(Status.OK);
    int near = socket();

    assertThat(run(() -> driver.connect(near, address, name.length, completion, 2)))
        .isEqualTo(Status.ECONNREFUSED);
  }

  @Test
  void aReceiveGivesWhatHasArrivedAndZeroAtTheEnd() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);

    peer.send(bytes("abcdef"));
    assertThat(run(() -> driver.receive(socket, address, 4, completion, 1))).isEqualTo(4);
    assertThat(run(() -> driver.receive(socket, address + 4, 100, completion, 2))).isEqualTo(2);
    assertThat(text(0, 6)).isEqualTo("abcdef");
    peer.close();

    assertThat(run(() -> driver.receive(socket, address, 100, completion, 3))).isZero();
  }

  @Test
  void aSendCompletesWhenAllOfItHasLeft() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);
    fill(MEMORY_BYTES);

    assertThat(driver.send(socket, address, MEMORY_BYTES, completion, 1)).isTrue();
    byte[] received = receiveWhilePolling(peer, MEMORY_BYTES);
    awaitResults(1);

    assertThat(results.get(1L)).containsExactly(MEMORY_BYTES);
    assertThat(received).isEqualTo(content(0, MEMORY_BYTES));
    peer.close();
  }

  @Test
  void aGatheredSendSendsItsRangesInOrder() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);
    fill(MEMORY_BYTES);
    int[] starts = {300_000, 0, 500_000, 100};
    int[] lengths = {200_000, 7, 300_000, 1};
    byte[] expected = new byte[500_008];
    int at = 0;
    long vectors = 900_000;
    for (int i = 0; i < starts.length; i++) {
      buffer.getBytes(starts[i], expected, at, lengths[i]);
      at += lengths[i];
      buffer.putLong((int) vectors + 16 * i, address + starts[i]);
      buffer.putLong((int) vectors + 16 * i + 8, lengths[i]);
    }
    int header = 910_000;
    buffer.setMemory(header, 56, (byte) 0);
    buffer.putLong(header + 16, address + vectors);
    buffer.putLong(header + 24, starts.length);

    assertThat(driver.sendMessage(socket, address + header, completion, 1)).isTrue();
    byte[] received = receiveWhilePolling(peer, expected.length);
    awaitResults(1);

    assertThat(results.get(1L)).containsExactly(expected.length);
    assertThat(received).isEqualTo(expected);
    peer.close();
  }

  @Test
  void aShutdownEndsAPendingReceiveAndTellsThePeer() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);
    driver.receive(socket, address, 100, completion, 1);
    driver.poll(0);
    assertThat(driver.dispatch()).isZero();

    assertThat(driver.shutdown(socket, completion, 2)).isTrue();
    awaitResults(2);

    assertThat(results.get(1L)).containsExactly(0);
    assertThat(results.get(2L)).containsExactly(Status.OK);
    assertThat(peer.receive(1)).as("end of stream").isEmpty();
    assertThat(run(() -> driver.send(socket, address, 1, completion, 3))).isEqualTo(Status.EPIPE);
    assertThat(run(() -> driver.close(socket, completion, 4))).isEqualTo(Status.OK);
  }

  @Test
  void aShutdownOfTheOutputTellsThePeerWhoseBytesStillArrive() throws Exception {
    int listener = listen();
    Peer peer = connect(listener);
    int socket = accept(listener);

    assertThat(run(() -> driver.shutdownOutput(socket, completion, 1))).isEqualTo(Status.OK);

    assertThat(peer.receive(1)).as("end of stream").isEmpty();
    peer.send(new byte[] {7});
    assertThat(run(() -> driver.receive(socket, address, 100, completion, 2))).isOne();
    assertThat(run(() -> driver.send(socket, address, 1, completion, 3))).isEqualTo(Status.EPIPE);
    assertThat(run(() -> driver.close(socket, completion, 4))).isEqualTo(Status.OK);
  }

  @Test
  void aShutdownOfAListenerEndsItsPendingAccept() throws Exception {
    int listener = listen();
    driver.accept(listener, completion, 1);
    driver.poll(0);
    assertThat(driver.dispatch()).isZero();

    driver.shutdown(listener, completion, 2);
    awaitResults(2);

    assertThat(results.get(1L)).containsExactly(Status.EINVAL);
    assertThat(results.get(2L)).containsExactly(Status.OK);
  }

  @Test
  void aWakeupFromAnotherThreadEndsAWait() throws Exception {
    Thread waker = new Thread(driver::wakeup, "waker");
    long startNs = System.nanoTime();
    waker.start();

    assertThat(driver.poll(TimeUnit.SECONDS.toNanos(30))).isZero();

    assertThat(System.nanoTime() - startNs).isLessThan(TimeUnit.SECONDS.toNanos(20));
    waker.join();
  }

  @Test
  void aWakeupBeforeTheWaitEndsItToo() throws InterruptedException {
    Thread waker = new Thread(driver::wakeup, "waker");
    waker.start();
    waker.join();
    long startNs = System.nanoTime();

    driver.poll(TimeUnit.SECONDS.toNanos(30));

    assertThat(System.nanoTime() - startNs).isLessThan(TimeUnit.SECONDS.toNanos(20));
  }

  @Test
  void aPollWithoutAWaitReturnsAtOnce() throws Exception {
    int listener = listen();
    driver.accept(listener, completion, 1);

    assertThat(driver.poll(0)).isZero();

    connect(listener).close();
    awaitResults(1);
  }

  /** Submits one operation and waits for its result. */
  private int run(java.util.function.BooleanSupplier submit) {
    results.clear();
    assertThat(submit.getAsBoolean()).isTrue();
    awaitResults(1);
    int result = results.values().iterator().next().get(0);
    results.clear();
    return result;
  }

  private int accept(int listener) {
    int socket = run(() -> driver.accept(listener, completion, -1));
    assertThat(socket).isNotNegative();
    return socket;
  }

  private void awaitResults(int count) {
    while (results.values().stream().mapToInt(List::size).sum() < count) {
      driver.poll(STEP_NS);
      driver.dispatch();
    }
  }

  /** Reads at the peer on another thread, since a send that waits for room needs polling here. */
  private byte[] receiveWhilePolling(Peer peer, int length) throws Exception {
    var received = new java.util.concurrent.CompletableFuture<byte[]>();
    Thread reader =
        new Thread(
            () -> {
              try {
                received.complete(peer.receive(length));
              } catch (Exception e) {
                received.completeExceptionally(e);
              }
            },
            "reader");
    reader.start();
    while (!received.isDone()) {
      driver.poll(TimeUnit.MILLISECONDS.toNanos(1));
      driver.dispatch();
    }
    reader.join();
    return received.get();
  }

  private void fill(int length) {
    for (int i = 0; i < length; i += 8) {
      buffer.putLong(i, i * 0x9E3779B97F4A7C15L);
    }
  }

  private byte[] content(int offset, int length) {
    byte[] result = new byte[length];
    buffer.getBytes(offset, result);
    return result;
  }

  private String text(int offset, int length) {
    return new String(content(offset, length), StandardCharsets.US_ASCII);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
