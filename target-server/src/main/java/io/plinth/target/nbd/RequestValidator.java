package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_CACHE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_DF;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FAST_ZERO;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_FUA;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_NO_HOLE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_REQ_ONE;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.CMD_TRIM;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE;
import static io.plinth.target.nbd.NbdProtocol.CMD_WRITE_ZEROES;
import static io.plinth.target.nbd.NbdProtocol.MINIMUM_BLOCK_BYTES;

/**
 * Every rule about the fields of a request, and the errno that breaking it gives. What passes here
 * is executed without further questions.
 */
final class RequestValidator {
  private static final int UNKNOWN = -1;

  private RequestValidator() {}

  /**
   * Judges a request; DISC never comes here.
   *
   * @param offset unsigned
   * @param length 0 to 2^32 - 1
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
    if (export.readOnly() && isWriting(command)) return Violation.READ_ONLY;
    if (command == CMD_BLOCK_STATUS && !export.allocationContext()) return Violation.NO_CONTEXT;
    if (command == CMD_FLUSH) return (offset | length) == 0 ? null : Violation.RESERVED_FIELD;
    if (payload && length > export.maxPayloadBytes()) return Violation.TOO_LONG;
    if (beyondEnd && growsByWriting(command)) return Violation.NO_SPACE_BEYOND_END;
    if (beyondEnd) return Violation.BEYOND_END;
    if (((offset | length) & (MINIMUM_BLOCK_BYTES - 1)) != 0) return Violation.MISALIGNED;
    if (command == CMD_BLOCK_STATUS && length == 0) return Violation.EMPTY_RANGE;
    return null;
  }

  /** Returns whether a command changes the volume. */
  static boolean isWriting(int command) {
    return command == CMD_WRITE || command == CMD_TRIM || command == CMD_WRITE_ZEROES;
  }

  /** FUA is accepted on every command because SEND_FUA is set, also where it means nothing. */
  private static int allowedFlags(Export export, int command) {
    return switch (command) {
      case CMD_READ -> CMD_FLAG_FUA | (export.structuredReplies() ? CMD_FLAG_DF : 0);
      case CMD_WRITE, CMD_FLUSH, CMD_TRIM, CMD_CACHE -> CMD_FLAG_FUA;
      case CMD_WRITE_ZEROES -> CMD_FLAG_FUA | CMD_FLAG_NO_HOLE | CMD_FLAG_FAST_ZERO;
      case CMD_BLOCK_STATUS -> CMD_FLAG_FUA | CMD_FLAG_REQ_ONE;
      default -> UNKNOWN;
    };
  }

  /** An offset of 2^63 or more is negative here, and the subtraction can't overflow. */
  private static boolean isBeyondEnd(Export export, long offset, long length) {
    return offset < 0 || offset > export.sizeBytes() || length > export.sizeBytes() - offset;
  }

  private static boolean growsByWriting(int command) {
    return command == CMD_WRITE || command == CMD_WRITE_ZEROES;
  }
}
