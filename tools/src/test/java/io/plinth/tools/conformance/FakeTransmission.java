package io.plinth.tools.conformance;

import static io.plinth.tools.conformance.FakeNbdServer.CONTEXT;
import static io.plinth.tools.conformance.FakeNbdServer.MAXIMUM;
import static io.plinth.tools.conformance.FakeNbdServer.MINIMUM;
import static io.plinth.tools.conformance.FakeNbdServer.ROTTEN_BYTES;

import io.plinth.tools.conformance.ReplyDecoder.Mode;
import io.plinth.tools.nbd.Nbd;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.List;

/** The transmission phase of a fake server: one request at a time. */
final class FakeTransmission {
  private static final int HALF = 256;

  private final FakeNbdServer server;
  private final DataInputStream in;
  private final OutputStream out;
  private final Mode mode;
  private final boolean context;
  private final boolean rotten;

  /** The size as this connection knows it. */
  private int size;

  /** What this connection has read first, for the bug of old data. */
  private byte[] old;

  private int flags;
  private int command;
  private long cookie;
  private long offset;
  private long length;
  private byte[] payload;

  FakeTransmission(
      FakeNbdServer server,
      DataInputStream in,
      OutputStream out,
      Mode mode,
      boolean context,
      boolean rotten) {
    this.rotten = rotten;
    this.server = server;
    this.in = in;
    this.out = out;
    this.mode = mode;
    this.context = context;
    this.size = server.size();
  }

  void run() throws IOException {
    boolean on = true;
    while (on) {
      on = request();
    }
  }

  private boolean request() throws IOException {
    boolean extended = mode == Mode.EXTENDED;
    int magic = in.readInt();
    boolean right = magic == (extended ? Nbd.EXTENDED_REQUEST_MAGIC : Nbd.REQUEST_MAGIC);
    if (!right && !server.has(Bug.BAD_MAGIC_EXECUTED)) {
      return false;
    }
    flags = in.readUnsignedShort();
    command = in.readUnsignedShort();
    cookie = in.readLong();
    offset = in.readLong();
    length = extended ? in.readLong() : in.readInt() & 0xffffffffL;
    if (command == Nbd.DISC) {
      return false;
    }
    boolean hasPayload = command == Nbd.WRITE || (extended && (flags & Nbd.PAYLOAD_LEN) != 0);
    if (hasPayload && length > MAXIMUM && server.has(Bug.LONG_WRITE_DISCONNECTS)) {
      return false;
    }
    if (length == 0 && command != Nbd.FLUSH && server.has(Bug.EMPTY_REQUEST_DISCONNECTS)) {
      return command == 0x7fff || command == Nbd.RESIZE;
    }
    if (server.has(Bug.LENGTH_CUT_TO_32_BITS)) {
      length &= 0xffffffffL;
    }
    int error = validate();
    boolean leave = error != 0 && server.has(Bug.PAYLOAD_OF_REFUSED_WRITE_LEFT);
    payload = new byte[hasPayload && !leave ? (int) length : 0];
    in.readFully(payload);
    boolean readable = !rotten || command != Nbd.READ || offset >= ROTTEN_BYTES || length == 0;
    if (error == 0 && server.isStopping()) {
      return stopping();
    }
    if (error == 0 && readable) {
      execute();
    } else if (error == 0) {
      return failRead();
    } else {
      fail(error);
    }
    return true;
  }

  private boolean stopping() throws IOException {
    if (server.has(Bug.GARBAGE_WHILE_STOPPING)) {
      out.write(new byte[64]);
    } else if (server.has(Bug.WRITES_LOST_WHILE_STOPPING)) {
      if (command == Nbd.READ) {
        read();
      } else {
        succeed();
      }
    } else if (!server.has(Bug.SILENT_WHILE_STOPPING)) {
      fail(server.has(Bug.EIO_WHILE_STOPPING) ? Nbd.EIO : Nbd.ESHUTDOWN);
    }
    return true;
  }

