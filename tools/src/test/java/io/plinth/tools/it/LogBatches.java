package io.plinth.tools.it;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Where the batches of a segment file are, read byte by byte without the product's code. */
final class LogBatches {
  private static final int BLOCK = 4096;
  private static final int SCANNED = 8 << 20;

  /** "PLNBATCH", little-endian. */
  private static final long MAGIC = 0x48435441424e4c50L;

  private static final int HEADER_BYTES = 80;

  /**
   * A batch.
   *
   * @param header offset of its header in bytes
   * @param headerEnd where its header ends
   * @param payload offset of its payload in bytes
   * @param end where its payload ends
   */
  record Batch(long header, long headerEnd, long payload, long end) {}

  private LogBatches() {}

  /** Returns the batches at the beginning of a segment file in order. */
  static List<Batch> in(Path segment) throws IOException {
    ByteBuffer content = ByteBuffer.allocate(SCANNED).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel file = FileChannel.open(segment)) {
      while (content.hasRemaining() && file.read(content) > 0) {
        // Reads on.
      }
    }
    List<Batch> batches = new ArrayList<>();
    for (int at = BLOCK; at + HEADER_BYTES <= content.position(); at += 8) {
      if (content.getLong(at) == MAGIC && content.getInt(at + 68) == at) {
        long payload = content.getInt(at + 72) * (long) BLOCK;
        long end = payload + content.getInt(at + 52) * (long) BLOCK;
        batches.add(new Batch(at, at + (long) content.getInt(at + 12), payload, end));
      }
    }
    return batches;
  }

  /** Returns the batch whose payload has a place. */
  static Batch with(Path segment, long place) throws IOException {
    return in(segment).stream()
        .filter(batch -> batch.payload() <= place && place < batch.end())
        .findFirst()
        .orElseThrow();
  }
}
