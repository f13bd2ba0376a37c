package io.plinth.target.volume;

import java.nio.ByteOrder;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * What a leaf of an index says of its blocks, without places, as members tell each other:
 *
 * <pre>
 *   0                448               448 + 448 * 4
 *  +----------------+------------------+
 *  | 448 states u8  | 448 CRC32C u32   |
 *  +----------------+------------------+
 *
 *  state: 0 unmapped, 1 zeroes with a claim on space, 2 data
 * </pre>
 */
final class LeafMap {
  static final int BLOCKS = IndexSpace.LEAF_BLOCKS;
  static final int BYTES = BLOCKS * 5;
  static final int UNMAPPED = 0;
  static final int ZERO = 1;
  static final int DATA = 2;

  final byte[] states = new byte[BLOCKS];
  final int[] checksums = new int[BLOCKS];

  static int state(long place) {
    return place == IndexSpace.UNMAPPED
        ? UNMAPPED
        : place == IndexSpace.ALLOCATED_ZERO ? ZERO : DATA;
  }

  /** Writes what a leaf page in memory says. */
  static void encode(long leafAddress, MutableDirectBuffer out) {
    for (int i = 0; i < BLOCKS; i++) {
      int state = state(IndexSpace.place(leafAddress, i));
      out.putByte(i, (byte) state);
      int checksum = state == DATA ? IndexSpace.checksum(leafAddress, i) : 0;
      out.putInt(BLOCKS + 4 * i, checksum, ByteOrder.LITTLE_ENDIAN);
    }
  }

  /** Reads it back; returns whether it makes sense. */
  boolean decode(DirectBuffer in, int length) {
    if (length != BYTES) {
      return false;
    }
    in.getBytes(0, states);
    for (int i = 0; i < BLOCKS; i++) {
      if (states[i] < UNMAPPED || states[i] > DATA) {
        return false;
      }
      checksums[i] = in.getInt(BLOCKS + 4 * i, ByteOrder.LITTLE_ENDIAN);
    }
    return true;
  }
}
