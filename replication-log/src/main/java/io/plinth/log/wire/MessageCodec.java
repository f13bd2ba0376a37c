package io.plinth.log.wire;

import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.nio.ByteOrder;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * A message within a frame MESSAGES; sender, receiver and incarnation are those of the connection.
 *
 * <pre>
 *   0      1       2              4       8               8 + 8n
 *  +------+-------+--------------+-------+------- ... ---+
 *  | type | flags | messageBytes | group |  n fields u64 |
 *  +------+-------+--------------+-------+------- ... ---+
 *
 *  type                        fields
 *  1 PRE_VOTE                  term epoch index logTerm round
 *  2 PRE_VOTE_RESPONSE         term epoch round
 *  3 REQUEST_VOTE              term epoch index logTerm round
 *  4 REQUEST_VOTE_RESPONSE     term epoch round
 *  5 HEARTBEAT                 term epoch commit round tick recoverIncarnation recoverTo
 *  6 APPEND_RESPONSE           term epoch index logTerm refusedIndex appended durable round tick
 *  7 TIMEOUT_NOW               term epoch
 *  8 SYNC                      index
 *
 *  flags: 1 granted, 2 recovering, 4 logOk, 8 transfer, 16 recoveryElection, from version 2 on: 32 quiet;
 *  64 lostDisk, which older ones pass over
 * </pre>
 *
 * SYNC is not one of consensus: the sender wants entries up to {@code index} durable at the
 * receiver as soon as it has them. A message may be longer than its fields: a later version has
 * more of them.
 */
final class MessageCodec {
  static final int HEADER_BYTES = 8;
  static final int MAX_BYTES = HEADER_BYTES + 9 * Long.BYTES;

  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private MessageCodec() {}

  /** Returns how many bytes a message of a type has at least. */
  static int bytes(MessageType type) {
    int fields =
        switch (type) {
          case PRE_VOTE, REQUEST_VOTE -> 5;
          case PRE_VOTE_RESPONSE, REQUEST_VOTE_RESPONSE -> 3;
          case HEARTBEAT -> 7;
          case APPEND_RESPONSE -> 9;
          case TIMEOUT_NOW -> 2;
          case APPEND, APPENDED, DURABLE, HARD_STATE_DURABLE ->
              throw new IllegalArgumentException(type + " is not sent so");
        };
    return HEADER_BYTES + fields * Long.BYTES;
  }

  /** The length of a SYNC at least. */
  static final int SYNC_BYTES = HEADER_BYTES + Long.BYTES;

  /** Writes a SYNC; returns where it ends. */
  static int encodeSync(MutableDirectBuffer buffer, int at, int group, long index) {
    buffer.putByte(at, (byte) WireFormat.SYNC);
    buffer.putByte(at + 1, (byte) 0);
    buffer.putShort(at + 2, (short) SYNC_BYTES, ORDER);
    buffer.putInt(at + 4, group, ORDER);
    return put(buffer, at + HEADER_BYTES, index);
  }

  /** Returns the only field of a SYNC. */
  static long syncIndex(DirectBuffer buffer, int at) {
    return field(buffer, at, 0);
  }

  static int flags(Message m) {
    return (m.granted ? WireFormat.GRANTED : 0)
        | (m.recovering ? WireFormat.RECOVERING : 0)
        | (m.logOk ? WireFormat.LOG_OK : 0)
        | (m.transfer ? WireFormat.TRANSFER : 0)
        | (m.recoveryElection ? WireFormat.RECOVERY_ELECTION : 0)
        | (m.quiet ? WireFormat.QUIET : 0)
        | (m.lostDisk ? WireFormat.LOST_DISK : 0);
  }

  static void flags(Message m, int flags) {
    m.granted = (flags & WireFormat.GRANTED) != 0;
    m.recovering = (flags & WireFormat.RECOVERING) != 0;
    m.logOk = (flags & WireFormat.LOG_OK) != 0;
    m.transfer = (flags & WireFormat.TRANSFER) != 0;
    m.recoveryElection = (flags & WireFormat.RECOVERY_ELECTION) != 0;
    m.quiet = (flags & WireFormat.QUIET) != 0;
    m.lostDisk = (flags & WireFormat.LOST_DISK) != 0;
  }

