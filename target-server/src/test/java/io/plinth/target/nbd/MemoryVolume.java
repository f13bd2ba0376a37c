package io.plinth.target.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.Releasable;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.IoVector;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.Volume;
import io.plinth.target.volume.VolumeRequest;
import io.plinth.target.volume.VolumeSettings;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A volume in memory that does as it is told: completes at once or when asked, refuses, fails. Data
 * of a read is lent as a copy that is overwritten when the loan ends.
 */
final class MemoryVolume implements Volume, Releasable {
  private static final int SECTOR = 512;

  /** Who attaches is told when it may ask for something. */
  boolean letsWait;

  private final String name;
  private final Core core;
  private final NativeMemory memory;
  private final UnsafeBuffer content;
  private final BitSet mapped = new BitSet();
  private final Map<Long, UnsafeBuffer> loans = new HashMap<>();
  private final List<VolumeRequest> pending = new ArrayList<>();
  private final List<ReadyListener> listeners = new ArrayList<>();
  private final List<Attachment> attachments = new ArrayList<>();
  private long nextLoan = 1;

  /** Completes from within submit, rather than when the test says so. */
  boolean immediate = true;

  /** How many of the next requests are refused. */
  int refusals;

  /** How the next requests end. */
  int status = Status.OK;

  /** Reads lend ranges of at most this many bytes. */
  int rangeBytes = 1 << 20;

  /** Reads lack their last sector: a defect. */
  boolean shortReads;

  boolean readOnly;

  /** What it says that it has; the memory stays. */
  long sizeBytes;

  VolumeSettings settings = VolumeSettings.DEFAULT;

  /** Copies of what was submitted, for tests that look at the fields. */
  final List<String> log = new ArrayList<>();

