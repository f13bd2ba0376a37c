package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.CheckRun.must;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Data that can be told from other data, and steps that more than one check takes. */
final class Content {
  /** All block sizes that a server may have divide it. */
  static final int BLOCK = 64 << 10;

  private Content() {}

  /** Returns data without a zero byte, which depends on the seed at every place. */
  static byte[] random(long seed, int length) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] data = new byte[length];
    random.nextBytes(data);
    for (int i = 0; i < length; i++) {
      data[i] = data[i] == 0 ? 1 : data[i];
    }
    return data;
  }

  static void write(Transmission session, long offset, byte[] data) throws IOException {
    Reply reply = session.write(0, offset, data);
    must(reply.error() == 0, reply.request() + " is answered " + reply);
  }

  /** A READ must return this. */
  static void expect(Transmission session, long offset, byte[] data) throws IOException {
    Reply reply = session.read(offset, data.length);
    must(reply.error() == 0, reply.request() + " is answered " + reply);
    int at = Arrays.mismatch(data, reply.data());
    must(at < 0, reply.request() + ": wrong data from " + (offset + at) + " on");
  }

  static void succeed(Transmission session, int command, int flags, long offset, long length)
      throws IOException {
    Reply reply = session.call(command, flags, offset, length);
    must(reply.error() == 0, reply.request() + " is answered " + reply);
  }

  /** After whatever was sent before, the stream must still be in step. */
  static void inSync(CheckRun run, Transmission session) throws IOException {
    int length = Math.max(512, run.facts().minimum());
    try {
      Reply reply = session.read(0, length);
      must(reply.error() == 0, "a READ after it is answered " + reply);
    } catch (Broken e) {
      throw Broken.here("a READ after it: " + e.getMessage());
    }
  }

  /**
   * Writes data, then zeroes and holes between, so that what is read and asked for is not of one
   * kind; four blocks at the beginning.
   */
  static byte[] mixed(CheckRun run, Transmission session) throws IOException {
    byte[] data = random(7, 4 * BLOCK);
    write(session, 0, data);
    if (run.facts().has(Nbd.SEND_WRITE_ZEROES)) {
      succeed(session, Nbd.WRITE_ZEROES, 0, BLOCK, BLOCK);
      Arrays.fill(data, BLOCK, 2 * BLOCK, (byte) 0);
    }
    return data;
  }
}
