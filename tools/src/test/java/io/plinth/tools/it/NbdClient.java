package io.plinth.tools.it;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/**
 * A small NBD client on a plain socket: fixed newstyle, simple replies. What real clients do not do
 * - requests in flight over a kill, broken bytes - is done with it.
 */
final class NbdClient implements AutoCloseable {
  static final int READ = 0;
  static final int WRITE = 1;
  static final int DISCONNECT = 2;
  static final int FLUSH = 3;
  static final int TRIM = 4;
  static final int WRITE_ZEROES = 6;
  static final int FUA = 1;

  static final int EIO = 5;
  static final int EINVAL = 22;
  static final int ENOSPC = 28;

  static final int OPTION_LIST = 3;
  static final int OPTION_STARTTLS = 5;
  static final int OPTION_GO = 7;
  static final int OPTION_STRUCTURED_REPLY = 8;
  static final int OPTION_SET_META_CONTEXT = 10;
  static final int REPLY_ACK = 1;
  static final int REPLY_INVALID = 0x80000003;
  static final int REPLY_UNSUPPORTED = 0x80000001;
  static final int REPLY_TOO_BIG = 0x80000009;

  private static final long INIT_MAGIC = 0x4e42444d41474943L;
  private static final long OPTION_MAGIC = 0x49484156454f5054L;
  private static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
  private static final int REQUEST_MAGIC = 0x25609513;
  private static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  private static final int INFO_EXPORT = 0;
  private static final int FIXED_NEWSTYLE = 1;
  private static final int ANSWER_TIMEOUT_MS = 30_000;
  private static final int BUFFER_BYTES = 8 << 10;

  private final Socket socket;
  private final DataInputStream in;
  private final DataOutputStream out;
  private long sizeBytes;

  /** The answer to one request. */
  record Reply(int error, long cookie) {}

  /** The answer to an option. */
  record OptionReply(int type, ByteBuffer data) {}

