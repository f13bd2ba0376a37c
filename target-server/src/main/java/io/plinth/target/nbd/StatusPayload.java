package io.plinth.target.nbd;

import static java.nio.ByteOrder.BIG_ENDIAN;

import io.plinth.target.volume.StatusContext;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;

/**
 * What a BLOCK_STATUS with a payload asks for:
 *
 * <pre>
 *   | effect length 8 | context 4 | ... |
 * </pre>
 *
 * @param length of the range, unsigned
 * @param contexts those that are named; null when one was not selected, or is named twice
 */
record StatusPayload(long length, List<StatusContext> contexts) {
  private static final int LENGTH_BYTES = 8;
  private static final int ID_BYTES = 4;
  private static final int MAX_BYTES = LENGTH_BYTES + ID_BYTES * NbdProtocol.MAX_CONTEXTS;

  /** Returns whether a payload of that length can be parsed. */
  static boolean isSane(long bytes) {
    return bytes >= LENGTH_BYTES + ID_BYTES && bytes <= MAX_BYTES && bytes % ID_BYTES == 0;
  }

  static StatusPayload parse(DirectBuffer buffer, int at, int bytes, List<StatusContext> selected) {
    long length = buffer.getLong(at, BIG_ENDIAN);
    List<StatusContext> named = new ArrayList<>();
    for (int i = LENGTH_BYTES; i < bytes; i += ID_BYTES) {
      int id = buffer.getInt(at + i, BIG_ENDIAN);
      StatusContext found =
          selected.stream().filter(context -> context.id() == id).findFirst().orElse(null);
      if (found == null || named.contains(found)) {
        return new StatusPayload(length, null);
      }
      named.add(found);
    }
    return new StatusPayload(length, named);
  }
}