  /** Finds out at once in a short READ, and after half of the data in a long one. */
  private boolean failRead() throws IOException {
    boolean late = length > ROTTEN_BYTES;
    byte[] half = new byte[(int) length / 2];
    if (mode == Mode.SIMPLE) {
      return failSimpleRead(late, half);
    }
    if (server.has(Bug.FAILED_READ_DISCONNECTS)) {
      return false;
    }
    boolean padded = !server.has(Bug.BROKEN_CHUNK_NOT_PADDED);
    if (late) {
      header(0, Nbd.CHUNK_DATA, 8 + (int) length);
      out.write(new Packet().u64(offset).bytes(half).toBytes());
      out.write(new byte[padded ? half.length : 0]);
    }
    chunk(
        server.has(Bug.ERROR_CHUNK_WITHOUT_DONE) ? 0 : Nbd.DONE,
        Nbd.CHUNK_ERROR_OFFSET,
        new Packet().u32(Nbd.EIO).u16(0).u64(offset).toBytes());
    return true;
  }

  private boolean failSimpleRead(boolean late, byte[] half) throws IOException {
    if (server.has(Bug.FAILED_READ_AS_ZEROES)) {
      simple(0, new byte[(int) length]);
      return true;
    }
    if (late) {
      simple(0, half);
      if (server.has(Bug.ERROR_REPLY_WITHIN_DATA)) {
        simple(Nbd.EIO, new byte[0]);
        return true;
      }
      return false;
    }
    simple(Nbd.EIO, new byte[server.has(Bug.ERROR_REPLY_WITH_DATA) ? (int) length : 0]);
    return true;
  }

  private int validate() {
    int allowed =
        switch (command) {
          case Nbd.READ -> Nbd.DF | (server.has(Bug.PAYLOAD_OF_READ_TAKEN) ? Nbd.PAYLOAD_LEN : 0);
          case Nbd.WRITE -> mode == Mode.EXTENDED ? Nbd.PAYLOAD_LEN : 0;
          case Nbd.WRITE_ZEROES -> Nbd.NO_HOLE | Nbd.FAST_ZERO;
          case Nbd.BLOCK_STATUS -> Nbd.REQ_ONE | (mode == Mode.EXTENDED ? Nbd.PAYLOAD_LEN : 0);
          case Nbd.FLUSH, Nbd.TRIM, Nbd.CACHE, Nbd.RESIZE -> 0;
          default -> -1;
        };
    if (allowed < 0) {
      return Nbd.EINVAL;
    }
    if (command == Nbd.RESIZE) {
      return resize();
    }
    if ((flags & ~(allowed | Nbd.FUA)) != 0 && !server.has(Bug.UNKNOWN_FLAG_TAKEN)) {
      return Nbd.EINVAL;
    }
    if (command == Nbd.BLOCK_STATUS && !context) {
      return server.has(Bug.STATUS_WITHOUT_CONTEXT) ? 0 : Nbd.EINVAL;
    }
    if (command == Nbd.FLUSH || (flags & Nbd.PAYLOAD_LEN & ~allowed) != 0) {
      return 0;
    }
    boolean filter = command == Nbd.BLOCK_STATUS && (flags & Nbd.PAYLOAD_LEN) != 0;
    return filter ? 0 : range();
  }

  private int resize() {
    boolean bad =
        (offset % MINIMUM != 0 && !server.has(Bug.RESIZE_TO_ANY_SIZE))
            || (length != 0 && !server.has(Bug.LENGTH_OF_RESIZE_TAKEN));
    if (bad || server.has(Bug.RESIZE_IS_EINVAL)) {
      return Nbd.EINVAL;
    }
    if (offset < 0 || offset > server.disk().length) {
      return Nbd.ENOSPC;
    }
    server.resize((int) offset);
    size = server.has(Bug.RESIZE_NOT_SEEN_AT_ONCE) ? size : server.size();
    return 0;
  }

