package io.plinth.log.wire;

import io.plinth.engine.memory.NativeMemory;
import io.plinth.raft.core.Message;
import io.plinth.raft.core.MessageType;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Takes frames out of a stream. What is wrong is told once, in words, by {@link #problem}; after it
 * nothing more is read.
 */
public final class FrameReader {
  private static final int NEXT_HEADER = 0;
  private static final int PAYLOAD = 1;
  private static final int SKIP = 2;
  private static final int HELD = 3;
  private static final int BROKEN = 4;
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private final FrameSink sink;
  private final NativeMemory headerMemory = NativeMemory.reserve(WireFormat.MAX_HEADER_BYTES);
  private final UnsafeBuffer header = headerMemory.buffer(0, WireFormat.MAX_HEADER_BYTES);
  // Address space only; what the largest frame so far needed is committed.
  private final NativeMemory payloadMemory = NativeMemory.reserve(WireFormat.MAX_PAYLOAD_BYTES);
  private final UnsafeBuffer payload = payloadMemory.buffer(0, WireFormat.MAX_PAYLOAD_BYTES);
  private final CRC32C crc = new CRC32C();
  private final Message message = new Message();
  private final AppendFrame append = new AppendFrame(message);
  private final ResyncFrame resync = new ResyncFrame();
  private int from;
  private int to;
  private long incarnation;
  private int state = NEXT_HEADER;
  private int payloadBytes;
  private int arrived;
  private String problem;

  /** Creates a reader. */
  public FrameReader(FrameSink sink) {
    this.sink = sink;
  }

  /** Sets what all messages of the stream have in common. */
  public void identify(int sender, int receiver, long sendersIncarnation) {
    from = sender;
    to = receiver;
    incarnation = sendersIncarnation;
  }

  /** Returns what was wrong, or null. */
  public String problem() {
    return problem;
  }

  /** Returns whether entries wait for {@link #offerAgain}. */
  public boolean isHolding() {
    return state == HELD;
  }

  /** Returns how many bytes are missing of payload that goes to {@link #directAddress}. */
  public int directBytes() {
    return state == PAYLOAD ? payloadBytes - arrived : 0;
  }

  /** Returns where the next bytes of payload go. */
  public long directAddress() {
    return payloadMemory.address() + arrived;
  }

  /** All that {@link #directBytes} told is there. */
  public void directReceived() {
    arrived = payloadBytes;
    deliverAppend();
  }

  /** Offers the entries that were not taken; returns whether they are now. */
  public boolean offerAgain() {
    if (state == HELD) {
      append.rewind();
      offer();
    }
    return state != HELD;
  }

  /** Frees the memory. */
  public void close() {
    headerMemory.close();
    payloadMemory.close();
  }

  /** Takes bytes of the stream; returns how many, the rest is to be given again with more. */
  public int read(DirectBuffer buffer, int offset, int length) {
    int taken = 0;
    while (state != HELD && state != BROKEN) {
      int left = length - taken;
      int count =
          switch (state) {
            case PAYLOAD -> readPayload(buffer, offset + taken, left);
            case SKIP -> skip(left);
            default -> readHeader(buffer, offset + taken, left);
          };
      taken += count;
      if (count == 0) {
        break;
      }
    }
    return taken;
  }

  private int readHeader(DirectBuffer buffer, int offset, int length) {
    if (length < FrameHeader.BYTES) {
      return 0;
    }
    int type = FrameHeader.type(buffer, offset);
    int headerBytes = FrameHeader.headerBytes(buffer, offset);
    payloadBytes = FrameHeader.payloadBytes(buffer, offset);
    if (headerBytes < FrameHeader.BYTES
        || headerBytes > WireFormat.MAX_HEADER_BYTES
        || headerBytes % Long.BYTES != 0) {
      return fail(type, "headerBytes " + headerBytes + " is not possible");
    }
    if (payloadBytes < 0 || payloadBytes > WireFormat.MAX_PAYLOAD_BYTES) {
      return fail(type, "payloadBytes " + payloadBytes + " is not possible");
    }
    if (length < headerBytes) {
      return 0;
    }
    buffer.getBytes(offset, header, 0, headerBytes);
    int computed =
        headerMemory.crc32cWithout(
            crc, headerMemory.address(), headerBytes, FrameHeader.CRC_OFFSET);
    if (computed != FrameHeader.crc(header, 0)) {
      return fail(type, "the checksum of the header is wrong");
    }
    arrived = 0;
    String wrong =
        switch (type) {
          case WireFormat.MESSAGES -> parseMessages(headerBytes);
          case WireFormat.APPEND -> parseAppend(headerBytes);
          case WireFormat.REFUSED -> parseRefused(headerBytes);
          case WireFormat.RESYNC -> parseResync(headerBytes);
          default -> {
            state = SKIP;
            sink.onUnknown(type, 0);
            yield null;
          }
        };
    if (wrong != null) {
      return fail(type, wrong);
    }
    if (state == PAYLOAD && payloadBytes == 0) {
      deliverAppend();
    } else if (state == SKIP && payloadBytes == 0) {
      state = NEXT_HEADER;
    }
    return headerBytes;
  }

  private int fail(int type, String what) {
    problem = "frame of type " + type + ": " + what;
    state = BROKEN;
    return 0;
  }

  private String parseMessages(int headerBytes) {
    if (payloadBytes != 0) {
      return "payloadBytes " + payloadBytes + " of MESSAGES";
    }
    // All is judged before anything is delivered: a frame is good or it is not.
    int count = FrameHeader.count(header, 0);
    int at = FrameHeader.BYTES;
    for (int i = 0; i < count; i++) {
      if (at > headerBytes - MessageCodec.HEADER_BYTES) {
        return "message " + i + " is cut short";
      }
      int bytes = MessageCodec.messageBytes(header, at);
      MessageType type = WireFormat.messageType(MessageCodec.type(header, at));
      int least = type == null ? MessageCodec.HEADER_BYTES : MessageCodec.bytes(type);
      if (MessageCodec.type(header, at) == WireFormat.SYNC) {
        least = MessageCodec.SYNC_BYTES;
      }
      if (bytes < least || bytes % Long.BYTES != 0 || bytes > headerBytes - at) {
        return "messageBytes " + bytes + " of message " + i + " is not possible";
      }
      at += bytes;
    }
    if (count < 0 || at != headerBytes) {
      return "headerBytes " + headerBytes + " though " + count + " messages end at " + at;
    }
    at = FrameHeader.BYTES;
    for (int i = 0; i < count; i++) {
      MessageType type = WireFormat.messageType(MessageCodec.type(header, at));
      if (MessageCodec.type(header, at) == WireFormat.SYNC) {
        sink.onSync(MessageCodec.group(header, at), MessageCodec.syncIndex(header, at));
      } else if (type == null) {
        sink.onUnknown(WireFormat.MESSAGES, MessageCodec.type(header, at));
      } else {
        identified(message.reset(type, from, to));
        MessageCodec.decode(header, at, message);
        sink.onMessage(MessageCodec.group(header, at), message);
      }
      at += MessageCodec.messageBytes(header, at);
    }
    return null;
  }

  private void identified(Message m) {
    m.from = from;
    m.to = to;
    m.incarnation = incarnation;
  }

  private String parseAppend(int headerBytes) {
    String wrong = append.parse(header, headerBytes, payloadBytes, payloadMemory.address());
    identified(message);
    if (wrong == null) {
      state = PAYLOAD;
    }
    return wrong;
  }

  private String parseRefused(int headerBytes) {
    if (headerBytes < FrameHeader.BYTES + 8 || payloadBytes != 0) {
      return "lengths " + headerBytes + " and " + payloadBytes + " of REFUSED";
    }
    sink.onRefused(
        header.getShort(24, ORDER) & 0xFFFF,
        header.getShort(26, ORDER) & 0xFFFF,
        header.getShort(28, ORDER) & 0xFFFF);
    return null;
  }

  private String parseResync(int headerBytes) {
    String wrong = resync.wrap(header, headerBytes, payloadBytes);
    if (wrong == null) {
      sink.onResync(resync);
    }
    return wrong;
  }

  private int readPayload(DirectBuffer buffer, int offset, int length) {
    int count = Math.min(length, payloadBytes - arrived);
    buffer.getBytes(offset, payload, arrived, count);
    arrived += count;
    if (arrived == payloadBytes) {
      deliverAppend();
    }
    return count;
  }

  private int skip(int length) {
    int count = Math.min(length, payloadBytes - arrived);
    arrived += count;
    if (arrived == payloadBytes) {
      state = NEXT_HEADER;
    }
    return count;
  }

  private void deliverAppend() {
    String wrong = append.verify(payloadMemory, crc);
    if (wrong != null) {
      int _ = fail(WireFormat.APPEND, wrong);
      return;
    }
    offer();
  }

  private void offer() {
    state = sink.onAppend(append) ? NEXT_HEADER : HELD;
  }
}
