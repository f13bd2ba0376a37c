package io.plinth.tools.it;

import io.plinth.tools.nbd.Nbd;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;

/**
 * A small NBD client on a plain socket: fixed newstyle, simple replies, structured ones where
 * metadata contexts are asked for. What real clients do not do - requests in flight over a kill,
 * broken bytes - is done with it.
 */
final class NbdClient implements AutoCloseable {
  private static final int ANSWER_TIMEOUT_MS = 30_000;
  private static final int BUFFER_BYTES = 8 << 10;

  private final Socket socket;
  private final DataInputStream in;
  private final DataOutputStream out;
  private final Map<Integer, String> contexts = new HashMap<>();
  private long sizeBytes;

  /** The answer to one request. */
  record Reply(int error, long cookie) {}

  /** A range and what a metadata context says of it. */
  record Extent(long length, int flags) {}

  /** The answer to a BLOCK_STATUS: what each context by its name says, or an error. */
  record Status(int error, Map<String, List<Extent>> extents) {}

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
    return connect(address, export, ANSWER_TIMEOUT_MS);
  }

  /** Connects to an export, and gives up what is not answered in time. */
  static NbdClient connect(InetSocketAddress address, String export, int timeoutMs)
      throws IOException {
    NbdClient client = connectRaw(address);
    try {
      client.socket.setSoTimeout(timeoutMs);
      client.greet();
    } catch (IOException e) {
      client.close();
      throw e;
    }
    try {
      client.go(export);
      return client;
    } catch (IOException e) {
      client.close();
      throw e;
    }
  }

  /** Connects to an export with structured replies and these metadata contexts. */
  static NbdClient connect(InetSocketAddress address, String export, List<String> contexts)
      throws IOException {
    NbdClient client = connectForOptions(address);
    try {
      client.sendOption(Nbd.OPT_STRUCTURED_REPLY, 0, new byte[0]);
      if (client.readOptionReply().type() != Nbd.REP_ACK) {
        throw new IOException("no structured replies");
      }
      client.select(export, contexts);
      client.go(export);
      return client;
    } catch (IOException e) {
      client.close();
      throw e;
    }
  }

  private void select(String export, List<String> queries) throws IOException {
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    DataOutputStream option = new DataOutputStream(data);
    writeString(option, export);
    option.writeInt(queries.size());
    for (String query : queries) {
      writeString(option, query);
    }
    sendOption(Nbd.OPT_SET_META_CONTEXT, data.size(), data.toByteArray());
    OptionReply reply = readOptionReply();
    for (; reply.type() == Nbd.REP_META_CONTEXT; reply = readOptionReply()) {
      int id = reply.data().getInt();
      contexts.put(id, StandardCharsets.UTF_8.decode(reply.data()).toString());
    }
    if (reply.type() != Nbd.REP_ACK || !Set.copyOf(contexts.values()).equals(Set.copyOf(queries))) {
      throw new IOException("of " + queries + " only " + contexts.values() + " were selected");
    }
  }

  private static void writeString(DataOutputStream to, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    to.writeInt(bytes.length);
    to.write(bytes);
  }

  /** Begins TLS on a client that has exchanged greetings; it takes the place of that client. */
  static NbdClient secure(NbdClient plain, SSLContext context) throws IOException {
    plain.sendOption(Nbd.OPT_STARTTLS, 0, new byte[0]);
    int type = plain.readOptionReply().type();
    if (type != Nbd.REP_ACK) {
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
    if (in.readLong() != Nbd.INIT_MAGIC || in.readLong() != Nbd.OPTION_MAGIC) {
      throw new IOException("not a newstyle greeting");
    }
    int flags = in.readUnsignedShort();
    out.writeInt(flags & Nbd.FIXED_NEWSTYLE);
    out.flush();
  }

  void go(String export) throws IOException {
    byte[] name = export.getBytes(StandardCharsets.UTF_8);
    out.writeLong(Nbd.OPTION_MAGIC);
    out.writeInt(Nbd.OPT_GO);
    out.writeInt(4 + name.length + 2);
    out.writeInt(name.length);
    out.write(name);
    out.writeShort(0);
    out.flush();
    while (true) {
      OptionReply reply = readOptionReply();
      if (reply.type() == Nbd.REP_ACK) {
        return;
      }
      if (reply.type() < 0) {
        throw new IOException("export refused: " + Integer.toHexString(reply.type()));
      }
      if (reply.data().getShort(0) == Nbd.INFO_EXPORT) {
        sizeBytes = reply.data().getLong(2);
      }
    }
  }

  /** Sends the header of an option and {@code data}, which may be shorter than it says. */
  void sendOption(int option, int length, byte[] data) throws IOException {
    out.writeLong(Nbd.OPTION_MAGIC);
    out.writeInt(option);
    out.writeInt(length);
    out.write(data);
    out.flush();
  }

  OptionReply readOptionReply() throws IOException {
    if (in.readLong() != Nbd.OPTION_REPLY_MAGIC) {
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
    out.writeInt(Nbd.REQUEST_MAGIC);
    out.writeShort(flags);
    out.writeShort(command);
    out.writeLong(cookie);
    out.writeLong(offset);
    out.writeInt(length);
  }

  void sendWrite(int flags, long cookie, long offset, byte[] data, int length) throws IOException {
    send(Nbd.WRITE, flags, cookie, offset, length);
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
    if (in.readInt() != Nbd.SIMPLE_REPLY_MAGIC) {
      throw new IOException("not a simple reply");
    }
    return new Reply(in.readInt(), in.readLong());
  }

  void readData(byte[] data, int length) throws IOException {
    in.readFully(data, 0, length);
  }

  /** Returns the error of a READ, zero when there is none. */
  int read(long offset, byte[] data, int length) throws IOException {
    send(Nbd.READ, 0, offset, offset, length);
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

  /** Asks what the selected contexts say of a range. */
  Status status(long offset, int length) throws IOException {
    send(Nbd.BLOCK_STATUS, 0, offset, offset, length);
    out.flush();
    Map<String, List<Extent>> extents = new HashMap<>();
    int error = 0;
    boolean done = false;
    while (!done) {
      if (in.readInt() != Nbd.STRUCTURED_REPLY_MAGIC) {
        throw new IOException("not a structured reply");
      }
      done = (in.readUnsignedShort() & Nbd.DONE) != 0;
      int type = in.readUnsignedShort();
      if (in.readLong() != offset) {
        throw new IOException("a reply to another request");
      }
      byte[] payload = new byte[in.readInt()];
      in.readFully(payload);
      ByteBuffer data = ByteBuffer.wrap(payload);
      if (type == Nbd.CHUNK_STATUS) {
        List<Extent> list =
            extents.computeIfAbsent(contexts.get(data.getInt()), _ -> new ArrayList<>());
        while (data.hasRemaining()) {
          list.add(new Extent(data.getInt() & 0xffffffffL, data.getInt()));
        }
      } else if ((type & Nbd.CHUNK_ERROR_BIT) != 0) {
        error = data.getInt();
      } else {
        throw new IOException("a chunk of type " + type);
      }
    }
    return new Status(error, extents);
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
