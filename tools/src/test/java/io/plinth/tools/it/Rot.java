package io.plinth.tools.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** A bit that changes on the disk. */
final class Rot {
  private static final int SEARCHED_BYTES = 8 << 20;

  /** What CRC32C divides by, as its bits are in memory: no checksum sees it added. */
  private static final long POLYNOMIAL = 0x82F63B78L << 1 | 1;

  private Rot() {}

  /**
   * Flips a bit of a block in the first segment of a data directory that no server uses.
   *
   * @param block its content, which no other block may have
   * @return where the block is in the segment's file
   */
  static long flip(Path data, byte[] block) throws IOException {
    return change(data, block, 4);
  }

  /** Changes a block so that its checksum stays what it was; else as the other one. */
  static long forge(Path data, byte[] block) throws IOException {
    return change(data, block, POLYNOMIAL);
  }

  private static long change(Path data, byte[] block, long added) throws IOException {
    Path segment = data.resolve("log-0/segment-00000000");
    try (FileChannel file =
        FileChannel.open(segment, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      byte[] found = new byte[block.length];
      for (long at = 0; at < SEARCHED_BYTES; at += block.length) {
        file.read(ByteBuffer.wrap(found), at);
        if (Arrays.equals(found, block)) {
          for (int i = 0; i < Long.BYTES; i++) {
            found[1000 + i] ^= (byte) (added >>> (i * Byte.SIZE));
          }
          file.write(ByteBuffer.wrap(found), at);
          file.force(true);
          return at;
        }
      }
    }
    throw new AssertionError("the block is not in the first segment");
  }
}
