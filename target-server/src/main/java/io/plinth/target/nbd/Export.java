package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.FLAG_BLOCK_STATUS_PAYLOAD;
import static io.plinth.target.nbd.NbdProtocol.FLAG_CAN_MULTI_CONN;
import static io.plinth.target.nbd.NbdProtocol.FLAG_HAS_FLAGS;
import static io.plinth.target.nbd.NbdProtocol.FLAG_READ_ONLY;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_CACHE;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_DF;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FAST_ZERO;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FLUSH;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_FUA;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_RESIZE;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_TRIM;
import static io.plinth.target.nbd.NbdProtocol.FLAG_SEND_WRITE_ZEROES;

import io.plinth.target.volume.StatusContext;
import io.plinth.target.volume.Volume;
import java.util.List;

/**
 * What was negotiated about one volume.
 *
 * @param sizeBytes size of the volume
 * @param readOnly writing commands fail
 * @param format how requests are framed and answered
 * @param contexts what was selected for BLOCK_STATUS
 * @param maxPayloadBytes longest READ and WRITE
 * @param resizable RESIZE is a command
 */
record Export(
    long sizeBytes,
    boolean readOnly,
    ReplyFormat format,
    List<StatusContext> contexts,
    int maxPayloadBytes,
    boolean resizable) {

  static Export of(
      Volume volume, ReplyFormat format, List<StatusContext> contexts, NbdLimits limits) {
    return new Export(
        volume.sizeBytes(),
        volume.readOnly(),
        format,
        contexts,
        limits.maxPayloadBytes(),
        limits.resizable());
  }

  /** Returns the same with another size. */
  Export withSize(long newSizeBytes) {
    return new Export(newSizeBytes, readOnly, format, contexts, maxPayloadBytes, resizable);
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
    if (resizable) {
      // Also where it fails because the export is read-only: that is what its EPERM says.
      flags |= FLAG_SEND_RESIZE;
    }
    if (format.hasChunks()) {
      flags |= FLAG_SEND_DF;
    }
    if (format == ReplyFormat.EXTENDED) {
      flags |= FLAG_BLOCK_STATUS_PAYLOAD;
    }
    return flags;
  }
}
