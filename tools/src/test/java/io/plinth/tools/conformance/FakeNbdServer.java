package io.plinth.tools.conformance;

import io.plinth.tools.conformance.Facts.Tls;
import io.plinth.tools.nbd.Nbd;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLSocket;

/**
 * A small server that keeps every rule in memory, but the one of the bug that is switched on. Its
 * TLS is that of the Java machine.
 */
final class FakeNbdServer implements Closeable {
  static final String EXPORT = "scratch";

  /** An export with the same content, whose first blocks can't be read. */
  static final String ROTTEN = "rotten";

  /** An export that needs TLS where others don't. */
  static final String SECRET = "secret";

  static final int ROTTEN_BYTES = 8 << 10;
  static final int SIZE = 4 << 20;
  static final int MINIMUM = 512;
  static final int MAXIMUM = 1 << 20;
  static final int CONTEXT = 17;

  private static final int FLAGS =
      Nbd.HAS_FLAGS
          | Nbd.SEND_FLUSH
          | Nbd.SEND_FUA
          | Nbd.SEND_TRIM
          | Nbd.SEND_WRITE_ZEROES
          | Nbd.CAN_MULTI_CONN
          | Nbd.SEND_RESIZE
          | Nbd.SEND_CACHE
          | Nbd.SEND_FAST_ZERO;

  private final Bug bug;
  private final Tls mode;
  private final ServerSocket listener;
  private final byte[] disk = new byte[SIZE + Content.BLOCK];
  private volatile int size = SIZE;
  private volatile boolean stopping;

  /** Starts; null is no bug. */
  FakeNbdServer(Bug bug, Tls mode) throws IOException {
    this.bug = bug;
    this.mode = mode;
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread _ = Thread.ofVirtual().start(this::accept);
  }

  NbdUri uri() {
    return uri(EXPORT);
  }

  NbdUri uri(String export) {
    String place = "127.0.0.1:" + listener.getLocalPort() + "/" + export;
    return NbdUri.parse(
        mode == Tls.NOTLS ? "nbd://" + place : "nbds://" + place + "?tls-verify-peer=0");
  }

  /** From now on nothing is served. */
  void shutDown() {
    stopping = true;
  }

  boolean isStopping() {
    return stopping;
  }

  boolean has(Bug which) {
    return bug == which;
  }

  byte[] disk() {
    return disk;
  }

  int size() {
    return size;
  }

  void resize(int newSize) {
    size = newSize;
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket socket = listener.accept();
        socket.setTcpNoDelay(true);
        Thread _ = Thread.ofVirtual().start(() -> serve(socket));
      } catch (IOException _) {
        // Closed.
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      new Session(socket).negotiate();
    } catch (IOException _) {
      // The client has gone, or broke a rule.
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }

  /** One connection up to the transmission phase. */
  private final class Session {
    private final Socket socket;
    private DataInputStream in;
    private OutputStream out;
    private boolean encrypted;
    private boolean structured;
    private boolean extended;
    private boolean context;
    private boolean noZeroes;
    private int starts;

    Session(Socket socket) throws IOException {
      this.socket = socket;
      in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
      out = socket.getOutputStream();
    }

    void negotiate() throws IOException {
      int flags = has(Bug.UNDEFINED_HANDSHAKE_FLAG) ? 7 : 3;
      out.write(new Packet().u64(Nbd.INIT_MAGIC).u64(Nbd.OPTION_MAGIC).u16(flags).toBytes());
      int client = in.readInt();
      if ((client & ~3) != 0 && !has(Bug.UNKNOWN_CLIENT_FLAG_TAKEN)) {
        return;
      }
      noZeroes = (client & Nbd.NO_ZEROES) != 0;
      boolean on = true;
      while (on && in.readLong() == Nbd.OPTION_MAGIC) {
        int option = in.readInt();
        int length = in.readInt();
        if (length < 0 || length > 64 << 10) {
          if (has(Bug.HUGE_OPTION_ACKNOWLEDGED)) {
            reply(option, Nbd.REP_ACK, new byte[0]);
            int _ = in.read(new byte[2 << 20]);
          }
          return;
        }
        byte[] data = new byte[length];
        in.readFully(data);
        boolean only = (client & Nbd.FIXED_NEWSTYLE) == 0;
        on = (!only || option == Nbd.OPT_EXPORT_NAME) && option(option, data);
      }
    }

