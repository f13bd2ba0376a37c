package io.plinth.log.wire;

import io.plinth.engine.api.Connection;
import io.plinth.engine.memory.NativeMemory;
import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Puts frames on a connection. Small messages of all groups are gathered and leave in one frame
 * with {@link #flush}; the payload of entries is lent from where it lies.
 */
public final class FrameWriter {
  /** Nothing was queued: there is no room, and the connection's handler will be told of some. */
  public static final int NO_ROOM = -1;

  /** Nothing was queued: the first entry is not in memory. */
  public static final int NOT_IN_MEMORY = -2;

  private static final int MAX_MESSAGES_BYTES = 16 * 1024;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final NativeMemory memory =
      NativeMemory.reserve(WireFormat.MAX_HEADER_BYTES + MAX_MESSAGES_BYTES);
  private final UnsafeBuffer frame = memory.buffer(0, WireFormat.MAX_HEADER_BYTES);
  private final UnsafeBuffer messages =
      memory.buffer(WireFormat.MAX_HEADER_BYTES, MAX_MESSAGES_BYTES);
  private final CRC32C crc = new CRC32C();
  private final EntryBody body = new EntryBody();
  private int messagesEnd = FrameHeader.BYTES;
  private int messageCount;

  /** Creates a writer. */
  public FrameWriter() {}

  /** Frees the memory. */
  public void close() {
    memory.close();
  }

  /**
   * Adds a message to the next frame of messages.
   *
   * @return false when that frame is full and there is no room to send it: the message is dropped
   */
  public boolean add(Connection connection, int group, Message message) {
    if (messagesEnd + MessageCodec.MAX_BYTES > MAX_MESSAGES_BYTES && !flush(connection)) {
      return false;
    }
    messagesEnd = MessageCodec.encode(messages, messagesEnd, group, message);
    messageCount++;
    return true;
  }

  /** Adds a SYNC to the next frame of messages; returns what {@link #add} does. */
  public boolean addSync(Connection connection, int group, long index) {
    if (messagesEnd + MessageCodec.MAX_BYTES > MAX_MESSAGES_BYTES && !flush(connection)) {
      return false;
    }
    messagesEnd = MessageCodec.encodeSync(messages, messagesEnd, group, index);
    messageCount++;
    return true;
  }

  /** Sends the messages that were added; false when there is no room, and they stay. */
  public boolean flush(Connection connection) {
    return messageCount == 0 || sendMessages(connection);
  }

  /** Sends the messages that were added, or a frame without any: the sender lives. */
  public boolean sendMessages(Connection connection) {
    if (!connection.canSend(messagesEnd, 0)) {
      return false;
    }
    FrameHeader.encode(messages, 0, WireFormat.MESSAGES, 0, messagesEnd, 0, 0, messageCount);
    put(connection, memory, messages, messagesEnd);
    messagesEnd = FrameHeader.BYTES;
    messageCount = 0;
    return true;
  }

  /** Sends a step of a resync behind the messages that were added; false when there is no room. */
  public boolean resync(Connection connection, int group, ResyncFrame resync) {
    int bytes = resync.seal(group);
    if (!connection.canSend(messagesEnd + bytes, 0)) {
      return false;
    }
    boolean _ = flush(connection);
    put(connection, resync.memory(), resync.buffer(), bytes);
    return true;
  }

  /** Tells that a type was not understood; dropped when there is no room. */
  public void refuse(Connection connection, int frameType, int messageType) {
    int bytes = FrameHeader.BYTES + 8;
    if (connection.canSend(bytes, 0)) {
      FrameHeader.encode(frame, 0, WireFormat.REFUSED, 0, bytes, 0, 0, 0);
      frame.putShort(24, (short) frameType, ORDER);
      frame.putShort(26, (short) messageType, ORDER);
      frame.putShort(28, (short) WireFormat.VERSION, ORDER);
      frame.putShort(30, (short) 0, ORDER);
      put(connection, memory, frame, bytes);
    }
  }

  /**
   * Sends an APPEND, or as much of it as fits one frame and is in memory; what is left is sent as
   * if it were an APPEND of its own.
   *
   * @param first how many of the message's entries were sent before
   * @return how many entries were sent now, or {@link #NO_ROOM} or {@link #NOT_IN_MEMORY}
   */
  public int append(
      Connection connection, int group, Message message, int first, EntrySource source) {
    if (message.type != MessageType.APPEND) {
      throw new IllegalArgumentException(message.type.toString());
    }
    int end = AppendFrame.FIXED_BYTES;
    int count = 0;
    int references = 0;
    long payloadBytes = 0;
    long runEnd = 0;
    int runRegion = 0;
    for (int i = first; i < message.entryCount && count < WireFormat.MAX_ENTRIES; i++) {
      if (!describe(message, i, source)) {
        if (count == 0) {
          return NOT_IN_MEMORY;
        }
        break;
      }
      boolean fits =
          end + AppendFrame.entryBytes(body) <= WireFormat.MAX_HEADER_BYTES
              && payloadBytes + body.payloadBytes() <= WireFormat.MAX_PAYLOAD_BYTES;
      if (!fits) {
        if (count == 0) {
          throw new IllegalArgumentException("an entry of " + body.count + " fits no frame");
        }
        break;
      }
      end =
          AppendFrame.encodeEntry(
              frame, end, message.kinds[i], message.subjects[i], message.terms[i], body);
      if (body.payloadBytes() > 0) {
        references += runEnd == body.payloadAddress && runRegion == body.region ? 0 : 1;
        runEnd = body.payloadAddress + body.payloadBytes();
        runRegion = body.region;
        payloadBytes += body.payloadBytes();
      }
      count++;
    }
    if (!connection.canSend(end, references)) {
      return NO_ROOM;
    }
    FrameHeader.encode(
        frame,
        0,
        WireFormat.APPEND,
        MessageCodec.flags(message),
        end,
        (int) payloadBytes,
        group,
        count);
    AppendFrame.encodeFields(
        frame,
        message,
        message.index + first,
        first == 0 ? message.logTerm : message.terms[first - 1]);
    put(connection, memory, frame, end);
    lend(connection, message, first, count, source);
    return count;
  }

  private boolean describe(Message message, int i, EntrySource source) {
    if (message.kinds[i] != EntryKind.PAYLOAD) {
      EntryBody _ = body.clear();
      return true;
    }
    return source.describe(message.index + 1 + i, body);
  }

  /** Queues the payload by reference; what lies together goes together. */
  private void lend(
      Connection connection, Message message, int first, int count, EntrySource source) {
    long run = 0;
    int runBytes = 0;
    int runRegion = 0;
    long token = 0;
    for (int i = first; i < first + count; i++) {
      if (!describe(message, i, source)) {
        throw new IllegalStateException("entry " + (message.index + 1 + i) + " has gone");
      }
      int bytes = body.payloadBytes();
      if (bytes == 0) {
        continue;
      }
      if (runBytes > 0 && run + runBytes == body.payloadAddress && runRegion == body.region) {
        runBytes += bytes;
        continue;
      }
      send(connection, run, runBytes, source, token);
      run = body.payloadAddress;
      runBytes = bytes;
      runRegion = body.region;
      token = source.pin(body);
    }
    send(connection, run, runBytes, source, token);
  }

  private static void send(
      Connection connection, long address, int bytes, EntrySource source, long token) {
    if (bytes > 0 && !connection.send(address, bytes, source, token)) {
      throw new IllegalStateException("no room for a loan, though there was some");
    }
  }

  /** Seals a header and copies it to the connection, which has room for it. */
  private void put(Connection connection, NativeMemory region, UnsafeBuffer buffer, int bytes) {
    FrameHeader.crc(buffer, 0, region.crc32c(crc, buffer.addressOffset(), bytes));
    int at = 0;
    while (at < bytes) {
      int piece = Math.min(Connection.MAX_CLAIM_BYTES, bytes - at);
      int offset = connection.claim(piece);
      if (offset < 0) {
        throw new IllegalStateException("no room for a claim, though there was some");
      }
      connection.outputBuffer().putBytes(offset, buffer, at, piece);
      at += piece;
    }
  }
}
