package io.plinth.target.nbd;

import static io.plinth.target.nbd.NbdProtocol.CMD_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.CMD_FLAG_DF;
import static io.plinth.target.nbd.NbdProtocol.CMD_READ;
import static io.plinth.target.nbd.NbdProtocol.EXTENDED_REPLY_MAGIC;
import static io.plinth.target.nbd.NbdProtocol.NO_ERROR;
import static io.plinth.target.nbd.NbdProtocol.REPLY_FLAG_DONE;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_BLOCK_STATUS;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_BLOCK_STATUS_EXT;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_ERROR;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_NONE;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_DATA;
import static io.plinth.target.nbd.NbdProtocol.REPLY_TYPE_OFFSET_HOLE;
import static io.plinth.target.nbd.NbdProtocol.SIMPLE_REPLY_BYTES;
import static io.plinth.target.nbd.NbdProtocol.SIMPLE_REPLY_MAGIC;
import static io.plinth.target.nbd.NbdProtocol.STRUCTURED_REPLY_MAGIC;
import static java.nio.ByteOrder.BIG_ENDIAN;

import io.plinth.engine.api.Connection;
import io.plinth.target.volume.ExtentList;
import io.plinth.target.volume.IoVector;
import org.agrona.MutableDirectBuffer;

/**
 * The replies of one connection, in the order in which their requests completed. A reply that the
 * connection can't take whole is continued later, before any other.
 *
 * <p>The outcome of a request is known before its reply begins, so there is never an error after a
 * successful header or chunk:
 *
 * <pre>
 *   READ, simple:      | header 16 | data by reference ...
 *   READ, structured:  | header 20 | offset 8 | data by reference ... | header 20 | offset 8 | hole size 4 | ...
 *   BLOCK_STATUS:      | header 20 | context 4 | length 4, state 4 | ...          for each context
 *   failure:           | header 16 |  or, when structured,  | header 20 | errno 4 | message length 2 | message |
 *   all else:          | header 16 |
 * </pre>
 *
 * <p>With extended headers all is structured, each header has 32 bytes, and
 *
 * <pre>
 *   BLOCK_STATUS:      | header 32 | context 4 | count 4 | length 8, state 8 | ...  for each context
 *   all else:          | header 32 |
 * </pre>
 */
final class ReplyWriter {
  /** Zeroes shorter than this are sent as data: a chunk for them would cost more than it saves. */
  static final int MIN_HOLE_BYTES = 4096;

  private static final int OFFSET_BYTES = 8;

  private final Connection connection;
  private final ReplyFormat format;
  private final long zeroAddress;
  private final int zeroBytes;

  private NbdRequest head;
  private NbdRequest tail;

  // How far the reply at the head has come.

  /** The header of a simple reply is out. */
  private boolean begun;

  /**
   * The range to send next, and how much of it went before if it is one of zeroes; of BLOCK_STATUS,
   * the context.
   */
  private int range;

  private int rangeSent;

  /** Bytes of the request that lie before the next chunk. */
  private long chunkStart;

  /** Data still owed to the chunk, or to the simple reply, whose header is out. */
  private long chunkRemaining;

  /**
   * Makes the writer of one connection.
   *
   * @param zeroAddress memory that is zero and stays so, of {@code zeroBytes}
   */
  ReplyWriter(Connection connection, ReplyFormat format, long zeroAddress, int zeroBytes) {
    this.connection = connection;
    this.format = format;
    this.zeroAddress = zeroAddress;
    this.zeroBytes = zeroBytes;
  }

  /** Returns whether no reply waits. */
  boolean isEmpty() {
    return head == null;
  }

  /** Puts a reply behind those that wait. */
  void enqueue(NbdRequest request) {
    if (head == null) {
      head = request;
    } else {
      tail.nextReply = request;
    }
    tail = request;
  }

  /**
   * Passes the reply at the head, or the rest of it, to the connection.
   *
   * @return the request whose reply is now complete, no longer queued; null when the connection has
   *     no room for all of it and will call {@code onWritable}, or when no reply waits
   */
  NbdRequest writeNext() {
    NbdRequest request = head;
    if (request == null || !write(request)) {
      return null;
    }
    head = request.nextReply;
    request.nextReply = null;
    if (head == null) {
      tail = null;
    }
    begun = false;
    range = 0;
    rangeSent = 0;
    chunkStart = 0;
    chunkRemaining = 0;
    return request;
  }