    private boolean option(int option, byte[] data) throws IOException {
      if (option == Nbd.OPT_STARTTLS) {
        return startTls(data);
      }
      if (option == Nbd.OPT_ABORT) {
        reply(option, Nbd.REP_ACK, new byte[0]);
        return false;
      }
      if (isStopping() && !has(Bug.OPTIONS_SERVED_WHILE_STOPPING)) {
        reply(option, Nbd.ERR_SHUTDOWN, new byte[0]);
        return true;
      }
      boolean unknown = option <= 0 || option > 11 || option == Nbd.OPT_PEEK_EXPORT;
      if (mode == Tls.FORCEDTLS
          && (!encrypted || has(Bug.TLS_REQUIRED_UNDER_TLS))
          && !(option == Nbd.OPT_EXPORT_NAME && has(Bug.EXPORT_NAME_BEFORE_FORCED_TLS))
          && !has(Bug.PLAIN_AFTER_STARTTLS)
          && !(unknown && has(Bug.UNKNOWN_OPTION_BEFORE_FORCED_TLS))) {
        if (option != Nbd.OPT_EXPORT_NAME) {
          reply(option, Nbd.ERR_TLS_REQD, new byte[0]);
        }
        return option != Nbd.OPT_EXPORT_NAME;
      }
      if (unknown) {
        reply(
            option, has(Bug.UNKNOWN_OPTION_INVALID) ? Nbd.ERR_INVALID : Nbd.ERR_UNSUP, new byte[0]);
        return true;
      }
      return known(option, data);
    }

    private boolean startTls(byte[] data) throws IOException {
      starts++;
      boolean again = starts == 2 && has(Bug.STARTTLS_AT_SECOND_TRY);
      if (mode == Tls.NOTLS && !again) {
        reply(Nbd.OPT_STARTTLS, Nbd.ERR_UNSUP, new byte[0]);
        return true;
      }
      if (encrypted || (data.length > 0 && !has(Bug.STARTTLS_TAKES_DATA))) {
        reply(Nbd.OPT_STARTTLS, Nbd.ERR_INVALID, new byte[0]);
        return true;
      }
      byte[] early = new byte[in.available()];
      in.readFully(early);
      reply(Nbd.OPT_STARTTLS, Nbd.REP_ACK, new byte[0]);
      if (has(Bug.PLAIN_AFTER_STARTTLS)) {
        return true;
      }
      if (early.length > 0 && !has(Bug.INJECTED_OPTION_TAKEN)) {
        return false;
      }
      SSLSocket tls = FakeTls.over(socket, has(Bug.ONLY_TLS_1_3));
      in =
          new DataInputStream(
              new SequenceInputStream(new ByteArrayInputStream(early), tls.getInputStream()));
      out = tls.getOutputStream();
      encrypted = true;
      boolean kept = has(Bug.STRUCTURED_SURVIVES_TLS);
      structured &= kept;
      extended &= kept;
      context &= kept;
      return true;
    }

    private boolean known(int option, byte[] data) throws IOException {
      switch (option) {
        case Nbd.OPT_EXPORT_NAME -> {
          exportName(data);
          return false;
        }
        case Nbd.OPT_LIST -> {
          if (data.length == 0) {
            reply(
                has(Bug.OTHER_OPTION_ECHOED) ? Nbd.OPT_INFO : option,
                Nbd.REP_SERVER,
                new Packet().string(EXPORT).toBytes());
          }
          reply(option, data.length == 0 ? Nbd.REP_ACK : Nbd.ERR_INVALID, new byte[0]);
        }
        case Nbd.OPT_INFO, Nbd.OPT_GO -> {
          return infoOrGo(option, ByteBuffer.wrap(data));
        }
        case Nbd.OPT_STRUCTURED_REPLY, Nbd.OPT_EXTENDED_HEADERS -> replies(option, data);
        default -> metaContext(option, ByteBuffer.wrap(data));
      }
      return true;
    }

    private void replies(int option, byte[] data) throws IOException {
      int type = data.length == 0 ? Nbd.REP_ACK : Nbd.ERR_INVALID;
      if (option == Nbd.OPT_STRUCTURED_REPLY) {
        type = extended ? Nbd.ERR_EXT_HEADER_REQD : type;
        type = has(Bug.STRUCTURED_REPLY_NEEDS_TLS) ? Nbd.ERR_TLS_REQD : type;
        structured |= type == Nbd.REP_ACK;
      } else {
        extended |= type == Nbd.REP_ACK;
      }
      reply(option, type, new byte[0]);
    }

    private int flags() {
      return FLAGS
          | (structured || extended ? Nbd.SEND_DF : 0)
          | (extended ? Nbd.BLOCK_STATUS_PAYLOAD : 0);
    }

    private void exportName(byte[] data) throws IOException {
      boolean refused = extended && !has(Bug.EXPORT_NAME_AFTER_EXTENDED);
      String name = new String(data, StandardCharsets.UTF_8);
      if (refused || !exports(name) || needsTls(name)) {
        return;
      }
      boolean padding = !noZeroes && !has(Bug.NO_PADDING_AFTER_EXPORT_NAME);
      out.write(new Packet().u64(size).u16(flags()).bytes(new byte[padding ? 124 : 0]).toBytes());
      transmit(name);
    }

    private boolean exports(String name) {
      return name.equals(EXPORT)
          || name.equals(ROTTEN)
          || (name.equals(SECRET) && mode == Tls.SELECTIVETLS);
    }

    private boolean needsTls(String name) {
      return name.equals(SECRET) && !encrypted && !has(Bug.SECRET_SERVED_IN_CLEAR);
    }