  private int range() {
    boolean data = command == Nbd.READ || command == Nbd.WRITE;
    if (data && length > MAXIMUM && length <= size) {
      return Nbd.EINVAL;
    }
    if (offset < 0 || length < 0 || offset > size || length > size - offset) {
      boolean grows = command == Nbd.WRITE || command == Nbd.WRITE_ZEROES;
      return server.has(Bug.PAST_THE_END_IS_EIO) ? Nbd.EIO : grows ? Nbd.ENOSPC : Nbd.EINVAL;
    }
    boolean aligned = (offset | length) % MINIMUM == 0;
    return aligned || server.has(Bug.MISALIGNED_SERVED) ? 0 : Nbd.EINVAL;
  }

  private void execute() throws IOException {
    byte[] disk = server.disk();
    int from = (int) offset;
    switch (command) {
      case Nbd.READ -> read();
      case Nbd.WRITE -> {
        boolean lost = (flags & Nbd.FUA) != 0 && server.has(Bug.FUA_WRITE_LOST);
        if (!lost) {
          System.arraycopy(payload, 0, disk, from, payload.length);
        }
        old = null;
        succeed();
      }
      case Nbd.WRITE_ZEROES -> {
        if (!server.has(Bug.ZEROES_NOT_WRITTEN)) {
          Arrays.fill(disk, from, from + (int) length, (byte) 0);
        }
        old = null;
        succeed();
      }
      case Nbd.BLOCK_STATUS -> status();
      default -> succeed();
    }
  }

  private void read() throws IOException {
    byte[] data = Arrays.copyOfRange(server.disk(), (int) offset, (int) (offset + length));
    if (server.has(Bug.OLD_DATA_ON_OTHER_CONNECTIONS) && offset == 0) {
      old = old == null || old.length != data.length ? data : old;
      data = old;
    }
    if (mode == Mode.SIMPLE) {
      simple(0, data);
      return;
    }
    if (length == 0) {
      chunk(Nbd.DONE, Nbd.CHUNK_NONE, new byte[0]);
      return;
    }
    int half = data.length - HALF;
    boolean fragmented = server.has(Bug.FRAGMENTED_IN_SPITE_OF_DF) && (flags & Nbd.DF) != 0;
    if (server.has(Bug.CHUNKS_OVERLAP)) {
      data(0, offset, Arrays.copyOf(data, half + 1));
      data(Nbd.DONE, offset + half, Arrays.copyOfRange(data, half, data.length));
    } else if (fragmented) {
      data(0, offset, Arrays.copyOf(data, half));
      data(Nbd.DONE, offset + half, Arrays.copyOfRange(data, half, data.length));
    } else if (server.has(Bug.READ_NOT_COVERED)) {
      data(Nbd.DONE, offset, Arrays.copyOf(data, half));
    } else if (server.has(Bug.CHUNK_OUTSIDE)) {
      data(Nbd.DONE, offset + 1, data);
    } else if (server.has(Bug.HUGE_CHUNK)) {
      header(Nbd.DONE, Nbd.CHUNK_DATA, 1 << 29);
    } else {
      data(server.has(Bug.DONE_MISSING) ? 0 : Nbd.DONE, offset, data);
    }
    if (server.has(Bug.CHUNK_AFTER_DONE)) {
      chunk(Nbd.DONE, Nbd.CHUNK_NONE, new byte[0]);
    }
  }

  private void data(int chunkFlags, long at, byte[] data) throws IOException {
    chunk(chunkFlags, Nbd.CHUNK_DATA, new Packet().u64(at).bytes(data).toBytes());
  }

