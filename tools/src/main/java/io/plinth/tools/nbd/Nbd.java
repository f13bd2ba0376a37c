package io.plinth.tools.nbd;

import java.util.Map;

/**
 * Numbers of the NBD protocol ({@code doc/proto.md} of NetworkBlockDevice/nbd, and its branch for
 * extended headers), as a client needs them.
 */
public final class Nbd {
  public static final long INIT_MAGIC = 0x4e42444d41474943L;
  public static final long OPTION_MAGIC = 0x49484156454f5054L;
  public static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
  public static final int REQUEST_MAGIC = 0x25609513;
  public static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  public static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;
  public static final int EXTENDED_REQUEST_MAGIC = 0x21e41c71;
  public static final int EXTENDED_REPLY_MAGIC = 0x6e8a278c;

  public static final int DEFAULT_PORT = 10809;

  public static final int FIXED_NEWSTYLE = 1;
  public static final int NO_ZEROES = 1 << 1;

  public static final int OPT_EXPORT_NAME = 1;
  public static final int OPT_ABORT = 2;
  public static final int OPT_LIST = 3;
  public static final int OPT_PEEK_EXPORT = 4;
  public static final int OPT_STARTTLS = 5;
  public static final int OPT_INFO = 6;
  public static final int OPT_GO = 7;
  public static final int OPT_STRUCTURED_REPLY = 8;
  public static final int OPT_LIST_META_CONTEXT = 9;
  public static final int OPT_SET_META_CONTEXT = 10;
  public static final int OPT_EXTENDED_HEADERS = 11;

  public static final int REP_ACK = 1;
  public static final int REP_SERVER = 2;
  public static final int REP_INFO = 3;
  public static final int REP_META_CONTEXT = 4;
  public static final int REP_ERROR = 1 << 31;
  public static final int ERR_UNSUP = REP_ERROR + 1;
  public static final int ERR_POLICY = REP_ERROR + 2;
  public static final int ERR_INVALID = REP_ERROR + 3;
  public static final int ERR_PLATFORM = REP_ERROR + 4;
  public static final int ERR_TLS_REQD = REP_ERROR + 5;
  public static final int ERR_UNKNOWN = REP_ERROR + 6;
  public static final int ERR_SHUTDOWN = REP_ERROR + 7;
  public static final int ERR_BLOCK_SIZE_REQD = REP_ERROR + 8;
  public static final int ERR_TOO_BIG = REP_ERROR + 9;
  public static final int ERR_EXT_HEADER_REQD = REP_ERROR + 10;

  public static final int INFO_EXPORT = 0;
  public static final int INFO_NAME = 1;
  public static final int INFO_DESCRIPTION = 2;
  public static final int INFO_BLOCK_SIZE = 3;

  public static final int HAS_FLAGS = 1;
  public static final int READ_ONLY = 1 << 1;
  public static final int SEND_FLUSH = 1 << 2;
  public static final int SEND_FUA = 1 << 3;
  public static final int ROTATIONAL = 1 << 4;
  public static final int SEND_TRIM = 1 << 5;
  public static final int SEND_WRITE_ZEROES = 1 << 6;
  public static final int SEND_DF = 1 << 7;
  public static final int CAN_MULTI_CONN = 1 << 8;
  public static final int SEND_RESIZE = 1 << 9;
  public static final int SEND_CACHE = 1 << 10;
  public static final int SEND_FAST_ZERO = 1 << 11;
  public static final int BLOCK_STATUS_PAYLOAD = 1 << 12;

  public static final int READ = 0;
  public static final int WRITE = 1;
  public static final int DISC = 2;
  public static final int FLUSH = 3;
  public static final int TRIM = 4;
  public static final int CACHE = 5;
  public static final int WRITE_ZEROES = 6;
  public static final int BLOCK_STATUS = 7;
  public static final int RESIZE = 8;

  public static final int FUA = 1;
  public static final int NO_HOLE = 1 << 1;
  public static final int DF = 1 << 2;
  public static final int REQ_ONE = 1 << 3;
  public static final int FAST_ZERO = 1 << 4;
  public static final int PAYLOAD_LEN = 1 << 5;

