package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.Closeable;
import java.io.IOException;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * One connection to the server: sends what it is told to, right or wrong, and reads strictly. Each
 * wait ends at the deadline of the check, or earlier.
 */
final class ClientConnection implements ByteSource, Closeable {
  private static final int BUFFER_BYTES = 64 << 10;

  /** More replies than any honest answer to one option has. */
  private static final int MOST_REPLIES = 100_000;

  private final Deadline deadline;
  private final long waitMs;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES).flip();
  private Wire wire;

  /** A reply to an option. */
  record OptionReply(int type, ByteBuffer data) {
    boolean isError() {
      return (type & Nbd.REP_ERROR) != 0;
    }

    @Override
    public String toString() {
      return Nbd.replyName(type);
    }
  }

  /**
   * All replies to an option.
   *
   * @param last ACK or an error
   */
  record Answer(List<OptionReply> before, OptionReply last) {
    boolean isAck() {
      return last.type() == Nbd.REP_ACK;
    }

    boolean is(int type) {
      return last.type() == type;
    }

    /** Returns the payload behind the type of an INFO reply, or null. */
    ByteBuffer info(int type) {
      for (OptionReply reply : before) {
        if (reply.type() == Nbd.REP_INFO && reply.data().getShort(0) == type) {
          return reply.data().slice(2, reply.data().limit() - 2);
        }
      }
      return null;
    }

    @Override
    public String toString() {
      return last.toString();
    }
  }

  /**
   * A connection.
   *
   * @param waitMs how long one answer is waited for
   */
  ClientConnection(Wire wire, Deadline deadline, long waitMs) {
    this.wire = wire;
    this.deadline = deadline;
    this.waitMs = waitMs;
  }

  Wire wire() {
    return wire;
  }

  Deadline deadline() {
    return deadline.atMost(waitMs);
  }

  /** Goes on over another wire; what was received before is forgotten. */
  void switchTo(Wire other) {
    wire = other;
    buffer.clear().flip();
  }

  // Bytes.

  void send(byte[]... parts) throws IOException {
    int length = 0;
    for (byte[] part : parts) {
      length += part.length;
    }
    ByteBuffer all = ByteBuffer.allocate(length);
    for (byte[] part : parts) {
      ByteBuffer _ = all.put(part);
    }
    try {
      wire.write(all.flip(), deadline());
    } catch (NoAnswerException e) {
      throw e;
    } catch (IOException e) {
      throw closed(e);
    }
  }

  @Override
  public ByteBuffer read(int count) throws IOException {
    ByteBuffer result = ByteBuffer.allocate(count);
    Deadline end = deadline();
    while (result.hasRemaining()) {
      if (!buffer.hasRemaining() && !fill(end)) {
        throw new ClosedException();
      }
      int piece = Math.min(result.remaining(), buffer.remaining());
      ByteBuffer _ = result.put(buffer.slice(buffer.position(), piece));
      buffer.position(buffer.position() + piece);
    }
    return result.flip();
  }

  private boolean fill(Deadline end) throws IOException {
    buffer.clear();
    try {
      return wire.read(buffer, end) >= 0;
    } catch (NoAnswerException e) {
      throw e;
    } catch (IOException e) {
      throw closed(e);
    } finally {
      buffer.flip();
    }
  }

  private static IOException closed(IOException e) {
    if (e instanceof SocketException
        || String.valueOf(e.getMessage()).contains("Broken pipe")
        || String.valueOf(e.getMessage()).contains("reset")) {
      IOException closed = new ClosedException();
      closed.addSuppressed(e);
      return closed;
    }
    return e;
  }

  /** The server must close, without another word. */
  void expectEnd(String after) throws IOException {
    int extra;
    try {
      extra = read(1).get();
    } catch (ClosedException _) {
      return;
    } catch (NoAnswerException _) {
      throw Broken.here(after + ": the connection stays open");
    }
    throw Broken.here(after + ": an answer instead of the end, first byte " + (extra & 0xff));
  }

  /** Returns whether the server has closed, or does before it says anything. */
  boolean hasEnded() throws IOException {
    if (buffer.hasRemaining()) {
      return false;
    }
    return !tryFill();
  }

  private boolean tryFill() throws IOException {
    try {
      return fill(deadline());
    } catch (ClosedException _) {
      return false;
    }
  }

  // Negotiation.

  /** Reads the greeting and returns the handshake flags. */
  int greeting() throws IOException {
    ByteBuffer greeting = read(18);
    long first = greeting.getLong();
    long second = greeting.getLong();
    if (first != Nbd.INIT_MAGIC || second != Nbd.OPTION_MAGIC) {
      throw Broken.rule(
          "H1", "no newstyle greeting: " + Long.toHexString(first) + Long.toHexString(second));
    }
    return greeting.getShort() & 0xffff;
  }

  /** Sends an option and reads all its replies. */
  Answer option(int option, byte[] data) throws IOException {
    send(Packet.option(option, data));
    return answer(option);
  }

  /** Reads all replies to an option. */
  Answer answer(int option) throws IOException {
    List<OptionReply> before = new ArrayList<>();
    while (before.size() < MOST_REPLIES) {
      OptionReply reply = optionReply(option);
      if (reply.type() == Nbd.REP_ACK || reply.isError()) {
        return new Answer(before, reply);
      }
      before.add(reply);
    }
    throw Broken.rule("H5", Nbd.optionName(option) + ": replies without an end");
  }

  private OptionReply optionReply(int option) throws IOException {
    String name = Nbd.optionName(option);
    ByteBuffer header = read(20);
    long magic = header.getLong();
    int echoed = header.getInt();
    int type = header.getInt();
    long length = header.getInt() & 0xffffffffL;
    if (magic != Nbd.OPTION_REPLY_MAGIC) {
      throw Broken.rule("H5", name + ": the reply's magic is 0x" + Long.toHexString(magic));
    }
    if (echoed != option) {
      throw Broken.rule("H5", name + ": the reply is to " + Nbd.optionName(echoed));
    }
    if (length > 1 << 20) {
      throw Broken.rule("H5", name + ": a reply of " + length + " bytes");
    }
    OptionReply reply = new OptionReply(type, read((int) length));
    OptionReplies.judge(option, reply);
    return reply;
  }

  @Override
  public void close() {
    wire.close();
  }
}
