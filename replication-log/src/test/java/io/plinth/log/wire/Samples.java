package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.engine.sim.SimRandom;
import io.plinth.log.format.LogFormat;
import io.plinth.log.format.RecordHeader;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/** Messages and entries by chance, with the memory that the entries lie in. */
final class Samples implements EntrySource {
  static final MessageType[] SMALL = {
    MessageType.PRE_VOTE,
    MessageType.PRE_VOTE_RESPONSE,
    MessageType.REQUEST_VOTE,
    MessageType.REQUEST_VOTE_RESPONSE,
    MessageType.HEARTBEAT,
    MessageType.APPEND_RESPONSE,
    MessageType.TIMEOUT_NOW
  };
  private static final int MEMORY_BYTES = 48 << 20;

  /** What an entry holds, as plain values. */
  record Entry(
      int type, int flags, long firstBlock, int count, long trailerAddress, long payloadAddress) {}

  final NativeMemory memory = NativeMemory.reserve(MEMORY_BYTES);
  final UnsafeBuffer buffer = memory.buffer(0, MEMORY_BYTES);
  final TreeMap<Long, Entry> entries = new TreeMap<>();
  final List<Long> pins = new ArrayList<>();
  private final CRC32C crc = new CRC32C();
  private int trailerEnd;
  private int payloadEnd = 8 << 20;
  int releases;

  /** Forgets all entries. */
  void clear() {
    entries.clear();
    trailerEnd = 0;
    payloadEnd = 8 << 20;
  }

  /** Makes an entry's content at the next free places. */
  Entry put(long index, int type, int flags, long firstBlock, int count, SimRandom random) {
    int trailer = trailerEnd;
    int payload = payloadEnd;
    if (type == RecordHeader.WRITE) {
      for (int i = 0; i < count; i++) {
        int at = payload + i * LogFormat.BLOCK_BYTES;
        for (int j = 0; j < LogFormat.BLOCK_BYTES; j += 512) {
          buffer.putLong(at + j, random.nextLong());
        }
        int sum = memory.crc32c(crc, memory.address() + at, LogFormat.BLOCK_BYTES);
        buffer.putInt(trailer + 4 * i, sum, ByteOrder.LITTLE_ENDIAN);
      }
      payloadEnd += count * LogFormat.BLOCK_BYTES;
      if (random.oneIn(3)) {
        // What follows does not lie behind it.
        payloadEnd += LogFormat.BLOCK_BYTES;
      }
    } else if (type == RecordHeader.COMMAND) {
      for (int i = 0; i < count; i++) {
        buffer.putByte(trailer + i, (byte) random.nextInt(256));
      }
    }
    trailerEnd += EntryBody.trailerBytes(type, count);
    Entry entry =
        new Entry(
            type, flags, firstBlock, count, memory.address() + trailer, memory.address() + payload);
    entries.put(index, entry);
    return entry;
  }

  @Override
  public boolean describe(long index, EntryBody body) {
    Entry entry = entries.get(index);
    if (entry == null) {
      return false;
    }
    body.type = entry.type;
    body.flags = entry.flags;
    body.firstBlock = entry.firstBlock;
    body.count = entry.count;
    body.trailerAddress = entry.trailerAddress;
    body.payloadAddress = entry.payloadAddress;
    body.region = 7;
    return true;
  }

  @Override
  public long pin(EntryBody body) {
    pins.add(body.payloadAddress);
    return body.payloadAddress;
  }

  @Override
  public void release(long token) {
    if (!pins.remove((Long) token)) {
      throw new IllegalStateException("released what was not lent");
    }
    releases++;
  }

  void close() {
    memory.close();
  }

  /** Returns a message with a value in every field that its type has on the wire. */
  static Message small(SimRandom random) {
    Message m = new Message().reset(SMALL[random.nextInt(SMALL.length)], 3, 4);
    common(m, random);
    switch (m.type) {
      case PRE_VOTE, REQUEST_VOTE -> {
        m.index = number(random);
        m.logTerm = number(random);
        m.round = number(random);
      }
      case PRE_VOTE_RESPONSE, REQUEST_VOTE_RESPONSE -> m.round = number(random);
      case HEARTBEAT -> leader(m, random);
      case APPEND_RESPONSE -> {
        m.index = number(random);
        m.logTerm = number(random);
        m.refusedIndex = number(random);
        m.appended = number(random);
        m.durable = number(random);
        m.round = number(random);
        m.tick = number(random);
      }
      default -> {}
    }
    return m;
  }

  /** Returns an APPEND with some entries, whose content is put here. */
  Message append(SimRandom random, int maxEntries, int maxBlocks) {
    clear();
    Message m = new Message().reset(MessageType.APPEND, 3, 4);
    common(m, random);
    leader(m, random);
    m.index = random.nextInt(1_000_000);
    m.logTerm = random.nextInt(100);
    for (int i = random.nextInt(maxEntries + 1); i > 0; i--) {
      EntryKind kind = WireFormat.entryKind(random.nextInt(10) < 6 ? 1 : 1 + random.nextInt(6));
      int subject = WireFormat.number(kind) >= 4 ? random.nextInt(9) : -1;
      long index = m.index + m.entryCount + 1;
      int length = 0;
      if (kind == EntryKind.PAYLOAD) {
        int type = 1 + random.nextInt(3);
        int count = type == RecordHeader.UNMAP ? 1 << random.nextInt(31) : 1;
        count += type == RecordHeader.UNMAP ? 0 : random.nextInt(maxBlocks);
        Entry _ = put(index, type, random.nextInt(4), number(random) >>> 1, count, random);
        length = EntryBody.lengthBytes(type, count);
      }
      m.addEntry(number(random), kind, subject, -1, length);
    }
    return m;
  }

  private static void common(Message m, SimRandom random) {
    m.incarnation = 77;
    m.term = number(random);
    m.epoch = number(random);
    m.granted = random.oneIn(2);
    m.recovering = random.oneIn(2);
    m.logOk = random.oneIn(2);
    m.transfer = random.oneIn(2);
    m.recoveryElection = random.oneIn(2);
    m.quiet = random.oneIn(2);
  }

  private static void leader(Message m, SimRandom random) {
    m.commit = number(random);
    m.round = number(random);
    m.tick = number(random);
    m.recoverIncarnation = number(random);
    m.recoverTo = number(random);
  }

  /** Numbers of all lengths. */
  private static long number(SimRandom random) {
    return random.nextLong() >>> random.nextInt(64);
  }

  /** Returns all fields in words, places left out. */
  static String text(Message m) {
    StringBuilder text = new StringBuilder();
    text.append(m.type).append(' ').append(m.from).append('>').append(m.to);
    long[] numbers = {
      m.term,
      m.incarnation,
      m.index,
      m.logTerm,
      m.refusedIndex,
      m.commit,
      m.epoch,
      m.appended,
      m.durable,
      m.round,
      m.tick,
      m.recoverIncarnation,
      m.recoverTo,
      m.ticket,
      m.vote
    };
    for (long number : numbers) {
      text.append(' ').append(number);
    }
    boolean[] flags = {m.granted, m.recovering, m.logOk, m.transfer, m.recoveryElection, m.quiet};
    for (boolean flag : flags) {
      text.append(flag ? '+' : '-');
    }
    for (int i = 0; i < m.entryCount; i++) {
      text.append(' ').append(m.kinds[i]).append(':').append(m.terms[i]);
      text.append(':').append(m.subjects[i]).append(':').append(m.lengthsBytes[i]);
    }
    return text.toString();
  }
}