  private NbdClient(Socket socket) throws IOException {
    this.socket = socket;
    socket.setTcpNoDelay(true);
    socket.setSoTimeout(ANSWER_TIMEOUT_MS);
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), BUFFER_BYTES));
    out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream(), BUFFER_BYTES));
  }

  /** Connects and reads nothing: what follows is up to the caller. */
  static NbdClient connectRaw(InetSocketAddress address) throws IOException {
    Socket socket = new Socket();
    try {
      socket.connect(address, ANSWER_TIMEOUT_MS);
      return new NbdClient(socket);
    } catch (IOException e) {
      socket.close();
      throw e;
    }
  }

  /** Connects and exchanges greetings: options can follow. */
  static NbdClient connectForOptions(InetSocketAddress address) throws IOException {
    NbdClient client = connectRaw(address);
    try {
      client.greet();
      return client;
    } catch (IOException e) {
      client.close();
      throw e;
    }
  }

  /** Connects to an export: requests can follow. */
  static NbdClient connect(InetSocketAddress address, String export) throws IOException {
    NbdClient client = connectForOptions(address);
    try {
      client.go(export);
      return client;
    } catch (IOException e) {
      client.close();
      throw e;
    }
  }

  /** Begins TLS on a client that has exchanged greetings; it takes the place of that client. */
  static NbdClient secure(NbdClient plain, SSLContext context) throws IOException {
    plain.sendOption(OPTION_STARTTLS, 0, new byte[0]);
    int type = plain.readOptionReply().type();
    if (type != REPLY_ACK) {
      throw new IOException("STARTTLS is answered " + Integer.toHexString(type));
    }
    Socket lower = plain.socket;
    SSLSocket secure =
        (SSLSocket)
            context
                .getSocketFactory()
                .createSocket(
                    lower, lower.getInetAddress().getHostAddress(), lower.getPort(), true);
    secure.startHandshake();
    return new NbdClient(secure);
  }

  private void greet() throws IOException {
    if (in.readLong() != INIT_MAGIC || in.readLong() != OPTION_MAGIC) {
      throw new IOException("not a newstyle greeting");
    }
    int flags = in.readUnsignedShort();
    out.writeInt(flags & FIXED_NEWSTYLE);
    out.flush();
  }

  void go(String export) throws IOException {
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    out.writeLong(OPTION_MAGIC);
    out.writeInt(OPTION_GO);
    out.writeInt(4 + name.length + 2);
    out.writeInt(name.length);
    out.write(name);
    out.writeShort(0);
    out.flush();
    while (true) {
      OptionReply reply = readOptionReply();
      if (reply.type() == REPLY_ACK) {
        return;
      }
      if (reply.type() < 0) {
        throw new IOException("export refused: " + Integer.toHexString(reply.type()));
      }
      if (reply.data().getShort(0) == INFO_EXPORT) {
        sizeBytes = reply.data().getLong(2);
      }
    }
  }

  /** Sends the header of an option and {@code data}, which may be shorter than it says. */
  void sendOption(int option, int length, byte[] data) throws IOException {
    out.writeLong(OPTION_MAGIC);
    out.writeInt(option);
    out.writeInt(length);
    out.write(data);
    out.flush();
  }

  OptionReply readOptionReply() throws IOException {
    if (in.readLong() != OPTION_REPLY_MAGIC) {
      throw new IOException("not a reply to an option");
    }
    in.readInt();
    int type = in.readInt();
    byte[] data = new byte[in.readInt()];
    in.readFully(data);
    return new OptionReply(type, ByteBuffer.wrap(data));
  }

  long sizeBytes() {
    return sizeBytes;
  }

  /** Queues a request; {@link #flushOutput} sends. */
  void send(int command, int flags, long cookie, long offset, int length) throws IOException {
    out.writeInt(REQUEST_MAGIC);
    out.writeShort(flags);
    out.writeShort(command);
    out.writeLong(cookie);
    out.writeLong(offset);
    out.writeInt(length);
  }

  void sendWrite(int flags, long cookie, long offset, byte[] data, int length) throws IOException {
    send(WRITE, flags, cookie, offset, length);
    out.write(data, 0, length);
  }

  void sendBytes(byte[] bytes) throws IOException {
    out.write(bytes);
    out.flush();
  }

  void flushOutput() throws IOException {
    out.flush();
  }

  /** Returns whether a reply has begun to arrive. */
  boolean hasInput() throws IOException {
    return in.available() > 0;
  }

  /** Reads the header of a reply; the data of a READ without error follows it. */
  Reply readReply() throws IOException {
    if (in.readInt() != SIMPLE_REPLY_MAGIC) {
      throw new IOException("not a simple reply");
    }
    return new Reply(in.readInt(), in.readLong());
  }

  void readData(byte[] data, int length) throws IOException {
    in.readFully(data, 0, length);
  }

  /** Returns the error of a READ, zero when there is none. */
  int read(long offset, byte[] data, int length) throws IOException {
    send(READ, 0, offset, offset, length);
    out.flush();
    int error = readReply().error();
    if (error == 0) {
      in.readFully(data, 0, length);
    }
    return error;
  }

  /** Returns the error of a WRITE, zero when there is none. */
  int write(long offset, byte[] data) throws IOException {
    sendWrite(0, offset, offset, data, data.length);
    out.flush();
    return readReply().error();
  }

  /** Returns the error of a request without data, zero when there is none. */
  int call(int command, long offset, int length) throws IOException {
    send(command, 0, offset, offset, length);
    out.flush();
    return readReply().error();
  }

  /** Waits until the server closes the connection; returns what came before that. */
  byte[] readToEnd() throws IOException {
    return in.readAllBytes();
  }

  /** Waits until the server closes the connection; returns how many bytes came before that. */
  long drainToEnd() throws IOException {
    byte[] sink = new byte[1 << 16];
    long total = 0;
    for (int count = in.read(sink); count >= 0; count = in.read(sink)) {
      total += count;
    }
    return total;
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
