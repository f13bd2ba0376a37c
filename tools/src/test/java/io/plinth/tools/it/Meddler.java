package io.plinth.tools.it;

import io.plinth.tools.nbd.Nbd;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Stands between NBD clients and a real server, understands what both say, and lets a fault change
 * one thing of it. What it does not understand it passes on as it is.
 */
final class Meddler implements Closeable {

  private static final int MOST_BYTES = 64 << 20;

  private final InetSocketAddress server;
  private final MeddlerFault fault;
  private final ServerSocket listener;

  /** A request on its way to the server. */
  static final class Request {
    boolean extended;
    int flags;
    int command;
    long cookie;
    long offset;
    long length;
    byte[] payload = new byte[0];

    byte[] toBytes() {
      ByteBuffer buffer = ByteBuffer.allocate((extended ? 32 : 28) + payload.length);
      buffer.putInt(extended ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC);
      buffer.putShort((short) flags).putShort((short) command).putLong(cookie).putLong(offset);
      if (extended) {
        buffer.putLong(length);
      } else {
        buffer.putInt((int) length);
      }
      return buffer.put(payload).array();
    }

    /** Makes it one that succeeds and changes nothing. */
    void becomeFlush() {
      command = 3;
      flags = 0;
      offset = 0;
      length = 0;
      payload = new byte[0];
    }
  }

  /** A reply, or a chunk of one, on its way to the client. */
  static final class Message {
    int magic;
    int error;
    int flags;
    int type;
    long cookie;
    long offset;
    byte[] payload = new byte[0];

    /** What it answers, as the client has sent it. */
    Request request;

    boolean isChunk() {
      return magic != Nbd.SIMPLE_REPLY_MAGIC;
    }

    byte[] toBytes() {
      ByteBuffer buffer = ByteBuffer.allocate(32 + payload.length);
      buffer.putInt(magic);
      if (magic == Nbd.SIMPLE_REPLY_MAGIC) {
        buffer.putInt(error).putLong(cookie);
      } else {
        buffer.putShort((short) flags).putShort((short) type).putLong(cookie);
        if (magic == Nbd.EXTENDED_REPLY_MAGIC) {
          buffer.putLong(offset).putLong(payload.length);
        } else {
          buffer.putInt(payload.length);
        }
      }
      buffer.put(payload);
      byte[] bytes = new byte[buffer.position()];
      buffer.get(0, bytes);
      return bytes;
    }

    Message copy() {
      Message copy = new Message();
      copy.magic = magic;
      copy.error = error;
      copy.flags = flags;
      copy.type = type;
      copy.cookie = cookie;
      copy.offset = offset;
      copy.payload = payload.clone();
      copy.request = request;
      return copy;
    }
  }

  /** Begins; without a fault nothing is changed. */
  Meddler(InetSocketAddress server, MeddlerFault fault) throws IOException {
    this.server = server;
    this.fault = fault;
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread _ = Thread.ofVirtual().start(this::accept);
  }

  String uri(String export) {
    return "nbd://127.0.0.1:" + listener.getLocalPort() + "/" + export;
  }

