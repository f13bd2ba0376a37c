package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_CACHE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_DF;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FAST_ZERO;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FUA;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_NO_HOLE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_PAYLOAD_LEN;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_REQ_ONE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.MINIMUM_BLOCK_BYTES;

import io.plinth.target.volume.Volume;

/**
 * Every rule about the fields of a request, and the errno that breaking it gives. What passes here
 * is executed without further questions.
 */
final class RequestValidator {
  private static final int UNKNOWN = -1;

  /** Most that one request zeroes or trims: the number of blocks fits a record of the log. */
  static final long MAX_CHANGED_BYTES = 1L << 42;

  /** Most that one request claims space for, an entry of the index for each block. */
  static final long MAX_ALLOCATED_BYTES = 1L << 32;

  private RequestValidator() {}

  /**
   * Judges a request; DISC never comes here.
   *
   * @param offset unsigned
   * @param length unsigned
   * @return the first rule that is broken, or null
   */
  static Violation validate(
      Export export, boolean shuttingDown, int command, int flags, long offset, long length) {
    int allowed = allowedFlags(export, command);
    boolean payload = command == CMD_READ || command == CMD_WRITE;
    boolean beyondEnd = isBeyondEnd(export, offset, length);

    if (shuttingDown) return Violation.SHUTTING_DOWN;
    if (allowed == UNKNOWN) return Violation.UNKNOWN_COMMAND;
    if ((flags & ~allowed) != 0) return Violation.UNKNOWN_FLAG;
    if (export.readOnly() && (isWriting(command) || command == CMD_RESIZE))
      return Violation.READ_ONLY;
    if (command == CMD_RESIZE) return validateResize(offset, length);
    if (command == CMD_BLOCK_STATUS && export.contexts().isEmpty()) return Violation.NO_CONTEXT;
    if (command == CMD_FLUSH) return (offset | length) == 0 ? null : Violation.RESERVED_FIELD;
    if (payload && Long.compareUnsigned(length, export.maxPayloadBytes()) > 0)
      return Violation.TOO_LONG;
    if (beyondEnd && growsByWriting(command)) return Violation.NO_SPACE_BEYOND_END;
    if (beyondEnd) return Violation.BEYOND_END;
    if (isChangingTooMuch(command, flags, length)) return Violation.CHANGES_TOO_MUCH;
    if (((offset | length) & (MINIMUM_BLOCK_BYTES - 1)) != 0) return Violation.MISALIGNED;
    if (command == CMD_BLOCK_STATUS && length == 0) return Violation.EMPTY_RANGE;
    return null;
  }

  /** The new size is where other commands have the offset. */
  private static Violation validateResize(long size, long length) {
    if (length != 0) return Violation.RESERVED_LENGTH;
    if ((size & (MINIMUM_BLOCK_BYTES - 1)) != 0) return Violation.BAD_SIZE;
    if (Long.compareUnsigned(size, Volume.MINIMUM_BYTES) < 0) return Violation.BAD_SIZE;
    if (Long.compareUnsigned(size, Volume.MAXIMUM_BYTES) > 0) return Violation.TOO_LARGE;
    return null;
  }

  /** Returns whether a command changes the blocks of the volume. */
  static boolean isWriting(int command) {
    return command == CMD_WRITE || command == CMD_TRIM || command == CMD_WRITE_ZEROES;
  }

  /** FUA is accepted on every command because SEND_FUA is set, also where it means nothing. */
  private static int allowedFlags(Export export, int command) {
    int payload = export.format() == ReplyFormat.EXTENDED ? CMD_FLAG_PAYLOAD_LEN : 0;
    return switch (command) {
      case CMD_READ -> CMD_FLAG_FUA | (export.format().hasChunks() ? CMD_FLAG_DF : 0);
      case CMD_WRITE -> CMD_FLAG_FUA | payload;
      case CMD_FLUSH, CMD_TRIM, CMD_CACHE -> CMD_FLAG_FUA;
      case CMD_WRITE_ZEROES -> CMD_FLAG_FUA | CMD_FLAG_NO_HOLE | CMD_FLAG_FAST_ZERO;
      case CMD_BLOCK_STATUS -> CMD_FLAG_FUA | CMD_FLAG_REQ_ONE | payload;
      case CMD_RESIZE -> export.resizable() ? CMD_FLAG_FUA : UNKNOWN;
      default -> UNKNOWN;
    };
  }

  /** What is 2^63 or more is negative here, and the subtraction can't overflow. */
  private static boolean isBeyondEnd(Export export, long offset, long length) {
    return offset < 0
        || length < 0
        || offset > export.sizeBytes()
        || length > export.sizeBytes() - offset;
  }

  private static boolean isChangingTooMuch(int command, int flags, long length) {
    boolean allocates = command == CMD_WRITE_ZEROES && (flags & CMD_FLAG_NO_HOLE) != 0;
    return isWriting(command) && length > (allocates ? MAX_ALLOCATED_BYTES : MAX_CHANGED_BYTES);
  }

  private static boolean growsByWriting(int command) {
    return command == CMD_WRITE || command == CMD_WRITE_ZEROES;
  }
}