  /** Takes the reply at the head away unfinished; null when none is left. */
  NbdRequest drop() {
    NbdRequest request = head;
    if (request != null) {
      head = request.nextReply;
      request.nextReply = null;
    }
    return request;
  }

  private boolean write(NbdRequest request) {
    if (request.error != NO_ERROR) {
      return format.hasChunks() ? writeErrorChunk(request) : writeSimple(request, request.error);
    }
    return switch (request.command) {
      case CMD_READ -> format.hasChunks() ? writeStructuredRead(request) : writeSimpleRead(request);
      case CMD_BLOCK_STATUS -> writeBlockStatus(request);
      // A simple one is allowed for whatever carries no payload, and shorter than a chunk.
      default ->
          format == ReplyFormat.EXTENDED
              ? claimChunk(request, REPLY_TYPE_NONE, true, 0, 0) >= 0
              : writeSimple(request, NO_ERROR);
    };
  }

  private boolean writeSimple(NbdRequest request, int error) {
    int at = connection.claim(SIMPLE_REPLY_BYTES);
    if (at < 0) {
      return false;
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putInt(at, SIMPLE_REPLY_MAGIC, BIG_ENDIAN);
    out.putInt(at + 4, error, BIG_ENDIAN);
    out.putLong(at + 8, request.cookie, BIG_ENDIAN);
    return true;
  }

  private boolean writeSimpleRead(NbdRequest request) {
    if (!begun) {
      if (!writeSimple(request, NO_ERROR)) {
        return false;
      }
      begun = true;
      chunkRemaining = request.length;
    }
    return sendChunkData(request);
  }

  private boolean writeStructuredRead(NbdRequest request) {
    if (request.length == 0) {
      return claimChunk(request, REPLY_TYPE_NONE, true, 0, 0) >= 0;
    }
    while (sendChunkData(request)) {
      if (chunkStart == request.length) {
        return true;
      }
      long hole = (request.flags & CMD_FLAG_DF) == 0 ? zeroesFrom(request.data, range) : 0;
      if (!(hole >= MIN_HOLE_BYTES ? writeHole(request, hole) : beginData(request))) {
        return false;
      }
    }
    return false;
  }

  private boolean writeHole(NbdRequest request, long holeBytes) {
    boolean last = chunkStart + holeBytes == request.length;
    int at = claimChunk(request, REPLY_TYPE_OFFSET_HOLE, last, OFFSET_BYTES + 4, 0);
    if (at < 0) {
      return false;
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putLong(at, request.offset + chunkStart, BIG_ENDIAN);
    out.putInt(at + OFFSET_BYTES, (int) holeBytes, BIG_ENDIAN);
    for (long skipped = 0; skipped < holeBytes; range++) {
      skipped += request.data.length(range);
    }
    chunkStart += holeBytes;
    return true;
  }

  private boolean beginData(NbdRequest request) {
    long length =
        (request.flags & CMD_FLAG_DF) == 0 ? dataFrom(request.data, range) : request.length;
    boolean last = chunkStart + length == request.length;
    int at = claimChunk(request, REPLY_TYPE_OFFSET_DATA, last, OFFSET_BYTES, length);
    if (at < 0) {
      return false;
    }
    connection.outputBuffer().putLong(at, request.offset + chunkStart, BIG_ENDIAN);
    chunkStart += length;
    chunkRemaining = length;
    return true;
  }

  /** Returns the length of the run of zeroes that begins with range {@code first}. */
  private static long zeroesFrom(IoVector data, int first) {
    long length = 0;
    for (int i = first; i < data.count() && data.address(i) == 0; i++) {
      length += data.length(i);
    }
    return length;
  }

  /** Returns how far it is from range {@code first} to a hole that deserves a chunk, or the end. */
  private static long dataFrom(IoVector data, int first) {
    long length = 0;
    long zeroes = 0;
    for (int i = first; i < data.count() && zeroes < MIN_HOLE_BYTES; i++) {
      length += data.length(i);
      zeroes = data.address(i) == 0 ? zeroes + data.length(i) : 0;
    }
    return zeroes < MIN_HOLE_BYTES ? length : length - zeroes;
  }

  /** Sends the data that the open chunk lacks; false when the connection had no room for all. */
  private boolean sendChunkData(NbdRequest request) {
    IoVector data = request.data;
    while (chunkRemaining > 0) {
      int length = data.length(range);
      if (data.address(range) == 0) {
        int piece = Math.min(length - rangeSent, zeroBytes);
        if (!connection.send(zeroAddress, piece, null, 0)) {
          return false;
        }
        chunkRemaining -= piece;
        rangeSent += piece;
        if (rangeSent == length) {
          rangeSent = 0;
          range++;
        }
      } else {
        if (!lend(request, data.address(range), length)) {
          return false;
        }
        chunkRemaining -= length;
        range++;
      }
    }
    return true;
  }

  /** Counted before the call, since the loan may end within it. */
  private boolean lend(NbdRequest request, long address, int length) {
    int before = request.lentRanges;
    request.lentRanges = range + 1;
    request.loansOut++;
    if (connection.send(address, length, request, range)) {
      return true;
    }
    request.lentRanges = before;
    request.loansOut--;
    return false;
  }

  private boolean writeBlockStatus(NbdRequest request) {
    int contexts = request.contexts.size();
    for (; range < contexts; range++) {
      int id = request.contexts.get(range).id();
      boolean last = range == contexts - 1;
      ExtentList extents = request.extents(range);
      boolean written =
          format == ReplyFormat.EXTENDED
              ? writeLongExtents(request, id, extents, last)
              : writeExtents(request, id, extents, last);
      if (!written) {
        return false;
      }
    }
    return true;
  }

  private boolean writeExtents(NbdRequest request, int id, ExtentList extents, boolean last) {
    int at = claimChunk(request, REPLY_TYPE_BLOCK_STATUS, last, 4 + 8 * extents.count(), 0);
    if (at < 0) {
      return false;
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putInt(at, id, BIG_ENDIAN);
    int field = at + 4;
    for (int i = 0; i < extents.count(); i++) {
      out.putInt(field, (int) extents.length(i), BIG_ENDIAN);
      out.putInt(field + 4, extents.state(i), BIG_ENDIAN);
      field += 8;
    }
    return true;
  }

  private boolean writeLongExtents(NbdRequest request, int id, ExtentList extents, boolean last) {
    int at = claimChunk(request, REPLY_TYPE_BLOCK_STATUS_EXT, last, 8 + 16 * extents.count(), 0);
    if (at < 0) {
      return false;
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putInt(at, id, BIG_ENDIAN);
    out.putInt(at + 4, extents.count(), BIG_ENDIAN);
    int field = at + 8;
    for (int i = 0; i < extents.count(); i++) {
      out.putLong(field, extents.length(i), BIG_ENDIAN);
      out.putLong(field + 8, extents.state(i), BIG_ENDIAN);
      field += 16;
    }
    return true;
  }

  private boolean writeErrorChunk(NbdRequest request) {
    int messageBytes = request.message == null ? 0 : request.message.length;
    int at = claimChunk(request, REPLY_TYPE_ERROR, true, 6 + messageBytes, 0);
    if (at < 0) {
      return false;
    }
    MutableDirectBuffer out = connection.outputBuffer();
    out.putInt(at, request.error, BIG_ENDIAN);
    out.putShort(at + 4, (short) messageBytes, BIG_ENDIAN);
    if (messageBytes > 0) {
      out.putBytes(at + 6, request.message);
    }
    return true;
  }

  /**
   * Writes a chunk's header.
   *
   * @param claimedBytes what of the payload the caller writes
   * @param sentBytes what of it follows by reference
   * @return where the payload goes, or -1 when there is no room
   */
  private int claimChunk(
      NbdRequest request, int type, boolean last, int claimedBytes, long sentBytes) {
    int at = connection.claim(format.chunkBytes() + claimedBytes);
    if (at < 0) {
      return -1;
    }
    boolean extended = format == ReplyFormat.EXTENDED;
    MutableDirectBuffer out = connection.outputBuffer();
    out.putInt(at, extended ? EXTENDED_REPLY_MAGIC : STRUCTURED_REPLY_MAGIC, BIG_ENDIAN);
    out.putShort(at + 4, (short) (last ? REPLY_FLAG_DONE : 0), BIG_ENDIAN);
    out.putShort(at + 6, (short) type, BIG_ENDIAN);
    out.putLong(at + 8, request.cookie, BIG_ENDIAN);
    long payloadBytes = claimedBytes + sentBytes;
    if (extended) {
      out.putLong(at + 16, request.offset, BIG_ENDIAN);
      out.putLong(at + 24, payloadBytes, BIG_ENDIAN);
    } else {
      out.putInt(at + 16, (int) payloadBytes, BIG_ENDIAN);
    }
    return at + format.chunkBytes();
  }
}
