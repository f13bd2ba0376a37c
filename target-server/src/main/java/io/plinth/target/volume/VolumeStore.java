package io.plinth.target.volume;

import io.plinth.engine.api.Core;
import io.plinth.engine.api.CycleTask;
import io.plinth.engine.api.Status;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.log.format.RecordHeader;
import io.plinth.log.journal.Journal;
import io.plinth.log.journal.JournalListener;
import io.plinth.log.recovery.RecoveryException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.zip.CRC32C;
import org.agrona.collections.Int2ObjectHashMap;

/**
 * The volumes whose replicas share one log: joins their requests to the journal.
 *
 * <p>A writing request goes through three stages: begun in the journal's open batch (queue {@code
 * begun}); appended and committed, which applies it to the index (same queue, from its head); and,
 * where durability is asked for, durable (queue {@code undurable}). Replies leave after the duty
 * cycle's seal, so no client sees data that a crash of the process could take back.
 */
public final class VolumeStore implements JournalListener, CycleTask {
  private static final int READ_BUFFER_BYTES = 64 * 1024;
  // Two of the largest reads at their worst alignment, and what small reads need besides.
  private static final int READ_BUFFERS = 1280;

  private final Core core;
  private final IndexMemory indexMemory = new IndexMemory();
  private final Int2ObjectHashMap<LogVolume> volumes = new Int2ObjectHashMap<>();
  private final RequestQueue begun = new RequestQueue();
  private final RequestQueue undurable = new RequestQueue();
  private final ArrayDeque<Volume.ReadyListener> waiting = new ArrayDeque<>();
  private final BufferPool readBuffers = new BufferPool(READ_BUFFER_BYTES, READ_BUFFERS);
  private final BlockReads reads;
  private final MergeBlocks merges;
  private final CRC32C crc = new CRC32C();
  private final List<DurableTask> durableTasks = new ArrayList<>();
  private int awaitedReadBuffers;
  private Journal journal;

  private record DurableTask(long sequence, IntConsumer task) {}

  /** Creates the store of a log that {@link #start} opens. */
  public VolumeStore(Core core) {
    this.core = core;
    this.reads = new BlockReads(this);
    this.merges = new MergeBlocks(this);
  }

  /**
   * Applies a record found in the log; for groups that no longer exist it is ignored. Before {@link
   * #start}.
   */
  public void recover(RecordHeader record, long payloadPlace) throws RecoveryException {
    LogVolume volume = volumes.get(record.group());
    if (volume != null) {
      volume.recover(record, payloadPlace);
    }
  }

  /** Begins to serve on top of a journal, which this store must be the listener of. */
  public void start(Journal openJournal) {
    journal = openJournal;
    for (LogVolume volume : volumes.values()) {
      volume.lead();
    }
  }

  /** Adds a volume, empty or about to be recovered. */
  public LogVolume add(int group, String name, long sizeBytes, FlushPolicy flushPolicy) {
    LogVolume volume = new LogVolume(this, group, name, sizeBytes, flushPolicy);
    volumes.put(group, volume);
    if (journal != null) {
      volume.lead();
    }
    return volume;
  }

  /** Forgets a volume and frees its index; clients are disconnected. */
  public void remove(LogVolume volume) {
    volumes.remove(volume.group().id());
    volume.close();
  }

  /** Returns the journal; null before {@link #start}. */
  public Journal journal() {
    return journal;
  }

  /** Returns how much memory the indexes take, in bytes. */
  public long indexBytes() {
    return indexMemory.usedBytes();
  }

  /**
   * Runs a task when everything appended up to now is durable, with OK, or when that can't be any
   * more, with an errno.
   */
  public void whenDurable(IntConsumer task) {
    if (journal.failure() != Status.OK) {
      task.accept(journal.failure());
      return;
    }
    journal.seal();
    durableTasks.add(new DurableTask(journal.sealedSequence(), task));
    journal.requestSync();
  }

  /** Tells who waits for read buffers once there are enough. */
  @Override
  public int doWork(long nowNs) {
    if (awaitedReadBuffers == 0 || readBuffers.available() < awaitedReadBuffers) {
      return 0;
    }
    awaitedReadBuffers = 0;
    notifyReady();
    return 1;
  }

