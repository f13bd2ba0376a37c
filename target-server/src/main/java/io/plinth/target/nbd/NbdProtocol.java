package io.plinth.target.nbd;

/**
 * Numbers of the NBD protocol ({@code doc/proto.md} of NetworkBlockDevice/nbd). All fields on the
 * wire are big-endian.
 */
final class NbdProtocol {
  // Negotiation.

  /** "NBDMAGIC", the first eight bytes of every session. */
  static final long INIT_MAGIC = 0x4e42444d41474943L;

  /** "IHAVEOPT", second in the greeting and first in every option. */
  static final long OPTION_MAGIC = 0x49484156454f5054L;

  static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;

  /** INIT_MAGIC, OPTION_MAGIC and the 16 handshake flags. */
  static final int GREETING_BYTES = 18;

  static final int CLIENT_FLAGS_BYTES = 4;

  /** Magic, option number, length of its data. */
  static final int OPTION_HEADER_BYTES = 16;

  /** Magic, option number, reply type, length of its data. */
  static final int OPTION_REPLY_HEADER_BYTES = 20;

  /** Longest string that the text allows, in bytes. */
  static final int MAX_STRING_BYTES = 4096;

  /** Zeroes after the answer to EXPORT_NAME, unless the client asked to leave them out. */
  static final int EXPORT_NAME_PADDING_BYTES = 124;

  static final int HANDSHAKE_FIXED_NEWSTYLE = 1;
  static final int HANDSHAKE_NO_ZEROES = 1 << 1;

  static final int OPT_EXPORT_NAME = 1;
  static final int OPT_ABORT = 2;
  static final int OPT_LIST = 3;
  static final int OPT_STARTTLS = 5;
  static final int OPT_INFO = 6;
  static final int OPT_GO = 7;
  static final int OPT_STRUCTURED_REPLY = 8;
  static final int OPT_LIST_META_CONTEXT = 9;
  static final int OPT_SET_META_CONTEXT = 10;
  static final int OPT_EXTENDED_HEADERS = 11;

  static final int REP_ACK = 1;
  static final int REP_SERVER = 2;
  static final int REP_INFO = 3;
  static final int REP_META_CONTEXT = 4;
  static final int REP_ERR_UNSUP = 0x80000001;
  static final int REP_ERR_POLICY = 0x80000002;
  static final int REP_ERR_INVALID = 0x80000003;
  static final int REP_ERR_TLS_REQD = 0x80000005;
  static final int REP_ERR_UNKNOWN = 0x80000006;
  static final int REP_ERR_SHUTDOWN = 0x80000007;
  static final int REP_ERR_TOO_BIG = 0x80000009;
  static final int REP_ERR_EXT_HEADER_REQD = 0x8000000A;

  static final int INFO_EXPORT = 0;
  static final int INFO_NAME = 1;
  static final int INFO_DESCRIPTION = 2;
  static final int INFO_BLOCK_SIZE = 3;

  static final int FLAG_HAS_FLAGS = 1;
  static final int FLAG_READ_ONLY = 1 << 1;
  static final int FLAG_SEND_FLUSH = 1 << 2;
  static final int FLAG_SEND_FUA = 1 << 3;
  static final int FLAG_SEND_TRIM = 1 << 5;
  static final int FLAG_SEND_WRITE_ZEROES = 1 << 6;
  static final int FLAG_SEND_DF = 1 << 7;
  static final int FLAG_CAN_MULTI_CONN = 1 << 8;
  static final int FLAG_SEND_RESIZE = 1 << 9;
  static final int FLAG_SEND_CACHE = 1 << 10;
  static final int FLAG_SEND_FAST_ZERO = 1 << 11;
  static final int FLAG_BLOCK_STATUS_PAYLOAD = 1 << 12;

  // Transmission.

  static final int REQUEST_MAGIC = 0x25609513;
  static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;
  static final int EXTENDED_REQUEST_MAGIC = 0x21e41c71;
  static final int EXTENDED_REPLY_MAGIC = 0x6e8a278c;

  /** Magic, flags, command, cookie, offset, length. */
  static final int REQUEST_HEADER_BYTES = 28;

  /** The same with a length of 64 bits. */
  static final int EXTENDED_REQUEST_HEADER_BYTES = 32;

  /** Magic, error, cookie. */
  static final int SIMPLE_REPLY_BYTES = 16;

  /** Magic, flags, type, cookie, length of the payload. */
  static final int CHUNK_HEADER_BYTES = 20;

  /** Magic, flags, type, cookie, offset of the request, length of the payload. */
  static final int EXTENDED_CHUNK_HEADER_BYTES = 32;

  static final int CMD_READ = 0;
  static final int CMD_WRITE = 1;
  static final int CMD_DISC = 2;
  static final int CMD_FLUSH = 3;
  static final int CMD_TRIM = 4;
  static final int CMD_CACHE = 5;
  static final int CMD_WRITE_ZEROES = 6;
  static final int CMD_BLOCK_STATUS = 7;
  static final int CMD_RESIZE = 8;

  static final int CMD_FLAG_FUA = 1;
  static final int CMD_FLAG_NO_HOLE = 1 << 1;
  static final int CMD_FLAG_DF = 1 << 2;
  static final int CMD_FLAG_REQ_ONE = 1 << 3;
  static final int CMD_FLAG_FAST_ZERO = 1 << 4;
  static final int CMD_FLAG_PAYLOAD_LEN = 1 << 5;

  static final int REPLY_FLAG_DONE = 1;
  static final int REPLY_TYPE_NONE = 0;
  static final int REPLY_TYPE_OFFSET_DATA = 1;
  static final int REPLY_TYPE_OFFSET_HOLE = 2;
  static final int REPLY_TYPE_BLOCK_STATUS = 5;
  static final int REPLY_TYPE_BLOCK_STATUS_EXT = 6;
  static final int REPLY_TYPE_ERROR = 0x8001;

  static final int NO_ERROR = 0;
  static final int EPERM = 1;
  static final int EIO = 5;
  static final int EINVAL = 22;
  static final int ENOSPC = 28;
  static final int EOVERFLOW = 75;
  static final int ENOTSUP = 95;
  static final int ESHUTDOWN = 108;

  // What this server advertises.

  /** Most metadata contexts that a client may select. */
  static final int MAX_CONTEXTS = 8;

  static final int MINIMUM_BLOCK_BYTES = 512;
  static final int PREFERRED_BLOCK_BYTES = 4096;

  private NbdProtocol() {}
}
