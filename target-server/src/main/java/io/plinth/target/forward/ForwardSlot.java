package io.plinth.target.forward;

import io.plinth.engine.api.Releasable;
import io.plinth.engine.memory.BufferPool;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.target.volume.IoVector;
import io.plinth.target.volume.Operation;
import io.plinth.target.volume.VolumeRequest;
import java.util.zip.CRC32C;

/**
 * A request that is on its way to another node, or waits for the next leader, with the memory that
 * it needs: a copy of the payload of a WRITE, room for the data of a READ.
 */
final class ForwardSlot implements Releasable {
  private static final int CHUNK = ForwardClient.CHUNK_BYTES;

  private final ForwardClient client;
  private final int index;
  private long generation;
  private BufferPool pool;
  private long[] chunks = new long[1];
  private int chunkCount;

  /** How many chunks a connection still has to send. */
  private int loansOut;

  private boolean ended;

  /** Link of the queue that the slot is in. */
  ForwardSlot next;

  VolumeRequest request;
  ForwardedVolume volume;

  /** Where it was sent, or is to be; null while it waits. */
  ForwardChannel channel;

  /** What the answer has to name; new each time it is sent. */
  long id = -1;

  int payloadCrc;

  /** In which term the leader was found that it is sent to; no other one may begin it. */
  long term;

  /** See {@link ForwardedVolume}: of the clients that the request is from. */
  int era;

  /** The other side may have seen something of it. */
  boolean begun;

  ForwardSlot(ForwardClient client, int index) {
    this.client = client;
    this.index = index;
  }

  /**
   * Takes a request over.
   *
   * @return false when there is no memory for it: nothing has happened
   */
  boolean take(ForwardedVolume owner, VolumeRequest taken) {
    Operation operation = taken.operation;
    boolean write = operation == Operation.WRITE;
    boolean hasData = write || operation == Operation.READ;
    int wanted = hasData ? (int) ((taken.length + CHUNK - 1) / CHUNK) : 0;
    if (wanted > chunks.length) {
      chunks = new long[wanted];
    }
    pool = write ? client.payloads() : client.data();
    if (wanted > 0 && !pool.acquire(wanted, chunks)) {
      return false;
    }
    chunkCount = wanted;
    request = taken;
    volume = owner;
    ended = false;
    if (write) {
      copyPayload(taken.payload);
    }
    return true;
  }

  private void copyPayload(IoVector payload) {
    int at = 0;
    for (int i = 0; i < payload.count(); i++) {
      long from = payload.address(i);
      int left = payload.length(i);
      while (left > 0) {
        int piece = Math.min(left, CHUNK - at % CHUNK);
        NativeMemory.copy(from, chunks[at / CHUNK] + at % CHUNK, piece);
        from += piece;
        at += piece;
        left -= piece;
      }
    }
    CRC32C crc = client.crc();
    crc.reset();
    for (int i = 0; i < chunkCount; i++) {
      pool.memory().update(crc, chunks[i], chunkLength(i));
    }
    payloadCrc = (int) crc.getValue();
  }

  /** Gives it a new name, for the next time that it is sent. */
  void rename() {
    id = ++generation << 16 | index;
    begun = false;
  }

  int chunkCount() {
    return chunkCount;
  }

  long chunk(int i) {
    return chunks[i];
  }

  int chunkLength(int i) {
    return (int) Math.min(CHUNK, request.length - (long) i * CHUNK);
  }

  /** Lends a chunk of payload to a connection; false when it has no room. */
  boolean lend(int i) {
    loansOut++;
    if (channel.connection().send(chunks[i], chunkLength(i), this, 0)) {
      return true;
    }
    loansOut--;
    return false;
  }

  @Override
  public void release(long token) {
    loansOut--;
    if (ended && loansOut == 0) {
      free();
    }
  }

  /** Lets the request read the payload from here, for a volume that takes it now. */
  void lendPayload() {
    request.payload.clear();
    if (request.operation == Operation.WRITE) {
      for (int i = 0; i < chunkCount; i++) {
        request.payload.add(chunks[i], chunkLength(i), null, 0);
      }
    }
  }

  /**
   * Passes on the first {@code bytes} of the data that a run has, and the memory as soon as nothing
   * else of it follows.
   *
   * @param from where in the data the run begins
   * @param all how much data there is in all runs
   */
  void addData(int from, int bytes, int all) {
    int at = from;
    int end = from + bytes;
    while (at < end) {
      int piece = Math.min(end - at, CHUNK - at % CHUNK);
      long chunk = chunks[at / CHUNK];
      boolean last = (at + piece) % CHUNK == 0 || at + piece == all;
      request.data.add(chunk + at % CHUNK, piece, last ? pool : null, chunk);
      at += piece;
    }
  }

  /** The first chunks, with so many bytes of data, belong to whoever has the request's data. */
  void passOn(int bytes) {
    int passed = (bytes + CHUNK - 1) / CHUNK;
    for (int i = passed; i < chunkCount; i++) {
      pool.release(chunks[i]);
    }
    chunkCount = 0;
  }

  /** The request is nobody's business here any more. */
  void end() {
    request = null;
    volume = null;
    channel = null;
    id = -1;
    ended = true;
    if (loansOut == 0) {
      free();
    }
  }

  private void free() {
    ended = false;
    for (int i = 0; i < chunkCount; i++) {
      pool.release(chunks[i]);
    }
    chunkCount = 0;
    client.releaseSlot(this);
  }
}
