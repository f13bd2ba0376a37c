package io.plinth.engine.net;

import static io.plinth.engine.api.TlsEngine.MAX_RECORD_BYTES;
import static io.plinth.engine.api.TlsEngine.RECORD_HEADER_BYTES;
import static java.nio.ByteOrder.BIG_ENDIAN;

import io.plinth.engine.api.TlsEngine;
import io.plinth.engine.api.TlsException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.concurrent.Executor;
import java.util.function.Consumer;

/**
 * TLS between the bytes on the wire and those of the handler: a plaintext input buffer and a
 * plaintext output queue beside the connection's own, and the engine between them.
 *
 * <p>A handshake's records are worked on by helper threads, one lot at a time, on copies: a key
 * exchange takes as long as hundreds of requests. Everything later happens on the core's thread,
 * record by record.
 */
final class TlsLayer {
  /**
   * Plaintext of a record that we send. With what any cipher suite adds it is less than 16 KiB, so
   * that four records fit the output ring.
   */
  static final int FRAGMENT_BYTES = 16_256;

  /** Types of records: change_cipher_spec to application_data. */
  private static final int FIRST_TYPE = 20;

  private static final int LAST_TYPE = 23;

  private static final byte[] NOTHING = {};
  private static final int MAJOR_VERSION = 3;

  /** What {@link #recordLength} answers for a record that has not arrived in full. */
  static final int INCOMPLETE = 0;

  /** What {@link #recordLength} answers for bytes that begin no record. */
  static final int NO_RECORD = -1;

  private final InputBuffer input = new InputBuffer();
  private final OutputQueue output = new OutputQueue();
  private final TlsEngine engine;
  private final Executor helpers;
  private ConnectionMemory memory;

  /** Plaintext on its way from one core's memory to another's. */
  private byte[] carried = NOTHING;

  private int block;
  private boolean handshaking = true;
  private boolean working;
  private boolean outputClosed;

  /** What a helper made of a lot of handshake records; {@code failure} is null if it went well. */
  record Step(int consumed, ByteBuffer output, boolean handshaking, String failure) {}

  TlsLayer(TlsEngine engine, Executor helpers) {
    this.engine = engine;
    this.helpers = helpers;
  }

  /** Takes memory of a core; false when it has none left. */
  boolean attach(ConnectionMemory newMemory) {
    block = newMemory.acquire();
    if (block < 0) {
      return false;
    }
    memory = newMemory;
    input.attach(memory.receiveAddress(block));
    output.attach(memory, block);
    input.append(ByteBuffer.wrap(carried));
    carried = NOTHING;
    return true;
  }

  /** Ends all loans and gives the memory back; what was decrypted goes along to another core's. */
  void detach() {
    carried = input.copy();
    output.clear();
    memory.release(block);
  }

  InputBuffer input() {
    return input;
  }

  OutputQueue output() {
    return output;
  }

  TlsEngine engine() {
    return engine;
  }

  boolean isHandshaking() {
    return handshaking;
  }

  /** Returns whether a helper is at work. */
  boolean isWorking() {
    return working;
  }

  /** Returns the length of the record at the front of what has arrived, with its header. */
  static int recordLength(InputBuffer wire, int offset) {
    int available = wire.length() - offset;
    int at = wire.start() + offset;
    if (available < RECORD_HEADER_BYTES) {
      return INCOMPLETE;
    }
    int type = wire.bytes().getByte(at);
    int length = (wire.bytes().getShort(at + 3, BIG_ENDIAN) & 0xffff) + RECORD_HEADER_BYTES;
    if (type < FIRST_TYPE
        || type > LAST_TYPE
        || wire.bytes().getByte(at + 1) != MAJOR_VERSION
        || length > MAX_RECORD_BYTES) {
      return NO_RECORD;
    }
    return available < length ? INCOMPLETE : length;
  }

  /**
   * Has the whole records at the front of what has arrived worked on.
   *
   * @param length of those records together
   * @param then gets the outcome on a helper's thread
   */
  void handshake(InputBuffer wire, int length, Consumer<Step> then) {
    byte[] records = new byte[length];
    wire.bytes().getBytes(wire.start(), records);
    helpers.execute(() -> then.accept(step(records)));
    working = true;
  }

  /** Takes over what {@link #handshake} brought about; on the core's thread. */
  void endStep(Step step) {
    working = false;
    handshaking = step.handshaking;
  }

  private Step step(byte[] records) {
    ByteBuffer plain = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
    ByteBuffer out = ByteBuffer.allocate(TlsEngine.MIN_ROOM_BYTES);
    ByteArrayOutputStream replies = new ByteArrayOutputStream();
    String failure = null;
    int position = 0;
    try {
      while (position < records.length && engine.isHandshaking() && !engine.isInputClosed()) {
        int length =
            RECORD_HEADER_BYTES
                + ((records[position + 3] & 0xff) << 8)
                + (records[position + 4] & 0xff);
        engine.unwrap(ByteBuffer.wrap(records, position, length), plain.clear());
        position += length;
        drain(out, replies);
      }
      if (engine.isInputClosed()) {
        failure = "the client ended the handshake";
      }
    } catch (TlsException e) {
      failure = e.getMessage();
      tryToDrain(out, replies);
    }
    return new Step(
        position, ByteBuffer.wrap(replies.toByteArray()), engine.isHandshaking(), failure);
  }

  private void drain(ByteBuffer out, ByteArrayOutputStream replies) throws TlsException {
    while (engine.hasOutput()) {
      engine.output(out.clear());
      byte[] records = new byte[out.flip().remaining()];
      out.get(records);
      replies.writeBytes(records);
    }
  }

  /** The alert that says why; a client that does not get it only knows less. */
  private void tryToDrain(ByteBuffer out, ByteArrayOutputStream replies) {
    try {
      drain(out, replies);
    } catch (TlsException e) {
      replies.reset();
    }
  }

  /** Decrypts the record of {@code length} at the front of what has arrived, and consumes it. */
  void unwrap(InputBuffer wire, int length, ByteBuffer record, ByteBuffer plain)
      throws TlsException {
    wire.bytes().getBytes(wire.start(), record.clear(), length);
    wire.consume(length);
    engine.unwrap(record.flip(), plain.clear());
  }

  /**
   * Makes a record of what TLS has to say or else of the front of the output.
   *
   * @return whether there was anything
   */
  boolean nextRecord(ByteBuffer plain, ByteBuffer record) throws TlsException {
    record.clear();
    if (engine.hasOutput()) {
      engine.output(record);
      return true;
    }
    output.take(plain.clear().limit(FRAGMENT_BYTES));
    if (!plain.flip().hasRemaining()) {
      return false;
    }
    while (plain.hasRemaining()) {
      engine.wrap(plain, record);
    }
    return true;
  }

  /** Says that nothing more follows; false when that was said before. */
  boolean closeOutput() {
    if (outputClosed) {
      return false;
    }
    outputClosed = true;
    engine.closeOutput();
    return true;
  }
}
