package io.plinth.tools.it;

import io.plinth.tools.it.Meddler.Message;
import io.plinth.tools.it.Meddler.Request;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;

/** One thing that a server would do wrong, and the rule that it breaks. */
enum MeddlerFault {
  UNDEFINED_HANDSHAKE_FLAG("H1") {
    @Override
    void greeting(byte[] greeting) {
      greeting[17] |= 4;
    }
  },
  PADDING_AFTER_GO("H3") {
    @Override
    void optionReply(OptionReply reply) {
      reply.behind = reply.option == GO && reply.type == ACK ? 124 : 0;
    }
  },
  UNKNOWN_OPTION_INVALID("H4") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == ERR_UNSUP ? ERR_INVALID : reply.type;
    }
  },
  ANOTHER_OPTION_ECHOED("H5") {
    @Override
    void optionReply(OptionReply reply) {
      reply.option = reply.option == LIST ? GO : reply.option;
    }
  },
  UNKNOWN_EXPORT_INVALID("H6") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == ERR_UNKNOWN ? ERR_INVALID : reply.type;
    }
  },
  INFO_WITHOUT_EXPORT("H7") {
    @Override
    void optionReply(OptionReply reply) {
      reply.dropped = reply.option == INFO && reply.isInfo(0);
    }
  },
  GO_TELLS_ANOTHER_SIZE("H9") {
    @Override
    void optionReply(OptionReply reply) {
      if (reply.option == GO && reply.isInfo(0)) {
        reply.data[8] ^= 1;
      }
    }
  },
  NUL_IN_NAMES("H10") {
    @Override
    void optionReply(OptionReply reply) {
      if (reply.option == LIST && reply.data.length > 5) {
        reply.data[5] = 0;
      }
    }
  },
  TLS_PROMISED("T1") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.option == STARTTLS ? ACK : reply.type;
    }
  },
  TLS_REQUIRED("T1") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == ERR_UNKNOWN ? ERR_TLS_REQD : reply.type;
    }
  },
  ANOTHER_COOKIE("R1") {
    @Override
    void message(Message message, List<Message> all) {
      message.cookie ^= 1;
    }
  },
  SIMPLE_REPLY_TO_STRUCTURED_READ("R2") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.magic == Meddler.STRUCTURED && isError(message) && message.request.command == 0) {
        message.magic = Meddler.SIMPLE;
        message.error = ByteBuffer.wrap(message.payload).getInt();
        message.payload = new byte[0];
      }
    }
  },
  DONE_MISSING("R3") {
    @Override
    void message(Message message, List<Message> all) {
      message.flags = message.type == DATA ? message.flags & ~DONE : message.flags;
    }
  },
  CHUNK_AFTER_DONE("R3") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == DATA && (message.flags & DONE) != 0) {
        all.add(message.copy());
      }
    }
  },
  CHUNK_OUTSIDE("R4") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == DATA) {
        message.payload[7] ^= 1;
      }
    }
  },
  CHUNK_TWICE("R4") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && (message.type == DATA || message.type == HOLE)) {
        Message first = message.copy();
        first.flags &= ~DONE;
        all.addFirst(first);
      }
    }
  },
  ERROR_CHUNK_WITHOUT_DONE("R5") {
    @Override
    void message(Message message, List<Message> all) {
      message.flags = isEio(message) ? message.flags & ~DONE : message.flags;
    }
  },
  FAILED_READ_AS_ZEROES("R6") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.magic == Meddler.SIMPLE && message.error == EIO) {
        message.error = 0;
        message.payload = new byte[(int) message.request.length];
      }
    }
  },
  FRAGMENTED_IN_SPITE_OF_DF("R7") {
    @Override
    void message(Message message, List<Message> all) {
      boolean unfragmented = (message.request.flags & 4) != 0;
      if (unfragmented && message.isChunk() && message.type == DATA) {
        int half = 8 + (message.payload.length - 8) / 2;
        Message second = message.copy();
        ByteBuffer rest = ByteBuffer.allocate(message.payload.length - half + 8);
        rest.putLong(ByteBuffer.wrap(message.payload).getLong() + half - 8);
        second.payload = rest.put(message.payload, half, rest.remaining()).array();
        message.flags &= ~DONE;
        message.payload = Arrays.copyOf(message.payload, half);
        all.add(second);
      }
    }
  },
  STATUS_WITHOUT_CONTEXT("B1") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.request.command == BLOCK_STATUS && isError(message) && message.isChunk()) {
        message.type = 0;
        message.payload = new byte[0];
      } else if (message.request.command == BLOCK_STATUS) {
        message.error = 0;
      }
    }
  },
  EXTENTS_OF_LENGTH_ZERO("B2") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == STATUS) {
        Arrays.fill(message.payload, 4, 8, (byte) 0);
      }
    }
  },
  DATA_SAID_TO_BE_ZERO("B3") {
    @Override
    void message(Message message, List<Message> all) {
      for (int i = 11;
          message.isChunk() && message.type == STATUS && i < message.payload.length; ) {
        message.payload[i] = 3;
        i += 8;
      }
    }
  },
  FUA_WRITE_LOST("D1") {
    @Override
    void request(Request request) {
      if (request.command == WRITE && (request.flags & FUA) != 0) {
        request.becomeFlush();
      }
    }
  },
  WRITES_LOST("D2") {
    @Override
    void request(Request request) {
      if (request.command == WRITE) {
        request.becomeFlush();
      }
    }
  },
  ZEROES_NOT_WRITTEN("D3") {
    @Override
    void request(Request request) {
      if (request.command == WRITE_ZEROES) {
        request.becomeFlush();
      }
    }
  },
  UNKNOWN_FLAG_TAKEN("E1") {
    @Override
    void request(Request request) {
      request.flags &= ~(1 << 15);
    }
  },
  PAST_THE_END_IS_EIO("E2") {
    @Override
    void message(Message message, List<Message> all) {
      changeError(message, ENOSPC, EIO);
    }
  },
  MISALIGNED_IS_EIO("E3") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.request.offset % 512 != 0 || message.request.length % 512 != 0) {
        changeError(message, EINVAL, EIO);
      }
    }
  },
  PREFERRED_NO_POWER_OF_TWO("S1") {
    @Override
    void optionReply(OptionReply reply) {
      if (reply.isInfo(3)) {
        reply.data[9] |= 1;
      }
    }
  },
  ANOTHER_OFFSET_IN_EXTENDED_REPLIES("X1") {
    @Override
    void message(Message message, List<Message> all) {
      message.offset++;
    }
  },
  PAYLOAD_OF_READ_TAKEN("X2") {
    @Override
    void request(Request request) {
      if (request.extended && request.command == 0 && (request.flags & PAYLOAD_LEN) != 0) {
        request.flags &= ~PAYLOAD_LEN;
        request.payload = new byte[0];
      }
    }
  },
  STATUS_OF_TYPE_5("X3") {
    @Override
    void message(Message message, List<Message> all) {
      message.type = message.type == STATUS_EXTENDED ? STATUS : message.type;
    }
  },
  WRONG_CONTEXTS_TAKEN("X4") {
    @Override
    void message(Message message, List<Message> all) {
      boolean filtered =
          message.request.command == BLOCK_STATUS && (message.request.flags & PAYLOAD_LEN) != 0;
      if (filtered && isError(message)) {
        message.type = 0;
        message.payload = new byte[0];
      }
    }
  };

  private static final int ACK = 1;
  private static final int ERR_UNSUP = 0x80000001;
  private static final int ERR_INVALID = 0x80000003;
  private static final int ERR_TLS_REQD = 0x80000005;
  private static final int ERR_UNKNOWN = 0x80000006;
  private static final int LIST = 3;
  private static final int STARTTLS = 5;
  private static final int INFO = 6;
  private static final int GO = 7;
  private static final int WRITE = 1;
  private static final int WRITE_ZEROES = 6;
  private static final int BLOCK_STATUS = 7;
  private static final int FUA = 1;
  private static final int PAYLOAD_LEN = 1 << 5;
  private static final int DONE = 1;
  private static final int DATA = 1;
  private static final int HOLE = 2;
  private static final int STATUS = 5;
  private static final int STATUS_EXTENDED = 6;
  private static final int EIO = 5;
  private static final int EINVAL = 22;
  private static final int ENOSPC = 28;

  private final String rule;

  MeddlerFault(String rule) {
    this.rule = rule;
  }

  String rule() {
    return rule;
  }

  /** A reply to an option, to be changed. */
  static final class OptionReply {
    int option;
    int type;
    byte[] data;
    boolean dropped;

    /** Zeroes that follow. */
    int behind;

    OptionReply(int option, int type, byte[] data) {
      this.option = option;
      this.type = type;
      this.data = data;
    }

    boolean isInfo(int which) {
      return type == 3 && ByteBuffer.wrap(data).getShort() == which;
    }
  }

  /** Changes the greeting, or does not. */
  void greeting(byte[] greeting) {}

  /** Changes a reply to an option, or does not. */
  void optionReply(OptionReply reply) {}

  /** Changes a request, or does not. */
  void request(Request request) {}

  /**
   * Changes a reply or chunk, or does not.
   *
   * @param all what is sent instead; begins with the message alone
   */
  void message(Message message, List<Message> all) {}

  private static boolean isError(Message message) {
    return message.isChunk() ? (message.type & 1 << 15) != 0 : message.error != 0;
  }

  private static boolean isEio(Message message) {
    return message.isChunk()
        && isError(message)
        && ByteBuffer.wrap(message.payload).getInt() == EIO;
  }

  private static void changeError(Message message, int from, int to) {
    if (!message.isChunk()) {
      message.error = message.error == from ? to : message.error;
    } else if (isError(message) && ByteBuffer.wrap(message.payload).getInt() == from) {
      ByteBuffer.wrap(message.payload).putInt(0, to);
    }
  }
}
