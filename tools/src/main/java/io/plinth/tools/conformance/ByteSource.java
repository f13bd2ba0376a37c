package io.plinth.tools.conformance;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where a decoder takes bytes from. */
interface ByteSource {
  /**
   * Reads exactly that many bytes.
   *
   * @throws ClosedException when the stream ends before
   * @throws NoAnswerException when they don't come in time
   */
  ByteBuffer read(int count) throws IOException;
}