    private boolean infoOrGo(int option, ByteBuffer data) throws IOException {
      String name = name(data);
      if (name == null || data.remaining() < 2) {
        reply(option, Nbd.ERR_INVALID, new byte[0]);
        return true;
      }
      List<Integer> asked = new ArrayList<>();
      int count = data.getShort();
      while (data.remaining() >= 2) {
        asked.add((int) data.getShort());
      }
      if (count != asked.size() || name.length() > Nbd.MAX_STRING) {
        reply(option, Nbd.ERR_INVALID, new byte[0]);
        return true;
      }
      if (needsTls(name)) {
        reply(option, Nbd.ERR_TLS_REQD, new byte[0]);
        return true;
      }
      if (!exports(name)) {
        int type = has(Bug.UNKNOWN_EXPORT_INVALID) ? Nbd.ERR_INVALID : Nbd.ERR_UNKNOWN;
        type = has(Bug.TLS_REQUIRED_WITHOUT_TLS) ? Nbd.ERR_TLS_REQD : type;
        reply(option, type, new byte[0]);
        return true;
      }
      boolean go = option == Nbd.OPT_GO;
      if (asked.contains(3) && !go && has(Bug.BLOCK_SIZE_REQUIRED_THOUGH_ASKED_FOR)) {
        reply(option, Nbd.ERR_BLOCK_SIZE_REQD, new byte[0]);
        return true;
      }
      describe(option, asked, name);
      if (go) {
        if (has(Bug.PADDING_AFTER_GO)) {
          out.write(new byte[124]);
        }
        transmit(name);
      }
      return !go;
    }

    private void describe(int option, List<Integer> asked, String name) throws IOException {
      boolean go = option == Nbd.OPT_GO;
      if (go || !has(Bug.NO_INFO_EXPORT)) {
        int told = has(Bug.RESIZE_NOT_TOLD) ? SIZE : size;
        int flags = flags() ^ (go && has(Bug.GO_TELLS_OTHER_FLAGS) ? Nbd.ROTATIONAL : 0);
        reply(option, Nbd.REP_INFO, new Packet().u16(0).u64(told).u16(flags).toBytes());
      }
      if (asked.contains(1)) {
        String told = has(Bug.NUL_IN_NAME) ? "scr\0tch" : name;
        byte[] text = told.getBytes(StandardCharsets.UTF_8);
        reply(option, Nbd.REP_INFO, new Packet().u16(1).bytes(text).toBytes());
      }
      int preferred = has(Bug.PREFERRED_NO_POWER_OF_TWO) ? 5000 : 4096;
      reply(
          option,
          Nbd.REP_INFO,
          new Packet().u16(3).u32(MINIMUM).u32(preferred).u32(MAXIMUM).toBytes());
      reply(option, Nbd.REP_ACK, new byte[0]);
    }

    private void metaContext(int option, ByteBuffer data) throws IOException {
      boolean set = option == Nbd.OPT_SET_META_CONTEXT;
      context &= !set;
      String export = name(data);
      if (export == null || data.remaining() < 4 || !(structured || extended)) {
        reply(option, Nbd.ERR_INVALID, new byte[0]);
        return;
      }
      int queries = data.getInt();
      boolean found = queries == 0 && !set;
      for (int i = 0; i < queries; i++) {
        String query = name(data);
        if (query == null) {
          reply(option, Nbd.ERR_INVALID, new byte[0]);
          return;
        }
        found |= query.equals(Nbd.ALLOCATION) || (!set && query.equals("base:"));
      }
      if (found) {
        context |= set;
        byte[] text = Nbd.ALLOCATION.getBytes(StandardCharsets.UTF_8);
        reply(option, Nbd.REP_META_CONTEXT, new Packet().u32(CONTEXT).bytes(text).toBytes());
      }
      reply(option, Nbd.REP_ACK, new byte[0]);
    }

    private String name(ByteBuffer data) {
      if (data.remaining() < 4 || data.getInt(data.position()) < 0) {
        return null;
      }
      int length = data.getInt();
      if (length > data.remaining()) {
        return null;
      }
      byte[] text = new byte[length];
      ByteBuffer _ = data.get(text);
      return new String(text, StandardCharsets.UTF_8);
    }

    private void transmit(String name) throws IOException {
      ReplyDecoder.Mode replies =
          extended
              ? ReplyDecoder.Mode.EXTENDED
              : structured ? ReplyDecoder.Mode.STRUCTURED : ReplyDecoder.Mode.SIMPLE;
      boolean rotten = name.equals(ROTTEN);
      new FakeTransmission(FakeNbdServer.this, in, out, replies, context, rotten).run();
    }

    private void reply(int option, int type, byte[] data) throws IOException {
      out.write(
          new Packet()
              .u64(Nbd.OPTION_REPLY_MAGIC)
              .u32(option)
              .u32(type)
              .u32(data.length)
              .bytes(data)
              .toBytes());
    }
  }
}