  /** Asks that the waiting are told when {@code count} read buffers are free. */
  void awaitReadBuffers(int count) {
    awaitedReadBuffers = awaitedReadBuffers == 0 ? count : Math.min(count, awaitedReadBuffers);
  }

  @Override
  public void onAppended(long sequence) {
    while (!begun.isEmpty()) {
      VolumeRequest request = begun.peek();
      LogVolume volume = request.volume;
      volume.group().appended(request.groupIndex);
      if (request.groupIndex > volume.group().committedIndex()) {
        return;
      }
      begun.poll();
      volume.apply(request);
      if (request.fua || volume.flushPolicy() == FlushPolicy.ALWAYS) {
        awaitDurable(request, sequence);
      } else {
        complete(request, Status.OK);
      }
    }
  }

  @Override
  public void onDurable(long sequence) {
    while (!undurable.isEmpty() && undurable.peek().awaitedPosition <= sequence) {
      complete(undurable.poll(), Status.OK);
    }
    if (!durableTasks.isEmpty()) {
      List<DurableTask> due =
          durableTasks.stream().filter(task -> task.sequence <= sequence).toList();
      durableTasks.removeAll(due);
      due.forEach(task -> task.task.accept(Status.OK));
    }
  }

  @Override
  public void onReady() {
    notifyReady();
  }

  @Override
  public void onFailed(int status, long sequence) {
    while (!begun.isEmpty()) {
      complete(begun.poll(), Status.EIO);
    }
    while (!undurable.isEmpty()) {
      complete(undurable.poll(), Status.EIO);
    }
    List<DurableTask> failed = List.copyOf(durableTasks);
    durableTasks.clear();
    failed.forEach(task -> task.task.accept(status));
    notifyReady();
  }

  /** Frees memory; the log is closed and nothing is in flight. */
  public void close() {
    indexMemory.close();
    readBuffers.close();
    merges.close();
  }

  Core core() {
    return core;
  }

  IndexMemory indexMemory() {
    return indexMemory;
  }

  BufferPool readBuffers() {
    return readBuffers;
  }

  BlockReads reads() {
    return reads;
  }

  MergeBlocks merges() {
    return merges;
  }

  /** Returns the checksum of a block in a region. */
  int checksum(NativeMemory region, long address) {
    return region.crc32c(crc, address, Volume.BLOCK_BYTES);
  }

  /**
   * Queues a request whose record has been begun; it is completed when it is committed, and durable
   * where asked for.
   */
  void addBegun(VolumeRequest request) {
    begun.add(request);
  }

  /** Returns whether a begun request that is not yet applied touches any of these blocks. */
  boolean isBegun(LogVolume volume, long firstBlock, long lastBlock) {
    for (VolumeRequest request = begun.peek(); request != null; request = request.next) {
      if (request.volume.equals(volume)
          && request.offset / Volume.BLOCK_BYTES <= lastBlock
          && (request.offset + request.length - 1) / Volume.BLOCK_BYTES >= firstBlock) {
        return true;
      }
    }
    return false;
  }

  /** Completes a request once the log is durable up to a sequence. */
  void awaitDurable(VolumeRequest request, long sequence) {
    if (journal.failure() != Status.OK) {
      complete(request, Status.EIO);
      return;
    }
    request.awaitedPosition = sequence;
    undurable.add(request);
    journal.requestSync();
  }

  void complete(VolumeRequest request, int status) {
    LogVolume volume = request.volume;
    long latencyNs = core.clock().preciseNs() - request.receivedNs;
    volume
        .statistics()
        .record(request.operation.number(), latencyNs, request.length, Status.isError(status));
    request.onCompleted(status);
  }

  /** Registers to be told once when a refused record may be accepted. */
  public void awaitReady(Volume.ReadyListener listener) {
    waiting.add(listener);
  }

  void cancelReady(Volume.ReadyListener listener) {
    waiting.removeIf(listener::equals);
  }

  /**
   * Lets all who were refused try again; who is refused again comes back to the end of the queue.
   */
  void notifyReady() {
    for (int i = waiting.size(); i > 0; i--) {
      Volume.ReadyListener listener = waiting.poll();
      if (listener != null) {
        listener.onVolumeReady();
      }
    }
  }
}
