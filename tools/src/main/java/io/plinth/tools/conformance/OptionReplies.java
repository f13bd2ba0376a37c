package io.plinth.tools.conformance;

import io.plinth.tools.nbd.Nbd;
import java.nio.ByteBuffer;

/** What may stand in the replies to an option, apart from the option that they are to. */
final class OptionReplies {
  private OptionReplies() {}

  /** Throws {@link Broken} when a reply is malformed, or none that this option can have. */
  static void judge(int option, ClientConnection.OptionReply reply) {
    String name = Nbd.optionName(option) + ": " + reply;
    ByteBuffer data = reply.data();
    if (reply.isError()) {
      string(name + "'s message", data);
      return;
    }
    switch (reply.type()) {
      case Nbd.REP_ACK -> require(data.remaining() == 0, "H5", name + " with data");
      case Nbd.REP_SERVER -> {
        require(option == Nbd.OPT_LIST, "H5", name);
        require(data.remaining() >= 4, "H5", name + " of " + data.remaining() + " bytes");
        int length = data.getInt(0);
        require(
            length >= 0 && length <= data.remaining() - 4, "H5", name + " with a name too long");
        string(name + "'s name", data.slice(4, length));
        string(name + "'s description", data.slice(4 + length, data.remaining() - 4 - length));
      }
      case Nbd.REP_INFO -> {
        require(option == Nbd.OPT_INFO || option == Nbd.OPT_GO, "H5", name);
        info(name, data);
      }
      case Nbd.REP_META_CONTEXT -> {
        require(
            option == Nbd.OPT_LIST_META_CONTEXT || option == Nbd.OPT_SET_META_CONTEXT, "H5", name);
        require(data.remaining() > 4, "H5", name + " without a name");
        string(name + "'s name", data.slice(4, data.remaining() - 4));
      }
      default -> throw Broken.rule("H5", name + ", unknown");
    }
  }

  private static void info(String name, ByteBuffer data) {
    int bytes = data.remaining();
    require(bytes >= 2, "H7", name + " of " + bytes + " bytes");
    switch (data.getShort(0)) {
      case Nbd.INFO_EXPORT -> require(bytes == 12, "H7", name + "_EXPORT of " + bytes + " bytes");
      case Nbd.INFO_NAME -> string(name + "_NAME", data.slice(2, bytes - 2));
      case Nbd.INFO_DESCRIPTION -> string(name + "_DESCRIPTION", data.slice(2, bytes - 2));
      case Nbd.INFO_BLOCK_SIZE ->
          require(bytes == 14, "H8", name + "_BLOCK_SIZE of " + bytes + " bytes");
      default -> {
        // Clients pass over what they don't know.
      }
    }
  }

  private static void string(String what, ByteBuffer bytes) {
    String problem = Strings.problem(bytes);
    require(problem == null, "H10", what + " " + problem);
  }

  private static void require(boolean condition, String rule, String seen) {
    if (!condition) {
      throw Broken.rule(rule, seen);
    }
  }
}
