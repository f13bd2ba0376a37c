package io.plinth.log.wire;

import io.plinth.raft.core.EntryKind;
import io.plinth.raft.core.MessageType;

/**
 * Constants of the peer protocol. All numbers are little-endian; checksums are CRC32C.
 *
 * <p>A connection joins one log to one log of another node. Each side begins with a {@link Hello};
 * a side that can't go on says so with a {@link Refusal} and closes. Then come frames, each with
 * the header of {@link FrameHeader}.
 *
 * <p>What a later version may do without a new {@code minVersion}: make hello and messages longer
 * at their ends, and add types of frames and messages. Whoever does not know a type skips it and
 * says so, once for each type, with a frame REFUSED; the connection lives.
 *
 * <p>Version 2 has the flag {@link #QUIET}. Who speaks version 1 takes no notice of it: a leader
 * offers rest in vain then, and the group stays awake.
 */
public final class WireFormat {
  /** The newest version that this program speaks. */
  public static final int VERSION = 2;

  /** The oldest version that this program speaks. */
  public static final int MIN_VERSION = 1;

  /** Frame: messages without payload, of any groups. */
  public static final int MESSAGES = 1;

  /** Frame: entries of one group, with their payload behind the header. */
  public static final int APPEND = 2;

  /** Frame: a type that was not understood. */
  public static final int REFUSED = 3;

  /** Frame: a step of a resync of one group. */
  public static final int RESYNC = 4;

  /** The most bytes of a frame's header; a write of 32 MiB needs 32 KiB for its checksums. */
  public static final int MAX_HEADER_BYTES = 48 * 1024;

  /** The most bytes of a frame's payload. */
  public static final int MAX_PAYLOAD_BYTES = 32 << 20;

  /** The most entries of a frame. */
  public static final int MAX_ENTRIES = 256;

  static final int GRANTED = 1;
  static final int RECOVERING = 2;
  static final int LOG_OK = 4;
  static final int TRANSFER = 8;
  static final int RECOVERY_ELECTION = 16;
  static final int QUIET = 32;
  static final int LOST_DISK = 64;

  /** Message: its number is beside those of the messages of consensus. */
  static final int SYNC = 8;

  private WireFormat() {}

  /** Returns a message type's number, 0 for one that is not sent to peers. */
  static int number(MessageType type) {
    return switch (type) {
      case PRE_VOTE -> 1;
      case PRE_VOTE_RESPONSE -> 2;
      case REQUEST_VOTE -> 3;
      case REQUEST_VOTE_RESPONSE -> 4;
      case HEARTBEAT -> 5;
      case APPEND_RESPONSE -> 6;
      case TIMEOUT_NOW -> 7;
      case APPEND, APPENDED, DURABLE, HARD_STATE_DURABLE -> 0;
    };
  }

  /** Returns the type with a number, or null when there is none. */
  static MessageType messageType(int number) {
    return switch (number) {
      case 1 -> MessageType.PRE_VOTE;
      case 2 -> MessageType.PRE_VOTE_RESPONSE;
      case 3 -> MessageType.REQUEST_VOTE;
      case 4 -> MessageType.REQUEST_VOTE_RESPONSE;
      case 5 -> MessageType.HEARTBEAT;
      case 6 -> MessageType.APPEND_RESPONSE;
      case 7 -> MessageType.TIMEOUT_NOW;
      default -> null;
    };
  }

  /** Returns the number of a kind of entry, in messages and in the log. */
  public static int number(EntryKind kind) {
    return switch (kind) {
      case PAYLOAD -> 1;
      case NO_OP -> 2;
      case EPOCH -> 3;
      case ADD_LEARNER -> 4;
      case PROMOTE -> 5;
      case REMOVE -> 6;
    };
  }

  /** Returns the kind of entry with a number, or null when there is none. */
  public static EntryKind entryKind(int number) {
    return switch (number) {
      case 1 -> EntryKind.PAYLOAD;
      case 2 -> EntryKind.NO_OP;
      case 3 -> EntryKind.EPOCH;
      case 4 -> EntryKind.ADD_LEARNER;
      case 5 -> EntryKind.PROMOTE;
      case 6 -> EntryKind.REMOVE;
      default -> null;
    };
  }

  static int padded(int bytes) {
    return (bytes + 7) & -8;
  }
}
