package io.plinth.tools.it;

import io.plinth.tools.it.Meddler.Message;
import io.plinth.tools.it.Meddler.Request;
import io.plinth.tools.nbd.Nbd;
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
      reply.behind = reply.option == Nbd.OPT_GO && reply.type == Nbd.REP_ACK ? 124 : 0;
    }
  },
  UNKNOWN_OPTION_INVALID("H4") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == Nbd.ERR_UNSUP ? Nbd.ERR_INVALID : reply.type;
    }
  },
  ANOTHER_OPTION_ECHOED("H5") {
    @Override
    void optionReply(OptionReply reply) {
      reply.option = reply.option == Nbd.OPT_LIST ? Nbd.OPT_GO : reply.option;
    }
  },
  UNKNOWN_EXPORT_INVALID("H6") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == Nbd.ERR_UNKNOWN ? Nbd.ERR_INVALID : reply.type;
    }
  },
  INFO_WITHOUT_EXPORT("H7") {
    @Override
    void optionReply(OptionReply reply) {
      reply.dropped = reply.option == Nbd.OPT_INFO && reply.isInfo(0);
    }
  },
  GO_TELLS_ANOTHER_SIZE("H9") {
    @Override
    void optionReply(OptionReply reply) {
      if (reply.option == Nbd.OPT_GO && reply.isInfo(0)) {
        reply.data[8] ^= 1;
      }
    }
  },
  NUL_IN_NAMES("H10") {
    @Override
    void optionReply(OptionReply reply) {
      if (reply.option == Nbd.OPT_LIST && reply.data.length > 5) {
        reply.data[5] = 0;
      }
    }
  },
  TLS_PROMISED("T1") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.option == Nbd.OPT_STARTTLS ? Nbd.REP_ACK : reply.type;
    }
  },
  TLS_REQUIRED("T1") {
    @Override
    void optionReply(OptionReply reply) {
      reply.type = reply.type == Nbd.ERR_UNKNOWN ? Nbd.ERR_TLS_REQD : reply.type;
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
      if (message.magic == Nbd.STRUCTURED_REPLY_MAGIC
          && isError(message)
          && message.request.command == 0) {
        message.magic = Nbd.SIMPLE_REPLY_MAGIC;
        message.error = ByteBuffer.wrap(message.payload).getInt();
        message.payload = new byte[0];
      }
    }
  },
  DONE_MISSING("R3") {
    @Override
    void message(Message message, List<Message> all) {
      message.flags = message.type == Nbd.CHUNK_DATA ? message.flags & ~Nbd.DONE : message.flags;
    }
  },
  CHUNK_AFTER_DONE("R3") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == Nbd.CHUNK_DATA && (message.flags & Nbd.DONE) != 0) {
        all.add(message.copy());
      }
    }
  },
  CHUNK_OUTSIDE("R4") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == Nbd.CHUNK_DATA) {
        message.payload[7] ^= 1;
      }
    }
  },
  CHUNK_TWICE("R4") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && (message.type == Nbd.CHUNK_DATA || message.type == Nbd.CHUNK_HOLE)) {
        Message first = message.copy();
        first.flags &= ~Nbd.DONE;
        all.addFirst(first);
      }
    }
  },
  ERROR_CHUNK_WITHOUT_DONE("R5") {
    @Override
    void message(Message message, List<Message> all) {
      message.flags = isEio(message) ? message.flags & ~Nbd.DONE : message.flags;
    }
  },
  FAILED_READ_AS_ZEROES("R6") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.magic == Nbd.SIMPLE_REPLY_MAGIC && message.error == Nbd.EIO) {
        message.error = 0;
        message.payload = new byte[(int) message.request.length];
      }
    }
  },
  FRAGMENTED_IN_SPITE_OF_DF("R7") {
    @Override
    void message(Message message, List<Message> all) {
      boolean unfragmented = (message.request.flags & 4) != 0;
      if (unfragmented && message.isChunk() && message.type == Nbd.CHUNK_DATA) {
        int half = 8 + (message.payload.length - 8) / 2;
        Message second = message.copy();
        ByteBuffer rest = ByteBuffer.allocate(message.payload.length - half + 8);
        rest.putLong(ByteBuffer.wrap(message.payload).getLong() + half - 8);
        second.payload = rest.put(message.payload, half, rest.remaining()).array();
        message.flags &= ~Nbd.DONE;
        message.payload = Arrays.copyOf(message.payload, half);
        all.add(second);
      }
    }
  },
  STATUS_WITHOUT_CONTEXT("B1") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.request.command == Nbd.BLOCK_STATUS && isError(message) && message.isChunk()) {
        message.type = 0;
        message.payload = new byte[0];
      } else if (message.request.command == Nbd.BLOCK_STATUS) {
        message.error = 0;
      }
    }
  },
  EXTENTS_OF_LENGTH_ZERO("B2") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.isChunk() && message.type == Nbd.CHUNK_STATUS) {
        Arrays.fill(message.payload, 4, 8, (byte) 0);
      }
    }
  },
  DATA_SAID_TO_BE_ZERO("B3") {
    @Override
    void message(Message message, List<Message> all) {
      for (int i = 11;
          message.isChunk() && message.type == Nbd.CHUNK_STATUS && i < message.payload.length; ) {
        message.payload[i] = 3;
        i += 8;
      }
    }
  },
  FUA_WRITE_LOST("D1") {
    @Override
    void request(Request request) {
      if (request.command == Nbd.WRITE && (request.flags & Nbd.FUA) != 0) {
        request.becomeFlush();
      }
    }
  },
  WRITES_LOST("D2") {
    @Override
    void request(Request request) {
      if (request.command == Nbd.WRITE) {
        request.becomeFlush();
      }
    }
  },
  ZEROES_NOT_WRITTEN("D3") {
    @Override
    void request(Request request) {
      if (request.command == Nbd.WRITE_ZEROES) {
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
      changeError(message, Nbd.ENOSPC, Nbd.EIO);
    }
  },
  MISALIGNED_IS_EIO("E3") {
    @Override
    void message(Message message, List<Message> all) {
      if (message.request.offset % 512 != 0 || message.request.length % 512 != 0) {
        changeError(message, Nbd.EINVAL, Nbd.EIO);
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
      if (request.extended && request.command == 0 && (request.flags & Nbd.PAYLOAD_LEN) != 0) {
        request.flags &= ~Nbd.PAYLOAD_LEN;
        request.payload = new byte[0];
      }
    }
  },
  STATUS_OF_TYPE_5("X3") {
    @Override
    void message(Message message, List<Message> all) {
      message.type = message.type == Nbd.CHUNK_STATUS_EXT ? Nbd.CHUNK_STATUS : message.type;
    }
  },
  WRONG_CONTEXTS_TAKEN("X4") {
    @Override
    void message(Message message, List<Message> all) {
      boolean filtered =
          message.request.command == Nbd.BLOCK_STATUS
              && (message.request.flags & Nbd.PAYLOAD_LEN) != 0;
      if (filtered && isError(message)) {
        message.type = 0;
        message.payload = new byte[0];
      }
    }
  };

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
        && ByteBuffer.wrap(message.payload).getInt() == Nbd.EIO;
  }

  private static void changeError(Message message, int from, int to) {
    if (!message.isChunk()) {
      message.error = message.error == from ? to : message.error;
    } else if (isError(message) && ByteBuffer.wrap(message.payload).getInt() == from) {
      ByteBuffer.wrap(message.payload).putInt(0, to);
    }
  }
}
