package io.plinth.bench.load;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;

/** The client's side of the fixed newstyle negotiation, as short as it can be: flags and GO. */
final class Handshake {
  private static final long INIT_MAGIC = 0x4e42444d41474943L;
  private static final long OPTION_MAGIC = 0x49484156454f5054L;
  private static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
  private static final int FIXED_NEWSTYLE_NO_ZEROES = 3;
  private static final int OPT_GO = 7;
  private static final int REP_ACK = 1;
  private static final int REP_INFO = 3;
  private static final int MAX_REPLY_BYTES = 1 << 16;

  /**
   * What the server tells about an export.
   *
   * @param sizeBytes its size
   * @param flags the transmission flags
   */
  record Export(long sizeBytes, int flags) {
    boolean readOnly() {
      return (flags & 1 << 1) != 0;
    }

    boolean fua() {
      return (flags & 1 << 3) != 0;
    }
  }

  private Handshake() {}

  static Export open(SocketChannel channel, String name) throws IOException, LoadException {
    ByteBuffer greeting = read(channel, 18);
    if (greeting.getLong() != INIT_MAGIC || greeting.getLong() != OPTION_MAGIC) {
      throw new LoadException("the server does not speak NBD with newstyle negotiation");
    }
    if ((greeting.getShort() & FIXED_NEWSTYLE_NO_ZEROES) != FIXED_NEWSTYLE_NO_ZEROES) {
      throw new LoadException("the server does not speak fixed newstyle");
    }
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(4 + 16 + 6 + bytes.length);
    out.putInt(FIXED_NEWSTYLE_NO_ZEROES);
    out.putLong(OPTION_MAGIC).putInt(OPT_GO).putInt(6 + bytes.length);
    out.putInt(bytes.length).put(bytes).putShort((short) 0).flip();
    while (out.hasRemaining()) {
      channel.write(out);
    }
    Export export = null;
    while (true) {
      ByteBuffer header = read(channel, 20);
      if (header.getLong() != OPTION_REPLY_MAGIC || header.getInt() != OPT_GO) {
        throw new LoadException("the server answers something else than GO");
      }
      int type = header.getInt();
      int length = header.getInt();
      if (length < 0 || length > MAX_REPLY_BYTES) {
        throw new LoadException("an option reply of " + length + " bytes");
      }
      ByteBuffer data = read(channel, length);
      if (type == REP_INFO && data.getShort() == 0) {
        export = new Export(data.getLong(), data.getShort());
      } else if (type < 0) {
        throw new LoadException(
            "the server refuses export \""
                + name
                + "\": error "
                + (type & 0x7fffffff)
                + " "
                + StandardCharsets.UTF_8.decode(data));
      } else if (type == REP_ACK) {
        break;
      }
    }
    if (export == null) {
      throw new LoadException("the server does not tell the size of the export");
    }
    return export;
  }

  private static ByteBuffer read(SocketChannel channel, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the server closed the connection during negotiation");
      }
    }
    return buffer.flip();
  }
}
