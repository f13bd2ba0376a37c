package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Takes apart what a server sends in the transmission phase, and lets nothing pass that the text
 * forbids: each breach is thrown with the rule that it is of.
 *
 * <pre>
 *   simple:     | magic 4 | error 4 | cookie 8 | data of a READ |
 *   structured: | magic 4 | flags 2 | type 2 | cookie 8 | length 4 | payload |
 *   extended:   | magic 4 | flags 2 | type 2 | cookie 8 | offset 8 | length 8 | payload |
 * </pre>
 */
final class ReplyDecoder {
  /** How replies look, by what was negotiated. */
  enum Mode {
    SIMPLE,
    STRUCTURED,
    EXTENDED
  }

  /** Room for what is in a chunk beside its data: offsets, and a message for people. */
  private static final int OVERHEAD = Nbd.MAX_STRING + 64;

  private final ByteSource in;
  private final Mode mode;
  private final long maxPayload;
  private final Map<Long, Reply> pending = new LinkedHashMap<>();
  private final Set<Long> finished = new HashSet<>();

  /** Answered, and not yet asked for. */
  private final Map<Long, Reply> kept = new LinkedHashMap<>();

  /** Part of a message has come, and not its end. */
  private boolean inside;

  /**
   * A decoder of one connection.
   *
   * @param maxPayload the longest payload that the server has announced
   */
  ReplyDecoder(ByteSource in, Mode mode, long maxPayload) {
    this.in = in;
    this.mode = mode;
    this.maxPayload = maxPayload;
  }

  Mode mode() {
    return mode;
  }

  /** Returns whether part of a message has come, and not its end. */
  boolean isInside() {
    return inside;
  }

  /** Tells of a request that was sent. */
  void expect(Request request) {
    boolean _ = finished.remove(request.cookie());
    if (pending.put(request.cookie(), new Reply(request)) != null) {
      throw new IllegalArgumentException("cookie " + request.cookie() + " is in use");
    }
  }

  /** Reads until a request is answered; answers to others are kept until they are asked for. */
  Reply await(Request request) throws IOException {
    Reply reply = pending.get(request.cookie());
    while (pending.containsKey(request.cookie())) {
      try {
        message();
      } catch (NoAnswerException e) {
        if (reply.chunks() > 0) {
          throw Broken.rule(
              "R3", request + ": chunks came, and none of them with DONE (" + e.getMessage() + ")");
        }
        throw e;
      }
    }
    return kept.remove(request.cookie());
  }

  private void message() throws IOException {
    int magic = in.read(4).getInt();
    String name = "0x" + Integer.toHexString(magic);
    inside = true;
    switch (magic) {
      case Nbd.SIMPLE_REPLY_MAGIC -> simple();
      case Nbd.STRUCTURED_REPLY_MAGIC -> {
        require(mode != Mode.SIMPLE, "R2", "a structured reply that was not negotiated");
        require(mode != Mode.EXTENDED, "X1", "a structured reply in spite of extended headers");
        structured(false);
      }
      case Nbd.EXTENDED_REPLY_MAGIC -> {
        require(mode == Mode.EXTENDED, "R2", "an extended reply that was not negotiated");
        structured(true);
      }
      default ->
          throw Broken.rule(mode == Mode.EXTENDED ? "X1" : "R2", "no magic of a reply: " + name);
    }
    inside = false;
  }

  private void simple() throws IOException {
    require(mode != Mode.EXTENDED, "X1", "a simple reply in spite of extended headers");
    ByteBuffer header = in.read(12);
    int error = header.getInt();
    Reply reply = find(header.getLong());
    Request request = reply.request();
    require(reply.chunks() == 0, "R2", request + ": a simple reply after chunks");
    if (mode == Mode.STRUCTURED) {
      require(request.command() != Nbd.READ, "R2", request + ": a simple reply, though structured");
      require(
          error != 0 || request.command() != Nbd.BLOCK_STATUS,
          "R2",
          request + ": success in a simple reply");
    }
    reply.setSimple();
    reply.setError(error);
    if (error == 0 && request.command() == Nbd.READ) {
      int length = Math.toIntExact(request.length());
      reply.addContent(request.offset(), length, Packet.rest(in.read(length)));
    }
    finish(reply);
  }

  private void structured(boolean extended) throws IOException {
    ByteBuffer header = in.read(extended ? 28 : 16);
    int flags = header.getShort() & 0xffff;
    int type = header.getShort() & 0xffff;
    Reply reply = find(header.getLong());
    Request request = reply.request();
    if (extended) {
      long offset = header.getLong();
      require(offset == request.offset(), "X1", request + ": the reply's offset is " + offset);
    }
    long length = extended ? header.getLong() : header.getInt() & 0xffffffffL;
    require(
        length >= 0 && length <= most(request) + OVERHEAD,
        "R8",
        request + ": a chunk with " + Long.toUnsignedString(length) + " bytes of payload");
    require(
        (flags & ~Nbd.DONE) == 0, "R3", request + ": reply flags 0x" + Integer.toHexString(flags));
    boolean done = (flags & Nbd.DONE) != 0;
    ByteBuffer payload = in.read((int) length);
    reply.addChunk();
    chunk(reply, type, payload, done);
    if (done) {
      finish(reply);
    }
  }

