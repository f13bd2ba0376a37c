package io.plinth.tools.conformance;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/** A stream of bytes to the server and back, on which nothing lasts longer than it is given. */
interface Wire extends Closeable {
  /**
   * Reads what there is, waiting for the first byte.
   *
   * @return how many bytes were read, or -1 at the end of the stream
   * @throws NoAnswerException when nothing came in time
   */
  int read(ByteBuffer into, Deadline deadline) throws IOException;

  /**
   * Writes all of it; throws {@link NoAnswerException} when the server does not take it in time.
   */
  void write(ByteBuffer from, Deadline deadline) throws IOException;

  @Override
  void close();
}
