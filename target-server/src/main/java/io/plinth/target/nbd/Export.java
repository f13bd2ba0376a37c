package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.FLAG_CAN_MULTI_CONN;
import static io.plinth.target.nbd.NbdProtocol.FLAG_HAS_FLAGS;
import static io.plinth.target.nbd.NbdProtocol.FLAG_READ_ONLY;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_CACHE;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_DF;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FAST_ZERO;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FUA;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_TRIM;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_WRITE_ZEROES;

import io.plinth.target.volume.Volume;

/**
 * What was negotiated about one volume.
 *
 * @param sizeBytes size of the volume
 * @param readOnly writing commands fail
 * @param structuredReplies STRUCTURED_REPLY was acknowledged
 * @param allocationContext {@code base:allocation} was selected for this volume
 * @param maxPayloadBytes longest READ and WRITE
 */
record Export(
    long sizeBytes,
    boolean readOnly,
    boolean structuredReplies,
    boolean allocationContext,
    int maxPayloadBytes) {

  static Export of(
      Volume volume, boolean structuredReplies, boolean allocationContext, int maxPayloadBytes) {
    return new Export(
        volume.sizeBytes(),
        volume.readOnly(),
        structuredReplies,
        allocationContext,
        maxPayloadBytes);
  }

  /**
   * Returns the 16 transmission flags. CAN_MULTI_CONN always holds: a volume has one owner, so a
   * flush covers what was completed on any connection.
   */
  int transmissionFlags() {
    int flags =
        FLAG_HAS_FLAGS | FLAG_SEND_FLUSH | FLAG_SEND_FUA | FLAG_CAN_MULTI_CONN | FLAG_SEND_CACHE;
    if (readOnly) {
      flags |= FLAG_READ_ONLY;
    } else {
      flags |= FLAG_SEND_TRIM | FLAG_SEND_WRITE_ZEROES | FLAG_SEND_FAST_ZERO;
    }
    if (structuredReplies) {
      flags |= FLAG_SEND_DF;
    }
    return flags;
  }
}
