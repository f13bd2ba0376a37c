package io.plinth.target.nbd;

import static java.nio.charset.StandardCharsets.US_ASCII;

/**
 * Why a request is answered with an error: the errno of the protocol and a sentence for people,
 * which structured error chunks carry.
 */
enum Violation {
  SHUTTING_DOWN(NbdProtocol.ESHUTDOWN, "the server is shutting down"),
  UNKNOWN_COMMAND(NbdProtocol.EINVAL, "unknown command"),
  UNKNOWN_FLAG(NbdProtocol.EINVAL, "a command flag is unknown or does not apply"),
  READ_ONLY(NbdProtocol.EPERM, "the export is read-only"),
  NO_CONTEXT(NbdProtocol.EINVAL, "no metadata context was negotiated"),
  RESERVED_FIELD(NbdProtocol.EINVAL, "offset and length must be zero"),
  BAD_STATUS_PAYLOAD(NbdProtocol.EINVAL, "the payload does not name selected metadata contexts"),
  CHANGES_TOO_MUCH(NbdProtocol.EINVAL, "more than one request may change"),
  EMPTY_RANGE(NbdProtocol.EINVAL, "the range is empty"),
  TOO_LONG(NbdProtocol.EINVAL, "longer than the maximum block size"),
  RESERVED_LENGTH(NbdProtocol.EINVAL, "the length must be zero"),
  BAD_SIZE(NbdProtocol.EINVAL, "a size is a multiple of 512 bytes, at least 4096"),
  TOO_LARGE(NbdProtocol.ENOSPC, "larger than a volume can be"),
  BEYOND_END(NbdProtocol.EINVAL, "beyond the end of the export"),
  NO_SPACE_BEYOND_END(NbdProtocol.ENOSPC, "beyond the end of the export"),
  MISALIGNED(NbdProtocol.EINVAL, "not aligned to the minimum block size of 512 bytes");

  /** The errno as it goes on the wire. */
  final int error;

  /** ASCII; nobody writes to it. */
  @SuppressWarnings("ImmutableEnumChecker")
  final byte[] message;

  Violation(int error, String message) {
    this.error = error;
    this.message = message.getBytes(US_ASCII);
  }
}