  public static final int DONE = 1;
  public static final int CHUNK_NONE = 0;
  public static final int CHUNK_DATA = 1;
  public static final int CHUNK_HOLE = 2;
  public static final int CHUNK_STATUS = 5;
  public static final int CHUNK_STATUS_EXT = 6;
  public static final int CHUNK_ERROR_BIT = 1 << 15;
  public static final int CHUNK_ERROR = CHUNK_ERROR_BIT + 1;
  public static final int CHUNK_ERROR_OFFSET = CHUNK_ERROR_BIT + 2;

  public static final int EPERM = 1;
  public static final int EIO = 5;
  public static final int EINVAL = 22;
  public static final int ENOSPC = 28;
  public static final int EOVERFLOW = 75;
  public static final int ENOTSUP = 95;
  public static final int ESHUTDOWN = 108;

  public static final int STATE_HOLE = 1;
  public static final int STATE_ZERO = 1 << 1;

  public static final String ALLOCATION = "base:allocation";

  /** Length of a string at most, in bytes. */
  public static final int MAX_STRING = 4096;

  /** No payload up to this length may be taken for an attack, and it is the default maximum. */
  public static final int PORTABLE_PAYLOAD = 1 << 25;

  private static final Map<Integer, String> REPLIES =
      Map.ofEntries(
          Map.entry(REP_ACK, "ACK"),
          Map.entry(REP_SERVER, "SERVER"),
          Map.entry(REP_INFO, "INFO"),
          Map.entry(REP_META_CONTEXT, "META_CONTEXT"),
          Map.entry(ERR_UNSUP, "ERR_UNSUP"),
          Map.entry(ERR_POLICY, "ERR_POLICY"),
          Map.entry(ERR_INVALID, "ERR_INVALID"),
          Map.entry(ERR_PLATFORM, "ERR_PLATFORM"),
          Map.entry(ERR_TLS_REQD, "ERR_TLS_REQD"),
          Map.entry(ERR_UNKNOWN, "ERR_UNKNOWN"),
          Map.entry(ERR_SHUTDOWN, "ERR_SHUTDOWN"),
          Map.entry(ERR_BLOCK_SIZE_REQD, "ERR_BLOCK_SIZE_REQD"),
          Map.entry(ERR_TOO_BIG, "ERR_TOO_BIG"),
          Map.entry(ERR_EXT_HEADER_REQD, "ERR_EXT_HEADER_REQD"));

  private static final Map<Integer, String> ERRORS =
      Map.ofEntries(
          Map.entry(0, "success"),
          Map.entry(EPERM, "EPERM"),
          Map.entry(EIO, "EIO"),
          Map.entry(12, "ENOMEM"),
          Map.entry(EINVAL, "EINVAL"),
          Map.entry(ENOSPC, "ENOSPC"),
          Map.entry(EOVERFLOW, "EOVERFLOW"),
          Map.entry(ENOTSUP, "ENOTSUP"),
          Map.entry(ESHUTDOWN, "ESHUTDOWN"));

  private static final String[] COMMANDS = {
    "READ", "WRITE", "DISC", "FLUSH", "TRIM", "CACHE", "WRITE_ZEROES", "BLOCK_STATUS", "RESIZE"
  };

  private static final String[] OPTIONS = {
    "0",
    "EXPORT_NAME",
    "ABORT",
    "LIST",
    "PEEK_EXPORT",
    "STARTTLS",
    "INFO",
    "GO",
    "STRUCTURED_REPLY",
    "LIST_META_CONTEXT",
    "SET_META_CONTEXT",
    "EXTENDED_HEADERS"
  };

  private Nbd() {}

  /** Returns the word for the type of an option reply. */
  public static String replyName(int type) {
    return REPLIES.getOrDefault(type, "reply type 0x" + Integer.toHexString(type));
  }

  /** Returns the word for an error of a request, "success" for zero. */
  public static String errorName(int error) {
    return ERRORS.getOrDefault(error, "error " + Integer.toUnsignedString(error));
  }

  public static String commandName(int command) {
    return command < COMMANDS.length ? COMMANDS[command] : "command " + command;
  }

  public static String optionName(int option) {
    return option >= 0 && option < OPTIONS.length
        ? OPTIONS[option]
        : "option " + Integer.toUnsignedString(option);
  }
}