  /** Returns how much payload a reply may have in one chunk, beside what comes with it. */
  private long most(Request request) {
    return switch (request.command()) {
      // What is longer than the request can't be right either, and is not worth the memory.
      case Nbd.READ -> Math.min(Math.max(0, request.length()), Math.min(maxPayload, 1 << 26));
      case Nbd.BLOCK_STATUS -> 16L << 20;
      default -> 0;
    };
  }

  private void chunk(Reply reply, int type, ByteBuffer payload, boolean done) {
    Request request = reply.request();
    switch (type) {
      case Nbd.CHUNK_NONE -> {
        require(payload.remaining() == 0, "R3", request + ": a NONE chunk with a payload");
        require(done, "R3", request + ": a NONE chunk without DONE");
      }
      case Nbd.CHUNK_DATA -> {
        require(request.command() == Nbd.READ, "R4", request + ": a DATA chunk");
        require(payload.remaining() > 8, "R4", request + ": a DATA chunk without data");
        long offset = payload.getLong();
        reply.addContent(offset, payload.remaining(), Packet.rest(payload));
      }
      case Nbd.CHUNK_HOLE -> {
        require(request.command() == Nbd.READ, "R4", request + ": a HOLE chunk");
        require(payload.remaining() == 12, "R4", request + ": a HOLE chunk of another length");
        long offset = payload.getLong();
        long length = payload.getInt() & 0xffffffffL;
        require(length > 0, "R4", request + ": a hole of length 0");
        reply.addContent(offset, length, new byte[0]);
      }
      case Nbd.CHUNK_STATUS -> {
        require(request.command() == Nbd.BLOCK_STATUS, "B2", request + ": a BLOCK_STATUS chunk");
        require(mode != Mode.EXTENDED, "X3", request + ": chunk type 5 with extended headers");
        status(reply, payload);
      }
      case Nbd.CHUNK_STATUS_EXT -> {
        require(request.command() == Nbd.BLOCK_STATUS, "B2", request + ": a BLOCK_STATUS chunk");
        require(mode == Mode.EXTENDED, "X3", request + ": chunk type 6 without extended headers");
        statusExtended(reply, payload);
      }
      default -> {
        require((type & Nbd.CHUNK_ERROR_BIT) != 0, "R2", request + ": unknown chunk type " + type);
        error(reply, type, payload);
      }
    }
  }

  private static void status(Reply reply, ByteBuffer payload) {
    int bytes = payload.remaining();
    require(bytes >= 4 && (bytes - 4) % 8 == 0, "B2", reply.request() + ": payload of " + bytes);
    int context = payload.getInt();
    List<Reply.Extent> extents = new ArrayList<>();
    while (payload.hasRemaining()) {
      long length = payload.getInt() & 0xffffffffL;
      extents.add(new Reply.Extent(length, payload.getInt() & 0xffffffffL));
    }
    reply.addExtents(context, extents);
  }

  private static void statusExtended(Reply reply, ByteBuffer payload) {
    int bytes = payload.remaining();
    require(bytes >= 8 && (bytes - 8) % 16 == 0, "X3", reply.request() + ": payload of " + bytes);
    int context = payload.getInt();
    int count = payload.getInt();
    require(
        count == 0 || count == payload.remaining() / 16,
        "X3",
        reply.request()
            + ": a count of "
            + count
            + " for "
            + payload.remaining() / 16
            + " extents");
    List<Reply.Extent> extents = new ArrayList<>();
    while (payload.hasRemaining()) {
      long length = payload.getLong();
      extents.add(new Reply.Extent(length, payload.getLong()));
    }
    reply.addExtents(context, extents);
  }

  private static void error(Reply reply, int type, ByteBuffer payload) {
    Request request = reply.request();
    int least = type == Nbd.CHUNK_ERROR_OFFSET ? 14 : 6;
    int bytes = payload.remaining();
    require(bytes >= least, "R2", request + ": an error chunk of " + bytes + " bytes");
    int error = payload.getInt();
    int message = payload.getShort() & 0xffff;
    require(error != 0, "R2", request + ": an error chunk with error 0");
    require(message <= bytes - least, "R2", request + ": an error message longer than its chunk");
    String problem = Strings.problem(payload.slice(payload.position(), message));
    require(problem == null, "H10", request + ": the error message " + problem);
    if (type == Nbd.CHUNK_ERROR_OFFSET) {
      long offset = payload.getLong(payload.position() + message);
      long from = offset - request.offset();
      require(
          from >= 0 && from < request.length(), "R4", request + ": an error at offset " + offset);
      reply.addErrorOffset(from);
    }
    reply.setError(error);
  }

  private Reply find(long cookie) {
    Reply reply = pending.get(cookie);
    if (reply == null) {
      String hex = "0x" + Long.toHexString(cookie);
      if (finished.contains(cookie)) {
        throw Broken.rule(
            mode == Mode.SIMPLE ? "R1" : "R3",
            "a message for cookie " + hex + " after its last one");
      }
      throw Broken.rule("R1", "a reply with cookie " + hex + ", of no request");
    }
    return reply;
  }

  private void finish(Reply reply) {
    Reply _ = pending.remove(reply.request().cookie());
    boolean _ = finished.add(reply.request().cookie());
    Reply _ = kept.put(reply.request().cookie(), reply);
    reply.end();
  }

  private static void require(boolean condition, String rule, String seen) {
    if (!condition) {
      throw Broken.rule(rule, seen);
    }
  }
}