  MemoryVolume(String name, Core core, int sizeBytes) {
    this.name = name;
    this.core = core;
    this.memory = NativeMemory.reserve(sizeBytes);
    this.content = memory.buffer(0, sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  byte[] content(int offset, int length) {
    byte[] bytes = new byte[length];
    content.getBytes(offset, bytes);
    return bytes;
  }

  void close() {
    memory.close();
  }

  int capacity() {
    return content.capacity();
  }

  int loansOut() {
    return loans.size();
  }

  int pendingCount() {
    return pending.size();
  }

  @Override
  public VolumeSettings settings() {
    return settings;
  }

  @Override
  public int attachmentCount() {
    return attachments.size();
  }

  int listenerCount() {
    return listeners.size();
  }

  /** Writes behind the clients' backs. */
  void fill(int offset, byte[] bytes) {
    content.putBytes(offset, bytes);
    mapped.set(offset / SECTOR, (offset + bytes.length + SECTOR - 1) / SECTOR);
  }

  /** Completes the request that was accepted {@code i}-th among those not yet completed. */
  void complete(int i) {
    finish(pending.remove(i));
  }

  void completeAll() {
    while (!pending.isEmpty()) {
      complete(0);
    }
  }

  void completeInRandomOrder(SplittableRandom random) {
    while (!pending.isEmpty()) {
      complete(random.nextInt(pending.size()));
    }
  }

  /** Tells those that were refused. */
  void becomeReady() {
    List<ReadyListener> told = List.copyOf(listeners);
    listeners.clear();
    told.forEach(ReadyListener::onVolumeReady);
  }

  /** Those that have attached may ask. */
  void admit() {
    List.copyOf(attachments).forEach(Attachment::onAdmitted);
  }

  /** Somebody may have gone. */
  void fence() {
    List.copyOf(attachments).forEach(Attachment::onFence);
  }

  /** Returns for how many of the requests that it has nobody waits. */
  long abandonedCount() {
    return pending.stream().filter(VolumeRequest::isAbandoned).count();
  }

  /** The volume is deleted under its clients. */
  void vanish() {
    List<Attachment> told = List.copyOf(attachments);
    attachments.clear();
    told.forEach(Attachment::onVolumeClosed);
  }

  @Override
  public boolean submit(VolumeRequest request) {
    assertThat(request.offset).as("offset").isNotNegative();
    assertThat(request.offset + request.length).as("end").isLessThanOrEqualTo(content.capacity());
    assertThat((request.offset | request.length) % SECTOR).as("alignment").isZero();
    assertThat(request.data.count()).as("ranges before a read").isZero();
    assertThat(request.extents(0).count()).as("extents before a query").isZero();
    assertThat(readOnly && request.operation == Operation.WRITE).as("write, read-only").isFalse();
    if (refusals > 0) {
      refusals--;
      return false;
    }
    log.add(
        "%s %d+%d%s%s%s"
            .formatted(
                request.operation,
                request.offset,
                request.length,
                request.fua ? " fua" : "",
                request.noHole ? " no-hole" : "",
                request.singleExtent ? " one" : ""));
    if (request.operation == Operation.WRITE) {
      assertThat(total(request.payload)).as("payload").isEqualTo(request.length);
      if (status == Status.OK) {
        write(request);
      }
    } else {
      assertThat(request.payload.count()).as("payload of a " + request.operation).isZero();
    }
    if (immediate) {
      finish(request);
    } else {
      pending.add(request);
    }
    return true;
  }

  private void finish(VolumeRequest request) {
    if (status == Status.OK) {
      switch (request.operation) {
        case READ -> read(request);
        case TRIM, WRITE_ZEROES -> zero(request);
        case BLOCK_STATUS -> describe(request);
        case WRITE, FLUSH, CACHE -> {}
      }
    }
    ((NbdRequest) request).onCompleted(status);
  }

  private void write(VolumeRequest request) {
    int at = (int) request.offset;
    for (int i = 0; i < request.payload.count(); i++) {
      int length = request.payload.length(i);
      new UnsafeBuffer(request.payload.address(i), length).getBytes(0, content, at, length);
      at += length;
    }
    mapped.set((int) request.offset / SECTOR, at / SECTOR);
  }

  private void zero(VolumeRequest request) {
    int from = (int) request.offset;
    int to = (int) (request.offset + request.length);
    content.setMemory(from, to - from, (byte) 0);
    if (request.noHole) {
      mapped.set(from / SECTOR, to / SECTOR);
    } else {
      mapped.clear(from / SECTOR, to / SECTOR);
    }
  }

  private void read(VolumeRequest request) {
    int at = (int) request.offset;
    int end = (int) (request.offset + request.length) - (shortReads ? SECTOR : 0);
    while (at < end) {
      int length = Math.min(run(at, end), rangeBytes);
      if (mapped.get(at / SECTOR)) {
        long loan = nextLoan++;
        UnsafeBuffer copy = new UnsafeBuffer(ByteBuffer.allocateDirect(length));
        copy.putBytes(0, content, at, length);
        loans.put(loan, copy);
        request.data.add(copy.addressOffset(), length, this, loan);
      } else {
        request.data.add(0, length, null, 0);
      }
      at += length;
    }
  }

  private void describe(VolumeRequest request) {
    for (int i = 0; i < request.contexts.size(); i++) {
      if (request.contexts.get(i).since() instanceof MemoryVolume since) {
        compare(request, since, request.extents(i));
      } else {
        describe(request, request.extents(i));
      }
    }
  }

  private void compare(VolumeRequest request, MemoryVolume since, ExtentList extents) {
    for (int at = 0; at < request.length; at += SECTOR) {
      int position = (int) request.offset + at;
      boolean same = Arrays.equals(content(position, SECTOR), since.content(position, SECTOR));
      extents.add(SECTOR, same ? 0 : ExtentList.CHANGED);
    }
  }

  private void describe(VolumeRequest request, ExtentList extents) {
    int at = (int) request.offset;
    int end = (int) (request.offset + request.length);
    while (at < end && extents.count() < request.extentLimit) {
      int length = run(at, end);
      extents.add(length, mapped.get(at / SECTOR) ? 0 : ExtentList.HOLE | ExtentList.ZERO);
      at += length;
    }
  }

  private int run(int at, int end) {
    boolean state = mapped.get(at / SECTOR);
    int to = at;
    while (to < end && mapped.get(to / SECTOR) == state) {
      to += SECTOR;
    }
    return to - at;
  }

  private static long total(IoVector vector) {
    long total = 0;
    for (int i = 0; i < vector.count(); i++) {
      total += vector.length(i);
    }
    return total;
  }

  @Override
  public void release(long token) {
    UnsafeBuffer copy = loans.remove(token);
    assertThat(copy).as("loan released twice").isNotNull();
    copy.setMemory(0, copy.capacity(), (byte) 0xdd);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public Core core() {
    return core;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public void awaitReady(ReadyListener listener) {
    listeners.add(listener);
  }

  @Override
  public void cancelReady(ReadyListener listener) {
    listeners.remove(listener);
  }

  @Override
  public boolean attach(Attachment attachment) {
    attachments.add(attachment);
    return !letsWait;
  }

  @Override
  public void detach(Attachment attachment) {
    assertThat(attachments.remove(attachment)).as("was attached").isTrue();
  }
}