  InetSocketAddress address() {
    return new InetSocketAddress(listener.getInetAddress(), listener.getLocalPort());
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        Socket to = new Socket(server.getAddress(), server.getPort());
        client.setTcpNoDelay(true);
        to.setTcpNoDelay(true);
        Conversation conversation = new Conversation(client, to);
        Thread _ = Thread.ofVirtual().start(() -> run(conversation::up, client, to));
        Thread _ = Thread.ofVirtual().start(() -> run(conversation::down, to, client));
      } catch (IOException _) {
        // Closed.
      }
    }
  }

  private interface Direction {
    void run() throws IOException;
  }

  private static void run(Direction direction, Socket from, Socket to) {
    try {
      direction.run();
    } catch (IOException _) {
      // One of them has gone, which the other one is told.
    } finally {
      try {
        to.shutdownOutput();
      } catch (IOException _) {
        // It has gone too.
      }
      try {
        from.shutdownInput();
      } catch (IOException _) {
        // Likewise.
      }
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }

  private final class Conversation {
    private final DataInputStream fromClient;
    private final OutputStream toClient;
    private final DataInputStream fromServer;
    private final OutputStream toServer;
    private final Map<Long, Request> requests = new ConcurrentHashMap<>();
    private volatile boolean noZeroes;

    Conversation(Socket client, Socket server) throws IOException {
      fromClient = new DataInputStream(client.getInputStream());
      toClient = client.getOutputStream();
      fromServer = new DataInputStream(server.getInputStream());
      toServer = server.getOutputStream();
    }

    void up() throws IOException {
      int flags = fromClient.readInt();
      noZeroes = (flags & 2) != 0;
      toServer.write(ByteBuffer.allocate(4).putInt(flags).array());
      while (true) {
        byte[] begin = fromClient.readNBytes(4);
        if (begin.length < 4) {
          toServer.write(begin);
          return;
        }
        int word = ByteBuffer.wrap(begin).getInt();
        boolean understood =
            word == (int) (Nbd.OPTION_MAGIC >> 32) ? option(begin) : request(begin, word);
        if (!understood) {
          fromClient.transferTo(toServer);
          return;
        }
      }
    }

    private boolean option(byte[] begin) throws IOException {
      byte[] header = exactly(fromClient, 12, begin);
      int length = ByteBuffer.wrap(header).getInt(12);
      if (length < 0 || length > MOST_BYTES) {
        toServer.write(header);
        return false;
      }
      // Sent in pieces, as it comes: the server may not want to see all of it.
      toServer.write(header);
      for (int left = length; left > 0; ) {
        byte[] piece = new byte[Math.min(left, 1 << 16)];
        int count = fromClient.read(piece);
        if (count < 0) {
          throw new EOFException();
        }
        toServer.write(piece, 0, count);
        left -= count;
      }
      return true;
    }

    private boolean request(byte[] begin, int magic) throws IOException {
      if (magic != Nbd.REQUEST_MAGIC && magic != Nbd.EXTENDED_REQUEST_MAGIC) {
        toServer.write(begin);
        return false;
      }
      Request request = new Request();
      request.extended = magic == Nbd.EXTENDED_REQUEST_MAGIC;
      byte[] rest = exactly(fromClient, request.extended ? 28 : 24, new byte[0]);
      ByteBuffer header = ByteBuffer.wrap(rest);
      request.flags = header.getShort() & 0xffff;
      request.command = header.getShort() & 0xffff;
      request.cookie = header.getLong();
      request.offset = header.getLong();
      request.length = request.extended ? header.getLong() : header.getInt() & 0xffffffffL;
      boolean payload =
          request.extended ? (request.flags & Nbd.PAYLOAD_LEN) != 0 : request.command == 1;
      if (payload && (request.length < 0 || request.length > MOST_BYTES)) {
        toServer.write(begin);
        toServer.write(rest);
        return false;
      }
      if (payload) {
        request.payload = exactly(fromClient, (int) request.length, new byte[0]);
      }
      Request asSent = new Request();
      asSent.extended = request.extended;
      asSent.flags = request.flags;
      asSent.command = request.command;
      asSent.cookie = request.cookie;
      asSent.offset = request.offset;
      asSent.length = request.length;
      requests.put(request.cookie, asSent);
      if (fault != null) {
        fault.request(request);
      }
      toServer.write(request.toBytes());
      return true;
    }

    void down() throws IOException {
      byte[] greeting = exactly(fromServer, 18, new byte[0]);
      if (fault != null) {
        fault.greeting(greeting);
      }
      toClient.write(greeting);
      boolean options = true;
      while (options) {
        byte[] begin = exactly(fromServer, 8, new byte[0]);
        if (ByteBuffer.wrap(begin).getLong() == Nbd.OPTION_REPLY_MAGIC) {
          options = optionReply();
        } else {
          // The size, which is how EXPORT_NAME is answered.
          toClient.write(exactly(fromServer, noZeroes ? 2 : 126, begin));
          options = false;
        }
      }
      while (message()) {
        // All of it is done by the condition.
      }
      fromServer.transferTo(toClient);
    }

    /** Returns whether more options may follow. */
    private boolean optionReply() throws IOException {
      int option = fromServer.readInt();
      int type = fromServer.readInt();
      byte[] data = exactly(fromServer, fromServer.readInt(), new byte[0]);
      MeddlerFault.OptionReply reply = new MeddlerFault.OptionReply(option, type, data);
      boolean last = option == 7 && type == 1;
      if (fault != null) {
        fault.optionReply(reply);
      }
      if (!reply.dropped) {
        ByteBuffer buffer = ByteBuffer.allocate(20 + reply.data.length + reply.behind);
        buffer.putLong(Nbd.OPTION_REPLY_MAGIC).putInt(reply.option).putInt(reply.type);
        buffer.putInt(reply.data.length).put(reply.data);
        toClient.write(buffer.array());
      }
      return !last;
    }

    private boolean message() throws IOException {
      byte[] begin = fromServer.readNBytes(4);
      if (begin.length < 4) {
        toClient.write(begin);
        return false;
      }
      Message message = new Message();
      message.magic = ByteBuffer.wrap(begin).getInt();
      switch (message.magic) {
        case Nbd.SIMPLE_REPLY_MAGIC -> {
          message.error = fromServer.readInt();
          message.cookie = fromServer.readLong();
          Request request = requests.get(message.cookie);
          if (request != null && request.command == 0 && message.error == 0) {
            message.payload = exactly(fromServer, (int) request.length, new byte[0]);
          }
        }
        case Nbd.STRUCTURED_REPLY_MAGIC, Nbd.EXTENDED_REPLY_MAGIC -> {
          message.flags = fromServer.readUnsignedShort();
          message.type = fromServer.readUnsignedShort();
          message.cookie = fromServer.readLong();
          message.offset = message.magic == Nbd.EXTENDED_REPLY_MAGIC ? fromServer.readLong() : 0;
          long length =
              message.magic == Nbd.EXTENDED_REPLY_MAGIC
                  ? fromServer.readLong()
                  : fromServer.readInt();
          message.payload = exactly(fromServer, Math.toIntExact(length), new byte[0]);
        }
        default -> {
          toClient.write(begin);
          return false;
        }
      }
      message.request = requests.getOrDefault(message.cookie, new Request());
      List<Message> all = new ArrayList<>(List.of(message));
      if (fault != null) {
        fault.message(message, all);
      }
      for (Message each : all) {
        toClient.write(each.toBytes());
      }
      return true;
    }
  }

  /** Reads so many bytes behind others; returns all. */
  private static byte[] exactly(InputStream in, int count, byte[] begin) throws IOException {
    byte[] bytes = new byte[begin.length + count];
    System.arraycopy(begin, 0, bytes, 0, begin.length);
    if (in.readNBytes(bytes, begin.length, count) < count) {
      throw new EOFException();
    }
    return bytes;
  }
}