  /** Writes a message; returns where it ends. */
  static int encode(MutableDirectBuffer buffer, int at, int group, Message m) {
    int bytes = bytes(m.type);
    buffer.putByte(at, (byte) WireFormat.number(m.type));
    buffer.putByte(at + 1, (byte) flags(m));
    buffer.putShort(at + 2, (short) bytes, ORDER);
    buffer.putInt(at + 4, group, ORDER);
    int to = put(buffer, put(buffer, at + HEADER_BYTES, m.term), m.epoch);
    switch (m.type) {
      case PRE_VOTE, REQUEST_VOTE -> {
        to = put(buffer, to, m.index);
        to = put(buffer, to, m.logTerm);
        to = put(buffer, to, m.round);
      }
      case PRE_VOTE_RESPONSE, REQUEST_VOTE_RESPONSE -> to = put(buffer, to, m.round);
      case HEARTBEAT -> {
        to = put(buffer, to, m.commit);
        to = put(buffer, to, m.round);
        to = put(buffer, to, m.tick);
        to = put(buffer, to, m.recoverIncarnation);
        to = put(buffer, to, m.recoverTo);
      }
      case APPEND_RESPONSE -> {
        to = put(buffer, to, m.index);
        to = put(buffer, to, m.logTerm);
        to = put(buffer, to, m.refusedIndex);
        to = put(buffer, to, m.appended);
        to = put(buffer, to, m.durable);
        to = put(buffer, to, m.round);
        to = put(buffer, to, m.tick);
      }
      case TIMEOUT_NOW, APPEND, APPENDED, DURABLE, HARD_STATE_DURABLE -> {}
    }
    return to;
  }

  /** Reads the fields of a message whose type, sender and receiver are set. */
  static void decode(DirectBuffer buffer, int at, Message m) {
    flags(m, buffer.getByte(at + 1));
    m.term = field(buffer, at, 0);
    m.epoch = field(buffer, at, 1);
    switch (m.type) {
      case PRE_VOTE, REQUEST_VOTE -> {
        m.index = field(buffer, at, 2);
        m.logTerm = field(buffer, at, 3);
        m.round = field(buffer, at, 4);
      }
      case PRE_VOTE_RESPONSE, REQUEST_VOTE_RESPONSE -> m.round = field(buffer, at, 2);
      case HEARTBEAT -> {
        m.commit = field(buffer, at, 2);
        m.round = field(buffer, at, 3);
        m.tick = field(buffer, at, 4);
        m.recoverIncarnation = field(buffer, at, 5);
        m.recoverTo = field(buffer, at, 6);
      }
      case APPEND_RESPONSE -> {
        m.index = field(buffer, at, 2);
        m.logTerm = field(buffer, at, 3);
        m.refusedIndex = field(buffer, at, 4);
        m.appended = field(buffer, at, 5);
        m.durable = field(buffer, at, 6);
        m.round = field(buffer, at, 7);
        m.tick = field(buffer, at, 8);
      }
      case TIMEOUT_NOW, APPEND, APPENDED, DURABLE, HARD_STATE_DURABLE -> {}
    }
  }

  static int type(DirectBuffer buffer, int at) {
    return buffer.getByte(at) & 0xFF;
  }

  static int messageBytes(DirectBuffer buffer, int at) {
    return buffer.getShort(at + 2, ORDER) & 0xFFFF;
  }

  static int group(DirectBuffer buffer, int at) {
    return buffer.getInt(at + 4, ORDER);
  }

  static int put(MutableDirectBuffer buffer, int at, long value) {
    buffer.putLong(at, value, ORDER);
    return at + Long.BYTES;
  }

  private static long field(DirectBuffer buffer, int at, int i) {
    return buffer.getLong(at + HEADER_BYTES + i * Long.BYTES, ORDER);
  }
}
