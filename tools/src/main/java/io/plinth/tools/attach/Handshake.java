package io.plinth.tools.attach;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * The client's side of fixed newstyle negotiation ({@code doc/proto.md} of NetworkBlockDevice/nbd):
 * GO with the volume's name, simple replies afterwards, which is all that the kernel knows.
 */
final class Handshake {
  /** Bytes to and from a server; both wait until all have passed. */
  interface Stream {
    void send(byte[] bytes) throws IOException;

    void receive(byte[] bytes) throws IOException;
  }

  private static final int SECTOR_BYTES = 512;

  /** No answer to GO is longer but for a text of an error, which may have 4096 bytes. */
  private static final int MAX_REPLY_BYTES = 8192;

  /** No server has more to say to one GO. */
  private static final int MAX_REPLIES = 64;

  private final Stream stream;
  private final String server;
  private String name;
  private long sizeBytes = -1;
  private int flags;
  private int minimumBlockBytes = SECTOR_BYTES;

  private Handshake(Stream stream, String server, String volume) {
    this.stream = stream;
    this.server = server;
    this.name = volume;
  }

  /** Negotiates; afterwards the next bytes on the stream are those of requests. */
  static Export run(Stream stream, String server, String volume) throws AttachException {
    try {
      return new Handshake(stream, server, volume).negotiate(volume);
    } catch (IOException e) {
      throw new AttachException(
          AttachException.Kind.UNREACHABLE, server + ": " + e.getMessage(), e);
    }
  }

  private Export negotiate(String volume) throws IOException, AttachException {
    ByteBuffer greeting = read(18);
    if (greeting.getLong() != Nbd.INIT_MAGIC || greeting.getLong() != Nbd.OPTION_MAGIC) {
      throw refused("no NBD server, or one of before 2011");
    }
    int handshakeFlags = greeting.getShort();
    if ((handshakeFlags & Nbd.FIXED_NEWSTYLE) == 0) {
      throw refused("the server does not speak fixed newstyle NBD");
    }
    byte[] bytes = volume.getBytes(StandardCharsets.UTF_8);
    int[] wanted = {Nbd.INFO_NAME, Nbd.INFO_BLOCK_SIZE};
    int length = Integer.BYTES + bytes.length + Short.BYTES + wanted.length * Short.BYTES;
    ByteBuffer go = ByteBuffer.allocate(Integer.BYTES + 16 + length);
    go.putInt(Nbd.FIXED_NEWSTYLE | (handshakeFlags & Nbd.NO_ZEROES));
    go.putLong(Nbd.OPTION_MAGIC).putInt(Nbd.OPT_GO).putInt(length);
    go.putInt(bytes.length).put(bytes).putShort((short) wanted.length);
    for (int info : wanted) {
      go.putShort((short) info);
    }
    stream.send(go.array());
    for (int i = 0; i < MAX_REPLIES; i++) {
      if (takeReply(volume)) {
        return export();
      }
    }
    throw refused("the server does not come to an end of its answers");
  }

  /** Takes one reply; returns whether it is the last one. */
  private boolean takeReply(String volume) throws IOException, AttachException {
    ByteBuffer header = read(20);
    long magic = header.getLong();
    int option = header.getInt();
    final int type = header.getInt();
    int length = header.getInt();
    if (magic != Nbd.OPTION_REPLY_MAGIC
        || option != Nbd.OPT_GO
        || length < 0
        || length > MAX_REPLY_BYTES) {
      throw refused("the server's answer is not NBD");
    }
    ByteBuffer data = read(length);
    if (type == Nbd.REP_INFO) {
      takeInfo(data);
    } else if (type != Nbd.REP_ACK) {
      throw error(type, data, volume);
    }
    return type == Nbd.REP_ACK;
  }

  private void takeInfo(ByteBuffer data) throws AttachException {
    int kind = data.remaining() < Short.BYTES ? -1 : data.getShort();
    if (kind == Nbd.INFO_EXPORT && data.remaining() == 10) {
      sizeBytes = data.getLong();
      flags = data.getShort() & 0xffff;
    } else if (kind == Nbd.INFO_NAME) {
      name = StandardCharsets.UTF_8.decode(data).toString();
    } else if (kind == Nbd.INFO_BLOCK_SIZE && data.remaining() == 12) {
      minimumBlockBytes = Math.max(SECTOR_BYTES, data.getInt());
    } else if (kind == Nbd.INFO_EXPORT || kind == Nbd.INFO_BLOCK_SIZE) {
      throw refused("the server's answer is not NBD");
    }
  }

  private Export export() throws AttachException {
    if (sizeBytes < 0) {
      throw refused("the server does not tell the volume's size");
    }
    // The kernel's blocks are powers of two up to a page.
    if (minimumBlockBytes > 4096 || Integer.bitCount(minimumBlockBytes) != 1) {
      throw refused("the kernel can't use blocks of " + minimumBlockBytes + " bytes");
    }
    return new Export(name, sizeBytes, flags, minimumBlockBytes);
  }

  private AttachException error(int type, ByteBuffer data, String volume) {
    String text =
        StandardCharsets.UTF_8.decode(data).toString().replaceAll("\\p{Cntrl}", " ").strip();
    String said = text.isEmpty() ? "" : ": " + text;
    return switch (type) {
      case Nbd.ERR_UNKNOWN ->
          new AttachException(
              AttachException.Kind.NOT_FOUND, server + " has no volume \"" + volume + "\"" + said);
      case Nbd.ERR_POLICY -> refused("the server does not allow it" + said);
      case Nbd.ERR_TLS_REQD -> refused("the server wants TLS, which the kernel can't speak");
      case Nbd.ERR_SHUTDOWN ->
          new AttachException(
              AttachException.Kind.UNREACHABLE, server + ": the server is shutting down");
      default -> refused("the server answers error " + (type & 0x7fffffff) + said);
    };
  }

  private AttachException refused(String why) {
    return new AttachException(AttachException.Kind.REFUSED, server + ": " + why);
  }

  private ByteBuffer read(int length) throws IOException {
    byte[] bytes = new byte[length];
    stream.receive(bytes);
    return ByteBuffer.wrap(bytes);
  }
}