  private void status() throws IOException {
    if (!context) {
      chunk(Nbd.DONE, Nbd.CHUNK_NONE, new byte[0]);
      return;
    }
    long about = length;
    if ((flags & Nbd.PAYLOAD_LEN) != 0) {
      about = filter();
      if (about < 0) {
        fail(Nbd.EINVAL);
        return;
      }
    }
    if (about == 0) {
      fail(Nbd.EINVAL);
      return;
    }
    long first = server.has(Bug.EMPTY_EXTENT) ? 0 : Math.min(about, MINIMUM);
    boolean two =
        first < about && ((flags & Nbd.REQ_ONE) == 0 || server.has(Bug.TWO_EXTENTS_FOR_REQ_ONE));
    int state = server.has(Bug.DATA_SAID_TO_BE_ZERO) ? Nbd.STATE_ZERO : 0;
    boolean wide = mode == Mode.EXTENDED && !server.has(Bug.STATUS_OF_TYPE_5);
    Packet packet = new Packet().u32(CONTEXT);
    List<Long> lengths = two ? List.of(first, about - first) : List.of(first);
    if (wide) {
      Packet _ = packet.u32(lengths.size());
    }
    for (long extent : lengths) {
      Packet _ = wide ? packet.u64(extent).u64(state) : packet.u32((int) extent).u32(state);
    }
    chunk(Nbd.DONE, wide ? Nbd.CHUNK_STATUS_EXT : Nbd.CHUNK_STATUS, packet.toBytes());
  }

  /** Returns the length that a filtered status is about, or -1 when its payload is wrong. */
  private long filter() {
    if (payload.length < 12 || payload.length % 4 != 0) {
      return -1;
    }
    java.nio.ByteBuffer data = java.nio.ByteBuffer.wrap(payload);
    long about = data.getLong();
    boolean one = payload.length == 12 || server.has(Bug.CONTEXT_TWICE);
    return one && data.getInt() == CONTEXT ? about : -1;
  }

  private void succeed() throws IOException {
    if (mode == Mode.EXTENDED) {
      chunk(Nbd.DONE, Nbd.CHUNK_NONE, new byte[0]);
    } else {
      simple(0, new byte[0]);
    }
  }

  private void fail(int error) throws IOException {
    boolean simpleError = command == Nbd.READ && server.has(Bug.SIMPLE_ERROR_TO_STRUCTURED_READ);
    if (mode == Mode.SIMPLE || (mode == Mode.STRUCTURED && simpleError)) {
      simple(error, new byte[0]);
    } else {
      chunk(Nbd.DONE, Nbd.CHUNK_ERROR, new Packet().u32(error).u16(0).toBytes());
    }
  }

  private long echoed() {
    return server.has(Bug.WRONG_COOKIE) ? cookie ^ 1 : cookie;
  }

  private void simple(int error, byte[] data) throws IOException {
    out.write(
        new Packet().u32(Nbd.SIMPLE_REPLY_MAGIC).u32(error).u64(echoed()).bytes(data).toBytes());
  }

  private void chunk(int chunkFlags, int type, byte[] data) throws IOException {
    if (mode == Mode.EXTENDED
        && type == Nbd.CHUNK_NONE
        && server.has(Bug.SIMPLE_REPLY_TO_EXTENDED)) {
      simple(0, new byte[0]);
      return;
    }
    header(chunkFlags, type, data.length);
    out.write(data);
  }

  private void header(int chunkFlags, int type, int bytes) throws IOException {
    boolean extended = mode == Mode.EXTENDED;
    Packet packet =
        new Packet()
            .u32(extended ? Nbd.EXTENDED_REPLY_MAGIC : Nbd.STRUCTURED_REPLY_MAGIC)
            .u16(chunkFlags)
            .u16(type)
            .u64(echoed());
    if (extended) {
      Packet _ = packet.u64(offset + (server.has(Bug.OTHER_OFFSET_IN_REPLY) ? 1 : 0)).u64(bytes);
    } else {
      Packet _ = packet.u32(bytes);
    }
    out.write(packet.toBytes());
  }
}
